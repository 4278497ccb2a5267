import HTTPTypes
import RouterCore

extension LimitBook.Standing {
    private static let names: [(limit: HTTPField.Name?, remaining: HTTPField.Name?, reset: HTTPField.Name?)] = ["requests", "tokens"].map {
        (
            HTTPField.Name("x-ratelimit-limit-\($0)"), HTTPField.Name("x-ratelimit-remaining-\($0)"),
            HTTPField.Name("x-ratelimit-reset-\($0)")
        )
    }

    /// Writes OpenAI's headers.
    func write(to headers: inout HTTPFields) {
        for (gauge, names) in zip([requests, tokens], Self.names) {
            guard let gauge, let limit = names.limit, let remaining = names.remaining, let reset = names.reset else { continue }
            headers[limit] = String(gauge.limit)
            headers[remaining] = String(gauge.remaining)
            headers[reset] = RateText.duration(gauge.reset)
        }
    }
}
