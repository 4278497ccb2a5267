import NIOCore

/// OpenAI's Responses (https://platform.openai.com/docs/api-reference/responses).
public enum ResponsesDialect: RequestDialect {
    static var outputBounds: OutputBounds { .maxOutputTokens }
    static var strictShape: StrictRequestShape { StrictRequestShape(body: StrictResponses.body) }

    /// The fields of chat that cost extra cost here as well.
    static func extra(_ name: String, _ member: JSONMember, _ bytes: Span<UInt8>) -> CostlyField? {
        ChatDialect.extra(name, member, bytes)
    }
}
