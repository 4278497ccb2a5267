import RouterCore
import Storage

// Fields and shapes that several groups of descriptions share.
extension APIField {
    static let page = APIField("page", .integer(1...1_000_000), "Number of the page, from 1; 1 by default.").optional
    static let pageSize = APIField("page_size", .integer(1...100), "Rows of a page; 20 by default.").optional
    static let pages = [page, pageSize]
    static let beforeID = APIField(
        "before_id", .integer(0 ... .max), "Rows with smaller ids, instead of pages by number; 0 = the newest."
    ).optional

    /// Rows of an organisation in place of the caller's own.
    static let organizationID = APIField(
        "organization_id", .id,
        "What this organization pays for, instead of the caller; members who may not see its money see what they have used themselves."
    ).optional

    /// The parameter by which lists are searched.
    static func search(_ what: String) -> APIField { APIField("q", .text(100), "\(what), without case.").optional }

    static func sorting(_ values: [String], _ meaning: String) -> [APIField] {
        [
            APIField("sort", .choice(values), meaning).optional,
            APIField("order", .choice(SortDirection.allCases.map(\.rawValue)), "`desc` by default.").optional,
        ]
    }

    static func id(_ what: String) -> APIField { APIField("id", .id, "The \(what)'s id.") }

    static let createdAt = APIField("created_at", .time, "When it was made.")

    static let rates: [APIField] = [
        APIField("rpm", .integer(RateLimits.range), "Model calls per minute.").optional.orNull,
        APIField("tpm", .integer(RateLimits.range), "Tokens per minute.").optional.orNull,
        APIField("concurrency", .integer(RateLimits.range), "Model calls at the same time.").optional.orNull,
    ]

    static let budget = APIField(
        "budget",
        .object([
            APIField("total", .usd, "For ever.").optional, APIField("month", .usd, "In each month (UTC).").optional,
            APIField("day", .usd, "On each day (UTC).").optional,
        ]), "The most that may be spent, USD from 0."
    ).optional
}

extension APIShape {
    static let userLimits = APIShape(
        name: "UserLimits", meaning: "What a user may do at most; see [limits.md](limits.md). What is not named has no limit.",
        fields: [APIField.budget] + APIField.rates)

    static let keyLimits = APIShape(
        name: "KeyLimits", meaning: "What a key may do at most; see [limits.md](limits.md). What is not named has no limit.",
        fields: [
            APIField(
                "allowed_ips", .list(.string, maximum: 100), "Addresses and blocks such as `10.0.0.0/8` that the key may be used from."
            ).optional,
            APIField.budget,
        ] + APIField.rates)
}
