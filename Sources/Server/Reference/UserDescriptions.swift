import RouterCore
import Storage

/// Administration of users.
enum UserDescriptions {
    static let roles = APIField.Kind.code([(1, "user"), (10, "admin"), (100, "root")])
    static let statuses = APIField.Kind.code([(1, "enabled"), (2, "disabled")])

    static let user = APIShape(
        name: "User", meaning: "An account.",
        fields: [
            .id("user"), APIField("username", .string, "Name for login."), APIField("display_name", .string, "Name for people."),
            APIField("email", .string, "May be empty."), APIField("role", roles, "What the user may do."),
            APIField("status", statuses, "Disabled users and their keys are refused."),
            APIField("group", .string, "Group of gateway.yaml, which has a price factor and limits."),
            APIField(
                "group_source", .choice(User.GroupSource.allCases.map(\.rawValue)),
                "`admin` = chosen by hand, so it follows no level; `level` = given by a level; null = neither."
            ).orNull,
            APIField("limits", .shape(.userLimits), "Null where the stored ones cannot be read; the user's keys are refused then.").orNull,
            APIField("balance", .usd, "What the ledger has, holds not taken off."),
            APIField("held", .usd, "What calls that this gateway is serving now may cost at most."),
            APIField(
                "spent",
                .object([
                    APIField("month", .usd, "In this month (UTC)."), APIField("total", .usd, "Since ever."),
                ]), "Charges, as budgets count them."),
            APIField("quota", .integer(.min ... .max), "The balance in whole cents, for clients that know no fractions."), .createdAt,
        ])

    private static let role = APIField("role", roles, "Below the caller's own; `user` by default.").optional
    private static let group = APIField("group", .text(200), "A group of gateway.yaml; `default` by default.").optional
    private static let path = [APIField("id", .id, "The user's id.")]
    private static let notFound = (status: 404, when: "there is no such user")
    private static let above = (
        status: 403, when: "the user's role is not below the caller's ([accounts.md](accounts.md) has the whole table)"
    )

    static let list = RouteDescription(
        id: "listUsers", chapter: .users, summary: "All users, or those that are looked for; the newest first.",
        query: [
            APIField.search("Part of the name, the name for people or the e-mail address, or the whole id"),
            APIField("role", roles, "Only users with this role.").optional,
            APIField("status", statuses, "Only users with this status.").optional,
            APIField("group", .string, "Only users of this group.").optional,
        ]
            + APIField.sorting(
                UserQuery.Order.allCases.map(\.rawValue), "`id` by default; `spent` = what was charged in this month.") + APIField.pages,
        answer: .page(user), example: .init(path: "/api/user?page_size=50"))

    static let groups = RouteDescription(
        id: "listGroups", chapter: .users, summary: "The groups of gateway.yaml.",
        answer: .data(
            .list(
                .object([
                    APIField("name", .string, "As users have it in `group`."),
                    APIField("ratio", .price, "Price factor, exact to six decimals."), APIField("users", .count, "How many users it has."),
                ]))))

    static let create = RouteDescription(
        id: "createUser", chapter: .users, summary: "Makes an account.",
        notes: "It has no money yet: `POST /api/balance/admin/add` brings some.",
        body: .json([
            LoginDescriptions.username, LoginDescriptions.newPassword, LoginDescriptions.displayName, LoginDescriptions.email, group, role,
        ]), answer: .data(.shape(user)),
        errors: [(403, "the role is not below the caller's"), (409, "the name is taken")],
        example: .init(body: ["username": "bob", "password": "a-long-password", "group": "default"]))

    static let one = RouteDescription(
        id: "getUser", chapter: .users, summary: "One user.", path: path,
        answer: .data(
            .shape(
                APIShape(
                    name: "UserDetail", meaning: "An account, with the number of its keys.",
                    fields: user.fields + [APIField("keys", .count, "How many API keys the user has.")]))), errors: [notFound],
        example: .init(path: "/api/user/2"))

    static let change = RouteDescription(
        id: "changeUser", chapter: .users, summary: "Changes what is named of a user.",
        notes: "A new password, or `status` 2, ends the user's sessions and management tokens; API keys go on after a new password.",
        path: path,
        body: .json([
            LoginDescriptions.username.optional, LoginDescriptions.newPassword.optional, LoginDescriptions.displayName,
            LoginDescriptions.email, group, role, APIField("status", statuses, "Nobody disables themselves.").optional,
            APIField(
                "group_follows_levels", .boolean,
                "True: the group is given by the account's level again ([accounts.md](accounts.md#levels))."
            ).optional,
            APIField("limits", .shape(.userLimits), "Replaces all limits of the user; `{}` takes them away.").optional,
        ]), answer: .data(.shape(user)), errors: [above, notFound, (409, "the name is taken")],
        example: .init(
            path: "/api/user/2", body: ["display_name": "Alice", "limits": ["budget": ["month": .number("20")], "rpm": .number("60")]]))

    static let delete = RouteDescription(
        id: "deleteUser", chapter: .users, summary: "Deletes a user and all of the user's keys.", notes: "The ledger keeps its rows.",
        path: path, answer: .data(nil), errors: [above, notFound], example: .init(path: "/api/user/2"))
}

/// API keys.
enum TokenDescriptions {
    private static let modes = APIField.Kind.choice(ConversionMode.allCases.map(\.rawValue))
    private static let conversion = APIField(
        "conversion", modes,
        "`strict` refuses the fields that a conversion would leave out. It goes before the channel's and the gateway's setting."
    ).optional.orNull

