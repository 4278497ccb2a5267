package import RouterCore

/// A path for model calls. Calls in Google's dialect have the model in their path and are recognised by ``GeminiTarget``.
package struct ModelCallRoute: Sendable {
    package var path: String
    package var endpoint: Endpoint
    /// Whether the tokens of the body are only counted, without asking a vendor.
    package var isCount = false
    /// Whether the call comes from the console, with a session in place of a key.
    package var isPlayground = false

    /// The console's own chat.
    package static let playground = ModelCallRoute(path: "/api/playground/chat/completions", endpoint: .chat, isPlayground: true)

    /// All routes of one area.
    /// - Parameter prefix: `/v1`, or `/api/v1`, which OpenRouter's clients use.
    package static func all(under prefix: String) -> [ModelCallRoute] {
        func route(_ path: String, _ endpoint: Endpoint, isCount: Bool = false) -> ModelCallRoute {
            ModelCallRoute(path: prefix + path, endpoint: endpoint, isCount: isCount)
        }
        return [
            route("/chat/completions", .chat),
            route("/completions", .completions),
            route("/embeddings", .embeddings),
            route("/responses", .responses),
            route("/responses/compact", .compact),
            route("/messages", .messages),
            route("/messages/count_tokens", .messages, isCount: true),
            route("/images/generations", .images),
            route("/images/edits", .imageEdits),
            route("/audio/speech", .speech),
            route("/audio/transcriptions", .transcriptions),
            route("/audio/translations", .translations),
            route("/moderations", .moderations),
            route("/rerank", .rerank),
        ]
    }

    /// All routes of all areas.
    package static let all = all(under: "/v1") + all(under: "/api/v1")
}
