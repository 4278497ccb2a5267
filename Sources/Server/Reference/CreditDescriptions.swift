import RouterCore
import Storage

/// Gifts and levels.
enum CreditDescriptions {
    private static let fields: [APIField] = [
        .id("gift"), APIField("account_id", .id, "Whose it is."), APIField("amount", .usd, "As it was given."),
        APIField("left", .usd, "The part of the balance that it is now."), APIField("spent", .usd, "What requests have used of it."),
        APIField("expired", .usd, "What was taken back at its end."),
        APIField("source", .choice(Credit.Source.allCases.map(\.rawValue)), "`grant` = an administrator, `code` = a redemption code."),
        APIField("reference_id", .string, "Of the row of the ledger that has brought it."),
        APIField("expires_at", .time, "Null = never.").orNull,
        APIField("state", .choice(Credit.State.allCases.map(\.rawValue)), "`open` = it has something left."), .createdAt,
        APIField("ended_at", .time, "When it was spent or taken back.").orNull,
    ]
    static let credit = APIShape(name: "Gift", meaning: "Credit that pays before cash, and may have an end.", fields: fields)

    static let pageSize = APIField.pageSize
    static let next = APIField("next_before_id", .id, "The `before_id` of the next ones; null = that was all.").orNull

    static let list = RouteDescription(
        id: "listGifts", chapter: .money, summary: "The caller's gifts, newest first.",
        notes: "[accounts.md](accounts.md#gifts) has the order in which they pay, and what happens at their end.",
        query: [
            .beforeID, pageSize, APIField("state", .choice(Credit.State.allCases.map(\.rawValue)), "Only gifts in this state.").optional,
            APIField("account_id", .integer(0 ... .max), "For admins: the gifts of this account; 0 = of all accounts.").optional,
            .organizationID,
        ],
        answer: .data(.object([APIField("items", .list(.shape(credit)), "The gifts."), next])),
        errors: [(403, "`account_id` is for admins")], example: .init(path: "/api/credit?state=open"))

    static let grant = RouteDescription(
        id: "grantGift", chapter: .money, summary: "Gives an account a gift.",
        notes: "A row of the ledger (`recharge`, `source` `gift`) brings it; [accounts.md](accounts.md) has what a repeated call answers.",
        headers: [
            APIField(
                "Idempotency-Key", .text(100), "A name for this operation, so that it can be sent again; 1 to 100 bytes of ASCII."
            ).optional
        ],
        body: .json([
            APIField("account_id", .id, "Whose it will be: the id of a user."),
            APIField("amount", .usd, "More than zero, up to 1000000. A JSON number, or the same as text."),
            APIField("expires_at", .time, "When what is left is taken back; null or left out = never.").optional.orNull,
            APIField("description", .text(500), "For people.").optional,
            APIField("reference_id", .text(100), "The same as the header `Idempotency-Key`; other characters than ASCII too.").optional,
        ]),
        answer: .data(
            .shape(
                APIShape(
                    name: "GrantedGift", meaning: "A gift, and whether this call has made it.",
                    fields: fields + [
                        APIField("repeated", .boolean, "True where an earlier call with the same key had made the gift already.")
                    ]))),
        errors: [
            (403, "only root moves money of its own account, and of accounts whose role is not below the caller's"),
            (404, "there is no such account"), (409, "the key was used for something else"),
        ],
        example: .init(body: ["account_id": .number("2"), "amount": .number("5.00"), "reference_id": "welcome-2"]))

    static let level = RouteDescription(
        id: "getLevel", chapter: .money, summary: "The levels of this gateway, and where the caller's account stands.",
        query: [.organizationID],
        answer: .data(
            .object([
                APIField(
                    "levels",
                    .list(
                        .object([
                            APIField("name", .string, "For people."), APIField("at_least", .usd, "What has to be recharged for it."),
                            APIField("group", .string, "The group that it gives."),
                        ])), "Empty = there are none."),
                APIField("recharged", .usd, "What the account has recharged in cash, chargebacks taken off."),
                APIField("reached", .string, "The highest level that this reaches.").orNull,
                APIField("next", .string, "The next one.").orNull, APIField("group", .string, "The account's group."),
                APIField(
                    "group_source", .choice(User.GroupSource.allCases.map(\.rawValue)),
                    "`admin` = somebody has chosen the group, so it follows no level; `level` = a level has given it."
                ).orNull,
            ])))
}

/// Redemption codes.
enum RedemptionDescriptions {
    private static let kind = APIField(
        "kind", .choice(RedemptionBatch.Kind.allCases.map(\.rawValue)),
        "`gift` pays before cash and may have an end; `cash` is as if it had been paid in, and counts for levels.")

    private static let fields: [APIField] = [
        .id("batch"), APIField("name", .string, "For people."), APIField("amount", .usd, "What each code brings."),
        APIField("count", .count, "How many codes there are."), APIField("redeemed", .count, "How many of them have been redeemed."), kind,
        APIField("gift_seconds", .count, "How long a gift lasts from its redemption on; null = for ever.").orNull,
        APIField("expires_at", .time, "When the codes end; null = never.").orNull,
        APIField("per_account", .count, "How many of the codes an account may redeem; null = all of them.").orNull,
        APIField("groups", .list(.string), "Groups whose accounts may redeem them; empty = all."),
        APIField("state", .choice(BatchState.allCases.map(\.rawValue)), "Codes of an `open` batch can be redeemed."),
        APIField("created_by", .id, "Null = the command line.").orNull, .createdAt, APIField("disabled_at", .time, "When it was.").orNull,
    ]
    private static let shape = APIShape(name: "RedemptionBatch", meaning: "Codes that were made together.", fields: fields)
    private static let path = [APIField("id", .id, "The batch's id.")]
    private static let notFound = (status: 404, when: "there is no such batch")

