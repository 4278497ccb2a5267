package import RouterCore

/// A path for model calls. Calls in Google's dialect have the model in their path and are recognised by ``GeminiTarget``.
package struct ModelCallRoute: Sendable {
    package var path: String
    package var endpoint: Endpoint
    /// Whether the tokens of the body are only counted, without asking a vendor.
    package var isCount = false

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
