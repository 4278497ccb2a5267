import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore

/// Step 2: the body, bounded, and one scan of it. The bytes stay as they came.
struct Read: Sendable {
    /// Bytes.
    let limit: Int

    func run(_ request: Request, endpoint: Endpoint, target: GeminiTarget? = nil) async throws -> RequestEnvelope {
        if let encoding = request.headers[.contentEncoding], encoding.lowercased() != "identity" {
            throw APIError.badRequest("Content-Encoding '\(encoding)' is not accepted; send the body uncompressed", param: nil)
        }
        if let announced = request.headers[.contentLength].flatMap(Int.init), announced > limit {
            throw APIError.bodyTooLarge(limit)
        }
        var body = ByteBuffer()
        for try await chunk in request.body {
            guard body.readableBytes + chunk.readableBytes <= limit else { throw APIError.bodyTooLarge(limit) }
            if body.readableBytes == 0 { body = chunk } else { body.writeImmutableBuffer(chunk) }
        }
        do {
            if endpoint.takesForm {
                return try RequestEnvelope(form: body, contentType: request.headers[.contentType], endpoint: endpoint)
            }
            if let target {
                return try RequestEnvelope(
                    gemini: body, model: target.model, isStream: target.isStream, streamsArray: target.streamsArray)
            }
            return try RequestEnvelope(body: body, endpoint: endpoint)
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
    }
}