    static let create = RouteDescription(
        id: "createCodes", chapter: .money, summary: "Makes a batch of redemption codes.",
        notes: """
            The answer has the codes, in `code_list`. The gateway keeps only their SHA-256, so nobody can read them again: where the \
            answer is lost, disable the batch and make another.
            """,
        body: .json([
            APIField("name", .text(100), "For people; users find it in their ledger."),
            APIField("amount", .usd, "What each code brings: more than zero, up to 1000000."),
            APIField("count", .integer(1...RedemptionDesk.mostCodes), "How many codes."), kind,
            APIField("gift_seconds", .count, "How long a gift lasts from its redemption on; for ever by default.").optional.orNull,
            APIField("expires_at", .time, "When the codes end; never by default.").optional.orNull,
            APIField("per_account", .count, "How many of the codes an account may redeem: 1 by default; null = all of them.").optional
                .orNull,
            APIField("groups", .list(.text(200), maximum: 100), "Groups whose accounts may redeem them; all by default.").optional,
        ]),
        answer: .data(
            .shape(
                APIShape(
                    name: "NewRedemptionBatch", meaning: "A batch with its codes.",
                    fields: fields + [APIField("code_list", .list(.string), "The codes, shown this once.")]))),
        example: .init(body: ["name": "spring", "amount": .number("5"), "count": .number("2"), "kind": "gift"]))

    static let batches = RouteDescription(
        id: "listCodeBatches", chapter: .money, summary: "Batches of redemption codes, newest first.",
        query: [.beforeID, CreditDescriptions.pageSize],
        answer: .data(.object([APIField("items", .list(.shape(shape)), "The batches."), CreditDescriptions.next])))

    static let batch = RouteDescription(
        id: "getCodeBatch", chapter: .money, summary: "One batch of redemption codes.", path: path, answer: .data(.shape(shape)),
        errors: [notFound], example: .init(path: "/api/redemption/batch/1"))

    static let codes = RouteDescription(
        id: "listCodes", chapter: .money, summary: "Redemption codes and what has become of them, newest first.",
        query: [
            .beforeID, CreditDescriptions.pageSize, APIField("batch_id", .id, "Only codes of this batch.").optional,
            APIField("state", .choice(CodeState.allCases.map(\.rawValue)), "Only codes in this state.").optional,
        ],
        answer: .data(
            .object([
                APIField(
                    "items",
                    .list(
                        .shape(
                            APIShape(
                                name: "RedemptionCode", meaning: "A redemption code, which cannot be redeemed with what is shown.",
                                fields: [
                                    .id("code"), APIField("batch_id", .id, "Its batch."),
                                    APIField("prefix", .string, "The first characters."),
                                    APIField("state", .choice(CodeState.allCases.map(\.rawValue)), "Whether it has been redeemed."),
                                    APIField("account_id", .id, "Whose balance it went to.").orNull,
                                    APIField("redeemed_by", .id, "The user who had it.").orNull,
                                    APIField("redeemed_at", .time, "When.").orNull,
                                ]))), "The codes."), CreditDescriptions.next,
            ])))

    static let disable = RouteDescription(
        id: "disableCodes", chapter: .money, summary: "Has no code of a batch be redeemed any more.",
        notes: "Redeemed ones stay as they are. Repeating it changes nothing.", path: path, answer: .data(.shape(shape)),
        errors: [notFound],
        example: .init(path: "/api/redemption/batch/1/disable"))

    static let redeem = RouteDescription(
        id: "redeemCode", chapter: .money, summary: "Redeems a code for the caller's account.",
        notes: """
            Capitals, spaces and hyphens do not matter. Sent again by the same account, the call answers the same row, with `repeated`. \
            Tries are limited, by user and address; those that succeed do not count.
            """,
        body: .json([
            APIField("code", .text(100), "As it was handed out."),
            APIField("organization_id", .id, "The organization that gets the money; the caller by default.").optional,
        ]),
        answer: .data(
            .object([
                APIField("amount", .usd, "What it has brought."), kind,
                APIField("balance_after", .usd, "The account's balance after its row."),
                APIField("entry_id", .id, "The row of the ledger."),
                APIField("credit", .shape(CreditDescriptions.credit), "The gift; null for cash.").orNull,
                APIField("repeated", .boolean, "True where the account had redeemed it already."),
            ])),
        errors: [
            (403, "`code_not_for_account`: the account's group is not among those that may, or it has redeemed as many as it may"),
            (404, "`code_unknown`"), (409, "`code_used`, `code_expired` or `code_disabled`"), (429, "too many tries; `Retry-After`"),
        ],
        example: .init(body: ["code": "00000-00000-00000-00000-000000"], status: 404))
}
