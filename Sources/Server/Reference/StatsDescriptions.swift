import RouterCore
import Storage

/// Sums of the log over time.
enum StatsDescriptions {
    private static let dimensions = UsageDimension.allCases.map(\.rawValue)
    private static let filters: [APIField] = [
        APIField("from", .time, "From this second on, rounded down to a quarter hour; by default seven days before `to`.").optional,
        APIField("to", .time, "Up to this second, rounded up to a quarter hour; now by default.").optional,
        APIField("model", .string, "Only of this model (its public name).").optional,
        APIField("provider", .string, "Only of this provider's channels.").optional,
        APIField("channel_id", .id, "Only of this channel.").optional, APIField("token_id", .id, "Only of this key.").optional,
        APIField("user_id", .id, "Only of this user; admins have all users otherwise, everybody else has their own calls.").optional,
        APIField("scope", .choice(["self"]), "An admin's own calls, too.").optional, .organizationID,
    ]

    private static func milliseconds(_ name: String, _ what: String) -> APIField {
        APIField(name, .count, "Milliseconds \(what); null = there was no such answer.").orNull
    }

    private static let percentiles = [
        milliseconds("first_token_p50", "to the first content, of half of the answers at most"),
        milliseconds("first_token_p95", "the same of 95 per cent"),
        milliseconds("latency_p50", "to the last byte, of half of the answers that were charged"),
        milliseconds("latency_p95", "the same of 95 per cent"),
    ]
    private static let figures = [
        APIField("requests", .count, "Finished model calls."), APIField("errors", .count, "Those that failed or were cut."),
        APIField("cost", .usd, "What was charged."),
    ]
    private static let costs = [
        APIField("upstream_cost", .usd, "What vendors said that it cost. For admins.").optional,
        APIField("vendor_cost", .usd, "What vendors bill us, reported or computed. For admins.").optional,
        APIField("margin", .usd, "What is left of the charges whose cost is known. For admins.").optional,
        APIField("requests_without_cost", .count, "Charged calls whose cost is unknown. For admins.").optional,
    ]

    private static func list(_ name: String, _ kind: APIField.Kind, _ what: String) -> APIField { APIField(name, .list(kind), what) }

    static let series = RouteDescription(
        id: "getSeries", chapter: .logs, summary: "Sums of the log over time.",
        notes: """
            Of the same kind of rows as the log, and there also for rows that were let go. Hours, days and months are those of the time \
            zone, summer time included; the first and the last may be incomplete. There are at most \(TimeBuckets.most) of them.
            """,
        query: filters + [
            APIField("bucket", .choice(TimeBuckets.Unit.allCases.map(\.rawValue)), "What one number stands for; `day` by default.")
                .optional,
            APIField("tz", .string, "IANA name of a time zone such as `Europe/Berlin`; `UTC` by default.").optional,
            APIField("by", .choice(["none"] + dimensions), "What is told apart; `none` by default.").optional,
            APIField("top", .integer(1...20), "How many are told apart, those that cost most; 8 by default.").optional,
        ],
        answer: .data(
            .object([
                APIField("from", .time, "Where the first bucket begins."), APIField("to", .time, "Where the last one ends."),
                APIField("bucket", .choice(TimeBuckets.Unit.allCases.map(\.rawValue)), "As asked."), APIField("tz", .string, "As asked."),
                list("starts", .time, "Where each bucket begins."),
                APIField(
                    "series",
                    .list(
                        .object([
                            APIField(
                                "key", .string,
                                "The name or id, `0` = none; `all` where nothing is told apart; `other` = all beyond `top`, the last."),
                            APIField("name", .string, "What it is called, as far as the caller may know.").orNull,
                            list("requests", .count, "One for each bucket, as are the others."), list("errors", .count, "See `total`."),
                            list("cost", .usd, "What was charged."), list("prompt_tokens", .count, "Tokens of prompts."),
                            list("completion_tokens", .count, "Tokens of answers."),
                        ])), "Those that cost most first."),
                APIField(
                    "total",
                    .object(
                        figures + costs + [
                            APIField("prompt_tokens", .count, "Tokens of prompts."),
                            APIField("completion_tokens", .count, "Tokens of answers."),
                            APIField("cached_tokens", .count, "Of the prompts, from vendors' caches."),
                        ] + percentiles), "Over the whole time. Percentiles are interpolated in classes that grow by the root of two."),
            ])), errors: [(400, "a parameter is wrong, or there are more than \(TimeBuckets.most) buckets")],
        example: .init(path: "/api/stats/series?bucket=hour&tz=Europe/Berlin&by=model"))

