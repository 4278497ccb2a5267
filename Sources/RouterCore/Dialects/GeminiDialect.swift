import NIOCore

/// Google's generateContent (https://ai.google.dev/api/generate-content). Its requests are read by
/// ``RequestEnvelope/init(gemini:model:isStream:streamsArray:)``.
public enum GeminiDialect: RequestDialect {
    static var namesModelInPath: Bool { true }
    static var outputBounds: OutputBounds { [] }
    static var toolChoice: String { "toolConfig" }
    static var hasKeyedTools: Bool { true }
    static var strictShape: StrictRequestShape { StrictRequestShape(body: StrictGemini.body, named: StrictGemini.named) }

    static func limitingOutput(
        of request: RequestEnvelope, to tokens: Int64
    ) throws(RequestEnvelope.Rejection) -> RequestEnvelope {
        try request.limitingGeminiOutput(to: tokens)
    }

    static func request(
        _ request: RequestEnvelope, with body: ByteBuffer
    ) throws(RequestEnvelope.Rejection) -> RequestEnvelope {
        try RequestEnvelope(
            gemini: body, model: request.model, isStream: request.isStream, streamsArray: request.streamsArray)
    }
}
