import RouterCore
import Storage

/// Balances, the ledger and margins.
enum MoneyDescriptions {
    private static let row: [APIField] = [
        .id("row"), APIField("user_id", .id, "Who caused it; whose account it is, where `account_id` is null."),
        APIField("amount", .usd, "Negative for charges."),
        APIField(
            "balance_after", .usd, "The account's balance after this row; null for members who may not see an organization's money."
        ).orNull,
        APIField("type", .choice(TransactionKind.allCases.map(\.rawValue)), "`usage` = a charge of a model call."),
        APIField("reference_id", .string, "Of a charge: the id of the request; else what the caller named, or the id of the call."),
        APIField("description", .string, "For people."), .createdAt,
        APIField("account_id", .id, "The organization whose balance it moved; null = the user's own.").orNull,
        APIField("source", .string, "Of a recharge or adjustment: where it came from, such as `gift`, `gift_expired`, `code`.").orNull,
        APIField("gift", .usd, "Of a charge: the part that gifts have paid."),
    ]
    static let entry = APIShape(name: "LedgerRow", meaning: "A row of the ledger. Rows are never changed.", fields: row)
    private static let answeredEntry = APIShape(
        name: "PostedRow", meaning: "A row of the ledger, and whether this call has made it.",
        fields: row + [APIField("repeated", .boolean, "True where an earlier call with the same key had made the row already.")])

    private static let idempotency = APIField(
        "Idempotency-Key", .text(100), "A name for this operation, so that it can be sent again; 1 to 100 bytes of ASCII."
    ).optional
    private static let description = APIField("description", .text(500), "For people.").optional
    private static let authority = (
        status: 403, when: "only root moves money of its own account, and of accounts whose role is not below the caller's"
    )
    private static let differs = (status: 409, when: "the key was used for something else")

    static let balance = RouteDescription(
        id: "getBalance", chapter: .money, summary: "What the caller has.",
        answer: .data(
            .object([
                APIField("user_id", .id, "The caller."), APIField("balance", .usd, "What the ledger has, and what is about to be posted."),
                APIField("gifts", .usd, "The part of the balance that gifts are, which pay first."),
                APIField("held", .usd, "What running requests hold."), APIField("available", .usd, "The balance less what is held."),
                APIField("quota", .integer(.min ... .max), "The balance in whole cents, for clients that know no fractions."),
                APIField("currency", .choice(["USD"]), "The only one."),
            ])))

    static let entryFilters: [APIField] = [
        APIField("type", .choice(TransactionKind.allCases.map(\.rawValue)), "Only rows of this type.").optional,
        APIField("from", .time, "From this second on.").optional, APIField("to", .time, "Up to this second.").optional,
        APIField(
            "user_id", .integer(0 ... .max), "For admins: the rows of this user; 0 = of all users. With `organization_id`: of this member."
        ).optional,
        .organizationID,
    ]

    static let transactions = RouteDescription(
        id: "listTransactions", chapter: .money, summary: "The caller's rows of the ledger, newest first.",
        notes: """
            With `before_id` (`0` = the newest) the rows before that one are answered, as `{"items", "next_before_id"}` without a total; \
            only so can `from`, `to` and the rows of all users be asked for. As with the log, a call looks at a few thousand rows at most.
            """,
        query: APIField.pages + [.beforeID] + entryFilters,
        answer: .page(entry), errors: [(403, "`user_id` is for admins")], example: .init(path: "/api/balance/transactions?type=recharge"))

    static let add = RouteDescription(
        id: "addMoney", chapter: .money, summary: "Puts money on an account, or takes some off where the amount is negative.",
        notes: "[accounts.md](accounts.md) has what a repeated call with the same key answers.", headers: [idempotency],
        body: .json([
            APIField("user_id", .id, "Whose account: a user's or an organization's id."),
            APIField("amount", .usd, "Not zero. A JSON number, or the same as text."), description,
            APIField("reference_id", .text(100), "The same as the header `Idempotency-Key`; other characters than ASCII too.").optional,
        ]), answer: .data(.shape(answeredEntry)), errors: [authority, (404, "there is no such user"), differs],
        example: .init(
            body: ["user_id": .number("2"), "amount": .number("10.00"), "description": "first recharge", "reference_id": "recharge-1"]))

    static let refund = RouteDescription(
        id: "refundCharge", chapter: .money, summary: "Gives a charge back, once and at most the charge.", headers: [idempotency],
        body: .json([
            APIField("reference_id", .text(100), "Id of the request that was charged."),
            APIField("amount", .usd, "More than zero; all of the charge by default. A JSON number, or the same as text.").optional,
            description,
        ]), answer: .data(.shape(answeredEntry)),
        errors: [
            authority, (404, "there is no such charge"),
            (409, "it was refunded already, or was less; or the key was used for something else"),
        ],
        example: .init(body: ["reference_id": "00000000-0000-0000-0000-000000000000", "description": "the answer was cut"]))

    static let unreconciled = RouteDescription(
        id: "listUnreconciled", chapter: .money, summary: "Charges by the gateway's own count that no vendor has confirmed.",
        query: APIField.pages + [
            APIField(
                "state", .choice(ReconciliationRow.State.allCases.map(\.rawValue)),
                """
                `pending` = the vendor will be asked, `unresolved` = it cannot be or did not know, `resolved` = corrected. Without it, the \
                first two.
                """
            ).optional
        ],
        answer: .page(
            APIShape(
                name: "Reconciliation", meaning: "A charge by estimate.",
                fields: [
                    APIField("request_id", .string, "Id of the request."), APIField("user_id", .id, "Who was charged."),
                    APIField("channel_id", .id, "Which channel answered.").orNull, APIField("provider", .string, "The channel's provider."),
                    APIField("model", .string, "Public name of the model."),
                    APIField("generation_id", .string, "The vendor's name for the answer.").orNull,
                    APIField("charge", .usd, "The estimate."),
                    APIField("state", .choice(ReconciliationRow.State.allCases.map(\.rawValue)), "See the parameter."),
                    APIField("tries", .count, "How often the vendor has been asked."),
                    APIField("next_at", .time, "When it will be asked again.").orNull, APIField("note", .string, "What came of it."),
                    .createdAt,
                ])), example: .init(path: "/api/ledger/unreconciled?state=pending"))

    static let margin = RouteDescription(
        id: "getMargin", chapter: .money, summary: "What was charged and what it cost, by model and channel.",
        query: [
            APIField("from", .time, "From this second on; all by default.").optional,
            APIField("to", .time, "Up to this second, which is not in it.").optional,
        ],
        answer: .data(
            .list(
                .object([
                    APIField("model", .string, "Public name of the model."), APIField("channel_id", .id, "The channel.").orNull,
                    APIField("requests", .count, "Charged requests."), APIField("charged", .usd, "What users paid."),
                    APIField("upstream_cost", .usd, "What vendors said that it cost, also what was not charged."),
                    APIField("vendor_cost", .usd, "What vendors bill us, reported or computed, failed calls included."),
                    APIField("requests_without_cost", .count, "Charged requests whose cost is unknown."),
                    APIField("charged_without_cost", .usd, "What users paid for them."),
                    APIField("margin", .usd, "`charged` less `charged_without_cost` and `vendor_cost`."),
                ]))), example: .init(path: "/api/ledger/margin?from=1767225600"))
}
