import NIOCore
import RouterCore

extension RerankOperation: MediaOperation {
    static func share(
        of facts: OpenAIFacts, _ bytes: Span<UInt8>, root: Int, _ progress: inout AnswerProgress
    ) throws(UpstreamFailure) -> AnswerShare {
        guard JSONPath.member("results", of: root, bytes)?.kind == .array else { throw missing("results") }
        return .nothing
    }

    static func complete(_ reading: inout MediaUsage.Reading, from told: MediaUsage.Told, own: Usage, price: ModelPrice) {
        if let units = MediaUsage.count(told.meta?["billed_units"]?["search_units"]) ?? MediaUsage.count(told.usage?["search_units"]) {
            reading.usage.searches = units
        } else if price.search > .zero {
            reading.usage.searches = own.searches
            reading.isEstimated = true
        }
    }
}
