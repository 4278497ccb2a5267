import RouterCore

/// The earnings of calls.
enum MarginDescriptions {
    static let margin = RouteDescription(
        id: "getMargins", chapter: .money, summary: "What was charged, what it cost, and what is left, by model, channel, provider or day.",
        notes: """
            From the sums of the log, which stay when its rows are let go. The cost is what vendors report, or the usage at the channel's \
            cost price; failed calls that a vendor bills are part of it. [ledger.md](ledger.md#cost-and-margin)
            """,
        query: [
            APIField("by", .choice(MarginQuery.Dimension.allCases.map(\.rawValue)), "What is told apart; `model` by default.").optional,
            APIField("from", .time, "From this second on, rounded down to a quarter hour; by default seven days before `to`.").optional,
            APIField("to", .time, "Up to this second, rounded up to a quarter hour; now by default.").optional,
            APIField("model", .string, "Only of this model (its public name).").optional,
            APIField("channel_id", .id, "Only of this channel.").optional,
            APIField("provider", .string, "Only of this provider's channels.").optional,
        ],
        answer: .data(
            .list(
                .object([
                    APIField("key", .string, "The name or id, `0` = none; of a day its date in UTC."),
                    APIField("name", .string, "The same, or the channel's name; null = it is gone.").orNull,
                    APIField("requests", .count, "Charged calls."), APIField("charged", .usd, "What users paid."),
                    APIField("upstream_cost", .usd, "What vendors said that it cost."),
                    APIField("vendor_cost", .usd, "What vendors bill us, reported or computed."),
                    APIField("margin", .usd, "`charged` less `charged_without_cost` and `vendor_cost`."),
                    APIField("requests_without_cost", .count, "Charged calls whose cost is unknown."),
                    APIField("charged_without_cost", .usd, "What users paid for them."),
                ]))),
        errors: [(400, "a parameter is wrong, or there are more than \(MarginQuery.mostDays) days")],
        example: .init(path: "/api/margin?by=channel"))
}
