import RouterCore

/// Login, logout, registration and the user's own account.
enum LoginDescriptions {
    static let username = APIField("username", .text(200), "3 to 64 of letters, digits, `-`, `_`, `.` and `@`; no two users have the same.")
    static let newPassword = APIField("password", .text(128), "8 to 128 bytes.")
    static let displayName = APIField("display_name", .text(200), "For people; the `username` by default.").optional
    static let email = APIField("email", .text(200), "Kept as it is given; nothing is sent to it.").optional

    private static let busy = (status: 429, when: "too many tries; `Retry-After` says when the next one is looked at")
    private static let otherSite = (status: 403, when: "a browser sends this from another site's page")
    private static let notJSON = (status: 415, when: "`Content-Type` is not `application/json`")

    static let login = RouteDescription(
        id: "login", chapter: .login, summary: "Begins a session.",
        notes: """
            The token is for `Authorization: Bearer`; browsers get it as a cookie too. How tries are throttled and how long a session \
            lasts is in [security.md](security.md).
            """,
        body: .json([
            APIField("username", .text(200), "Name of the user."), APIField("password", .text(1_024), "The user's password."),
            APIField(
                "session", .boolean, "True = the session is in the cookie only: the answer has no `access_token`. False by default."
            ).optional,
        ]),
        answer: .data(
            .object([
                .id("user"), APIField("username", .string, "Name of the user."),
                APIField("role", UserDescriptions.roles, "What the user may do."),
                APIField("access_token", .string, "Management token of the session.").optional,
                APIField("expires_at", .time, "When the session ends even if it is used."),
            ])),
        errors: [(401, "wrong username or password, or the user is disabled"), otherSite, notJSON, busy],
        example: .init(body: ["username": "root", "password": "the-root-password"]))

    static let logout = RouteDescription(
        id: "logout", chapter: .login, summary: "Ends the session that the call comes with.", answer: .data(nil))

    static let register = RouteDescription(
        id: "register", chapter: .login, summary: "Makes an account for whoever calls, where `server.registration` allows it.",
        body: .json([username, newPassword, displayName, email]), answer: .data(.shape(UserDescriptions.user)),
        errors: [
            (403, "registration is closed, or a browser sends this from another site's page"), (409, "the name is taken"), notJSON, busy,
        ],
        example: .init(body: ["username": "carol", "password": "a-long-password", "email": "carol@example.org"]))

    private static let own = APIShape(
        name: "OwnUser", meaning: "The caller's account, with what the pages tell of it.",
        fields: UserDescriptions.user.fields + [
            APIField("low_balance", .boolean, "Whether the balance is below the threshold."),
            APIField("low_balance_threshold", .usd, "As the caller has set it; 1 by default, 0 = no notice."),
        ])

    static let current = RouteDescription(
        id: "getSelf", chapter: .login, summary: "Who the caller is.", answer: .data(.shape(own)))

    static let session = RouteDescription(
        id: "getSession", chapter: .login, summary: "Who the caller is, for pages that visitors read too.",
        answer: .data(.object([APIField("user", .shape(own), "Null = nobody who is logged in.").orNull])))

    static let change = RouteDescription(
        id: "changeSelf", chapter: .login, summary: "Changes the caller's own account.",
        notes: "A new password ends all other sessions and management tokens of the user; API keys go on.",
        body: .json([
            APIField("old_password", .text(1_024), "The password up to now."), newPassword.optional, displayName, email,
        ]), answer: .data(.shape(UserDescriptions.user)),
        errors: [
            (403, "`old_password` is wrong"), (409, "the password has been changed meanwhile"), busy,
        ], example: .init(body: ["old_password": "the-root-password", "display_name": "Root"]))

    static let changeSettings = RouteDescription(
        id: "changeSettings", chapter: .login, summary: "Changes what the caller wants to be told.", notes: "What is absent stays.",
        body: .json([
            APIField(
                "low_balance", .usd, "The balance below which `low_balance` is true; 0 = never, null = 1 again."
            ).optional.orNull
        ]),
        answer: .data(.object([APIField("low_balance", .usd, "The threshold in force; 0 = no notice.")])),
        example: .init(body: ["low_balance": .number("5")]))

    static let sessions = RouteDescription(
        id: "listSessions", chapter: .login, summary: "The caller's sessions and management tokens.",
        answer: .data(
            .list(
                .object([
                    APIField("id", .string, "Sixteen hexadecimal digits, for ending it."),
                    APIField("kind", .choice(["session", "token"]), "`token` = a management token without an end."),
                    APIField("current", .boolean, "Whether this call came with it."), .createdAt,
                    APIField("used_at", .time, "Last use, to the minute."), APIField("expires_at", .time, "Null = never.").orNull,
                    APIField("client_ip", .string, "Where it was begun."), APIField("user_agent", .string, "By what it was begun."),
                ]))))

    static let endOthers = RouteDescription(
        id: "endOtherSessions", chapter: .login, summary: "Ends all sessions of the caller but the one that the call comes with.",
        notes: "Management tokens without an end stay; each is ended by itself, or with the password.", answer: .data(nil))

    static let endSession = RouteDescription(
        id: "endSession", chapter: .login, summary: "Ends one session or management token of the caller.",
        path: [APIField("id", .string, "As `GET /api/user/self/sessions` tells it.")], answer: .data(nil),
        errors: [(404, "the caller has no such session")], example: .init(path: "/api/user/self/sessions/0123456789abcdef"))
}
