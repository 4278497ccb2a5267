import RouterCore

/// API keys, managed by a program with a management key.
enum RouterKeyDescriptions {
    private static let reference = "https://openrouter.ai/docs/features/provisioning-api-keys"

    private static let shape = APIShape(
        name: "OpenRouterKey", meaning: "An API key in OpenRouter's form, without the key itself.",
        fields: [
            APIField("hash", .string, "The SHA-256 of the key, by which it is named here."), APIField("name", .string, "For people."),
            APIField("label", .string, "The first characters of the key."), APIField("disabled", .boolean, "Disabled keys are refused."),
            APIField("created_at", .string, "ISO 8601."), APIField("updated_at", .any, "Null."),
            APIField("last_used_at", .string, "ISO 8601; null = not used yet.").orNull,
            APIField("expires_at", .string, "ISO 8601; null = never.").orNull, APIField("creator_user_id", .string, "Whose it is."),
            APIField("external_user", .any, "Null."), APIField("workspace_id", .choice([RouterKeyHandlers.workspace]), "Always."),
            APIField("include_byok_in_limit", .boolean, "False."),
        ] + RouterAccountDescriptions.limits + RouterAccountDescriptions.usage)

    private static let one = APIField("data", .shape(shape), "The key.")
    private static let path = [APIField("hash", .string, "The key's hash.")]
    private static let notFound = (status: 404, when: "the account has no such key, or it is a management key")
    private static let name = APIField("name", .text(100), "For people.")
    private static let workspace = APIField("workspace_id", .text(100), "`\(RouterKeyHandlers.workspace)`: there are no others.").optional
    private static let byok = APIField("include_byok_in_limit", .boolean, "Without effect: vendors' keys are the gateway's.").optional
    private static let budget: [APIField] = [
        APIField("limit", .usd, "The budget of the key; null = none. It replaces the budgets that the key had.").optional.orNull,
        APIField("limit_reset", .text(10), "`daily`, `monthly`, or null for a budget that never begins anew.").optional.orNull,
    ]
    private static let example = "/api/v1/keys/" + String(repeating: "0", count: 64)

    static let list = RouteDescription(
        id: "keys", chapter: .openRouter, summary: "The API keys of the management key's account, the newest first, a hundred at most.",
        reference: reference,
        query: [
            APIField("offset", .integer(0...1_000), "Keys that are passed over.").optional,
            APIField("include_disabled", .choice(["true", "false"]), "Whether disabled keys are shown; false by default.").optional,
            APIField("include_expired", .choice(["true", "false"]), "Whether expired keys are shown; false by default.").optional,
            workspace,
        ], answer: .json(.object([APIField("data", .list(.shape(shape)), "The keys.")])), errors: [(400, "a parameter is wrong")])

    static let get = RouteDescription(
        id: "key", chapter: .openRouter, summary: "One of these keys.", path: path, answer: .json(.object([one])), errors: [notFound],
        example: .init(path: example))

    static let create = RouteDescription(
        id: "makeKey", chapter: .openRouter, summary: "Makes an API key of the management key's account.", reference: reference,
        body: .json(
            [name] + budget + [
                APIField("expires_at", .text(40), "When the key ends, ISO 8601; null = never.").optional.orNull, byok, workspace,
                APIField("creator_user_id", .text(40), "The management key's user, or nothing.").optional.orNull,
            ]), answer: .json(.object([APIField("key", .string, "The key. It is shown this once."), one])), status: 201,
        errors: [(409, "the user has 1000 keys")],
        example: .init(body: ["name": "customer 7", "limit": .number("25"), "limit_reset": "monthly"]))

    static let change = RouteDescription(
        id: "editKey", chapter: .openRouter, summary: "Changes what is named of one of these keys.", path: path,
        body: .json([name.optional, APIField("disabled", .boolean, "Disabled keys are refused.").optional] + budget + [byok, workspace]),
        answer: .json(.object([one])),
        errors: [(403, "an admin has set a tighter limit"), notFound, (409, "the limits have been changed meanwhile")],
        example: .init(path: example, body: ["disabled": false, "limit": .number("50")]))

    static let delete = RouteDescription(
        id: "removeKey", chapter: .openRouter, summary: "Deletes one of these keys, at once.", path: path,
        answer: .json(.object([APIField("deleted", .boolean, "True.")])), errors: [notFound], example: .init(path: example))
}
