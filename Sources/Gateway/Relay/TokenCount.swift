import Config
import GatewayState
import HTTPTypes
import NIOCore
import RouterCore

/// `POST /v1/messages/count_tokens` and Google's `:countTokens`: the gateway's own count (docs/token-counting.md) for a Messages body, for
/// `contents`, or for a whole `generateContentRequest`. No vendor is asked and nothing is charged.
enum TokenCount {
    /// - Throws: ``APIError``.
    static func answer(_ accepted: Accepted, _ body: ByteBuffer, counting vocabulary: BPEVocabulary?) throws -> ClientAnswer {
        let request = accepted.request
        let envelope = try Read().run(body, endpoint: request.endpoint, target: request.target)
        let principal = accepted.principal
        guard principal.allows(model: envelope.model),
            accepted.snapshot.configuration.routes.serves(envelope.model, group: principal.group)
        else { throw APIError.modelNotFound(envelope.model) }
        let count: JSONValue =
            request.target == nil
            ? ["input_tokens": .integer(envelope.promptTokens(by: vocabulary))]
            : ["totalTokens": .integer(envelope.prompt.tokens)]
        var bytes = ByteBuffer()
        count.write(to: &bytes)
        return ClientAnswer(status: .ok, headers: [.contentType: "application/json"], bytes: bytes)
    }
}
