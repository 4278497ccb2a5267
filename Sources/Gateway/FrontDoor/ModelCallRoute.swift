package import RouterCore

/// A path at which model calls are taken. Calls in Google's dialect have the model in their path and are known by ``GeminiTarget``.
package struct ModelCallRoute: Sendable {
    package var path: String
    package var endpoint: Endpoint
    /// The tokens of the body are counted, and no vendor is asked.
    package var isCount = false

    /// All of one area.
    /// - Parameter prefix: `/v1`, or `/api/v1`, where OpenRouter's clients look.
    package static func all(under prefix: String) -> [ModelCallRoute] {
        func route(_ path: String, _ endpoint: Endpoint, isCount: Bool = false) -> ModelCallRoute {
            ModelCallRoute(path: prefix + path, endpoint: endpoint, isCount: isCount)
        }
        return [
            route("/chat/completions", .chat),
            route("/completions", .completions),
            route("/embeddings", .embeddings),
            route("/responses", .responses),
            route("/messages", .messages),
            route("/messages/count_tokens", .messages, isCount: true),
            route("/images/generations", .images),
            route("/audio/speech", .speech),
            route("/audio/transcriptions", .transcriptions),
            route("/moderations", .moderations),
            route("/rerank", .rerank),
        ]
    }

    /// All of them.
    package static let all = all(under: "/v1") + all(under: "/api/v1")
}