    private static let fields: [APIField] = [
        .id("key"), APIField("name", .string, "For people."), APIField("user_id", .id, "Whose it is: a user's, or the organization's own."),
        APIField("account_id", .id, "The organization that pays for its calls; null = the user.").orNull,
        APIField("key_prefix", .string, "The first characters of the key."),
        APIField("management", .boolean, "Whether it manages keys at `/api/v1/keys`; such a key makes no model calls."),
        APIField("status", UserDescriptions.statuses, "Disabled keys are refused."),
        APIField("expires_at", .time, "Null = never.").orNull,
        APIField("models", .list(.string), "Names that the key may use, also with `*` at the end; empty = all."),
        APIField(
            "limits", .shape(.keyLimits),
            "Those in force: the tighter of the owner's and the administrators'. Null where they cannot be read; the key is refused then."
        ).orNull,
        APIField("admin_limits", .shape(.keyLimits), "The administrators' part, which the owner cannot raise; null = none.").orNull,
        APIField("conversion", modes, "How requests with the key are converted; null = as the channel or the gateway says.").orNull,
        APIField(
            "spent",
            .object([
                APIField("day", .usd, "Today (UTC)."), APIField("month", .usd, "In this month."), APIField("total", .usd, "Since ever."),
            ]), "What was charged to the key, as budgets count it."),
        APIField("left", .usd, "What the tightest budget of the key has left; null = it has none.").orNull,
        APIField("former_until", .time, "Until when the secret before the last rotation goes on; null = it does not.").orNull,
        .createdAt, APIField("accessed_at", .time, "Last use, to about a quarter of a minute; null = not used yet.").orNull,
    ]
    static let key = APIShape(name: "Key", meaning: "An API key (`sk-…`), without the key itself.", fields: fields)
    private static let newKey = APIShape(
        name: "NewKey", meaning: "An API key that was just made.",
        fields: fields[..<2] + [APIField("key", .string, "The key. It is shown this once; the gateway keeps only its SHA-256.")]
            + fields[2...])

    private static let name = APIField("name", .text(100), "For people.")
    private static let expiry = APIField("expires_at", .time, "When the key ends; without it, never.").optional
    private static let models = APIField(
        "models", .list(.text(nil), maximum: 1_000), "Names that the key may use, also with `*` at the end; `[]` = all."
    ).optional
    private static let path = [APIField("id", .id, "The key's id.")]
    private static let notFound = (status: 404, when: "there is no such key, or it is somebody else's")

    static let list = RouteDescription(
        id: "listKeys", chapter: .keys, summary: "The keys of a user.",
        query: [
            APIField.search("Part of the name, or of the first characters of the key"),
            APIField("status", UserDescriptions.statuses, "Only keys with this status.").optional,
        ]
            + APIField.sorting(
                TokenQuery.Order.allCases.map(\.rawValue),
                "`created` by default; `spent` = what was ever charged, `accessed` = the last use.")
            + APIField.pages + [
                APIField("user_id", .id, "Whose; the caller's own by default, others are for admins.").optional, .organizationID,
            ],
        answer: .page(key), errors: [(403, "somebody else's, and the caller is no admin")], example: .init(path: "/api/token?user_id=2"))

    static let create = RouteDescription(
        id: "createKey", chapter: .keys, summary: "Makes an API key of the caller.",
        body: .json([
            name, expiry, models, APIField("limits", .shape(.keyLimits), "Limits of the key, beside those of its user.").optional,
            conversion, APIField("organization_id", .id, "The organization that is to pay for its calls; the caller by default.").optional,
            APIField(
                "shared", .boolean,
                "True = a key of the organization itself, which stays when its maker leaves. For owners and admins there."
            ).optional,
            APIField(
                "management", .boolean,
                "True = a management key, which has no limits but `allowed_ips`, and may not be changed into another."
            ).optional,
        ]), answer: .data(.shape(newKey)), errors: [(409, "the user has 1000 keys")],
        example: .init(body: ["name": "laptop", "models": ["demo/*"], "limits": ["rpm": .number("60")]]))

    static let change = RouteDescription(
        id: "changeKey", chapter: .keys, summary: "Changes what is named of a key.",
        notes:
            """
            `expires_at: null` takes the end away. What an admin sets in `limits` of somebody else's key is kept apart from the owner's \
            part.
            """,
        path: path,
        body: .json([
            name.optional, APIField("status", UserDescriptions.statuses, "Disabled keys are refused.").optional, expiry, models,
            APIField("limits", .shape(.keyLimits), "Replaces the caller's part of the limits; `{}` takes it away.").optional,
            conversion,
        ]), answer: .data(.shape(key)),
        errors: [
            (403, "an admin has set a tighter limit, or the owner's role is not below the caller's"), notFound,
            (409, "the limits have been changed meanwhile"),
        ], example: .init(path: "/api/token/2", body: ["name": "old laptop", "status": .number("2")]))

    static let rotate = RouteDescription(
        id: "rotateKey", chapter: .keys, summary: "Gives a key of the caller a new secret, at once.",
        notes: """
            Its id, limits and spending stay. The old secret is refused from now on, or goes on for `grace_seconds` as the same key: one of \
            them, the last; a secret that was replaced earlier ends.
            """,
        path: path,
        body: .json(
            [
                APIField(
                    "grace_seconds", .integer(0...TokenHandlers.maximumGrace), "For how long the old secret goes on; 0 by default."
                ).optional
            ], isOptional: true), answer: .data(.shape(newKey)),
        errors: [(403, "it is somebody else's, whom the caller may otherwise manage"), notFound],
        example: .init(path: "/api/token/5/rotate"))

    static let delete = RouteDescription(
        id: "deleteKey", chapter: .keys, summary: "Deletes a key, at once.", path: path, answer: .data(nil), errors: [notFound],
        example: .init(path: "/api/token/2"))
}
