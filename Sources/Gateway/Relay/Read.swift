import Adaptors
import NIOCore
import RouterCore

/// Step 2: one scan of the body. The bytes are not changed; the front door has limited their number.
struct Read: Sendable {
    /// The model for a moderation request that names none, which OpenAI's API allows
    /// (https://platform.openai.com/docs/api-reference/moderations).
    var moderationModel: String?

    /// - Throws: ``APIError`` 400 that names the problem.
    func run(
        _ body: ByteBuffer, contentType: String? = nil, endpoint: Endpoint, target: GeminiTarget? = nil
    ) throws -> RequestEnvelope {
        do {
            if endpoint.takesForm {
                return try RequestEnvelope(form: body, contentType: contentType, endpoint: endpoint)
            }
            if let target, endpoint == .embeddings {
                let request = try GeminiEmbeddings.request(body, model: target.model, isBatch: target.isBatch)
                return try RequestEnvelope(body: request, endpoint: endpoint)
            }
            if let target {
                return try RequestEnvelope(
                    gemini: body, model: target.model, isStream: target.isStream, streamsArray: target.streamsArray)
            }
            if endpoint.mayOmitModel, let moderationModel {
                return try RequestEnvelope(body: RequestEnvelope.naming(moderationModel, in: body), endpoint: endpoint)
            }
            let envelope = try RequestEnvelope(body: body, endpoint: endpoint)
            guard ResponsesShapedChat.matches(envelope) else { return envelope }
            let chat = try ResponsesShapedChat.converted(envelope)
            var converted = try RequestEnvelope(body: chat.body, endpoint: endpoint)
            converted.droppedFields = chat.dropped
            return converted
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
    }
}
