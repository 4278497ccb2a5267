/// The language that a client speaks, whatever it asks for. ``RequestDialect`` is what its requests look like; how answers and errors are
/// written in it is added in Adaptors.
public enum Dialect: String, Sendable, Hashable, CaseIterable {
    /// OpenAI's, with what others have added to it.
    case chat
    /// OpenAI's Responses.
    case responses
    /// Anthropic's Messages.
    case messages
    /// Google's generateContent.
    case gemini

    var request: any RequestDialect.Type {
        switch self {
        case .chat: ChatDialect.self
        case .responses: ResponsesDialect.self
        case .messages: MessagesDialect.self
        case .gemini: GeminiDialect.self
        }
    }

    /// The model stands in the path, not in the body.
    public var namesModelInPath: Bool { request.namesModelInPath }
}
