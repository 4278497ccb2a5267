/// The name of a protocol family, as `adaptor:` in a provider file.
public struct AdaptorID: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public var rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    public static let openai = AdaptorID(rawValue: "openai")
    public static let openrouter = AdaptorID(rawValue: "openrouter")
    public static let anthropic = AdaptorID(rawValue: "anthropic")
    public static let gemini = AdaptorID(rawValue: "gemini")
    public static let cohere = AdaptorID(rawValue: "cohere")
    public static let bedrock = AdaptorID(rawValue: "bedrock")
    public static let azureOpenAI = AdaptorID(rawValue: "azure-openai")
}
