/// What a client can ask for, independent of any vendor.
public enum Endpoint: String, Sendable, Hashable, CaseIterable {
    case chat
    case completions
    case embeddings
    case models
}

/// The name of a protocol family, as `adaptor:` in a provider file.
public struct AdaptorID: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public var rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    public static let openai = AdaptorID(rawValue: "openai")
    public static let openrouter = AdaptorID(rawValue: "openrouter")
}
