import RouterCore

/// The console's playground.
enum PlaygroundDescriptions {
    static let open = RouteDescription(
        id: "openPlayground", chapter: .calls, summary: "Opens the caller's session for `POST /api/playground/chat/completions`.",
        notes: """
            It stays open for \(PlaygroundHandlers.lifetime / 60) minutes in this gateway's memory, and closes with the session, with a \
            new password and with any change of the user.
            """,
        query: [.organizationID],
        answer: .data(.object([APIField("expires_at", .time, "When it closes by itself.")])))

    static let chat: RouteDescription = {
        var chat = ModelDescriptions.relay(.chat)
        chat.id = "createPlaygroundChatCompletion"
        chat.summary = "The same as `POST /v1/chat/completions`, by session in place of an API key."
        chat.notes = """
            Charged to the session's user, whose limits and budgets hold; the log row has no key. A page calls it with its cookie, from \
            the gateway's own site only. Errors have OpenAI's form; 401 with the code `playground_closed` means: \
            `POST /api/playground/open`, then again.
            """
        chat.errors += [
            (401, "no session, or one that is not open (`playground_closed`)"), (403, "a browser sends this from another site's page"),
        ]
        return chat
    }()
}
