/// A row of `console_channels`, `console_providers` or `console_secrets`.
public struct ConsoleRow: Sendable, Hashable {
    public enum Key: Sendable, Hashable {
        case channel(Int64)
        case provider(String)
        /// The name of a variable of channels.yaml.
        case secret(String)
    }

    public var key: Key
    /// JSON, without secrets.
    public var config: String
    /// Secrets, as the gateways' sealer has made them; nil = none.
    public var sealed: [UInt8]?
    /// Counts the changes, from 1. In a change: the version that it is made to.
    public var version: Int64
    /// Unix seconds.
    public var createdAt: Int64
    public var updatedAt: Int64

    public init(
        key: Key, config: String = "{}", sealed: [UInt8]? = nil, version: Int64 = 0, createdAt: Int64 = 0, updatedAt: Int64 = 0
    ) {
        self.key = key
        self.config = config
        self.sealed = sealed
        self.version = version
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}