    static let top = RouteDescription(
        id: "getTop", chapter: .logs, summary: "Who or what has the most of something.",
        query: filters + [
            APIField("by", .choice(dimensions), "What is listed."),
            APIField("sort", .choice(UsageQuery.Order.allCases.map(\.rawValue)), "The most of what; `cost` by default.").optional,
            APIField("limit", .integer(1...100), "How many; 10 by default.").optional,
        ],
        answer: .data(
            .list(
                .object(
                    [
                        APIField("key", .string, "The name or id; `0` = none."),
                        APIField("name", .string, "What it is called, as far as the caller may know.").orNull,
                    ] + figures + costs + [
                        APIField("tokens", .count, "Tokens of prompts and answers."), percentiles[0], percentiles[2],
                    ]
                ))), errors: [(400, "a parameter is wrong, or `by` is missing")],
        example: .init(path: "/api/stats/top?by=model&sort=tokens"))

    // MARK: Rankings

    private static let rankingNotes =
        "Who may ask is said by `console.rankings`: users by default, everyone, or nobody. An answer may be a minute old."
    private static let days = APIField("days", .integer(1...90), "How many days before now; 7 by default.").optional
    private static let rankingErrors = [
        (status: 401, when: "`console.rankings` is `users`, and the caller is not logged in"), (404, "`console.rankings` is `off`"),
    ]
    private static let speed = APIField("tokens_per_second", .decimal, "Tokens of an answer per second, from its first on.").orNull
    private static let uptime = APIField("uptime", .decimal, "From 0 to 1: calls that did not fail through the gateway or a vendor.").orNull

    static let rankings = RouteDescription(
        id: "getRankings", chapter: .logs, summary: "The models by use: the most tokens first.", notes: rankingNotes, query: [days],
        answer: .data(
            .list(
                .object([
                    APIField("model", .string, "Public name of the model."), APIField("requests", .count, "Finished calls."),
                    APIField("tokens", .count, "Tokens of prompts and answers."),
                    APIField("share", .decimal, "From 0 to 1: of the tokens of all models.").orNull,
                    APIField("value", .decimal, "USD that were charged for a million tokens.").orNull, speed, percentiles[0], uptime,
                    APIField(
                        "change", .decimal,
                        "The tokens divided by those of as many days before; null = none, or not among the first 200."
                    ).orNull,
                ]))), errors: rankingErrors, example: .init(path: "/api/stats/rankings?days=30"))

    static let model = RouteDescription(
        id: "getModelStatistics", chapter: .logs, summary: "How well a model works, by provider and by day.", notes: rankingNotes,
        query: [APIField("model", .string, "Public name of the model."), days],
        answer: .data(
            .object([
                APIField("model", .string, "As asked."),
                APIField(
                    "providers",
                    .list(
                        .object([
                            APIField("provider", .string, "Name of the provider."), APIField("requests", .count, "Finished calls."), uptime,
                            percentiles[0], speed,
                        ])), "The most used first."),
                APIField(
                    "days",
                    .list(
                        .object([
                            APIField("start", .time, "Where the day begins: a whole number of days before the end of this quarter hour."),
                            APIField("requests", .count, "Finished calls."), uptime,
                        ])), "The oldest first."),
            ])), errors: rankingErrors + [(400, "`model` is missing")], example: .init(path: "/api/stats/model?model=demo/echo"))
}
