public import RouterCore

/// Fields to change; nil = leave.
public struct TokenChange: Sendable {
    public var name: String?
    /// Another secret for the same key: its SHA-256, and its first characters for display.
    public var secret: (keyHash: [UInt8], keyPrefix: String)?
    /// With a new secret: until when the one that it replaces goes on (Unix seconds); nil = it ends at once. One that was replaced earlier
    /// ends in either case.
    public var formerUntil: Int64?
    public var status: TokenStatus?
    /// `.some(nil)` removes the expiry.
    public var expiresAt: Int64??
    public var models: [String]?
    public var limits: String?
    /// `.some(nil)` takes the key's own choice away.
    public var conversion: ConversionMode??
    /// The limits that the new ones were made from; the change is refused (``StoreError/conflict(_:)``) when others are
    /// stored by now. nil = whatever is there is replaced.
    public var limitsBefore: String?
    public init() {}
}
