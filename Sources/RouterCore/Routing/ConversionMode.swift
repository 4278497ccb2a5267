/// Decides about fields that the protocol of a model's vendor cannot express.
public enum ConversionMode: String, Sendable, Hashable, CaseIterable {
    /// Those that do not change what the answer means are left out, and the client is told which.
    case lenient
    /// All of them are refused.
    case strict
}
