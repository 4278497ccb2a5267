public import RouterCore

/// A row of `channel_health`.
public struct ChannelHealthRow: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        case closed, open
        case halfOpen = "half_open"
    }
    public var scope: HealthScope
    public var state: State
    /// The last failure.
    public var kind: FailureKind?
    /// Unix seconds; nil unless open.
    public var openUntil: Int64?
    public var failures: Int
    public var openings: Int
    /// `openUntil` is a time that the vendor has named.
    public var isWished: Bool

    public init(
        scope: HealthScope, state: State, kind: FailureKind? = nil, openUntil: Int64? = nil, failures: Int,
        openings: Int, isWished: Bool = false
    ) {
        self.isWished = isWished
        self.scope = scope
        self.state = state
        self.kind = kind
        self.openUntil = openUntil
        self.failures = failures
        self.openings = openings
    }
}

extension ChannelHealthRow {
    /// Behind the kind of a record whose time the vendor has named, for whoever looks into the table.
    private static let wish = " (retry-after)"

    /// The column `kind`.
    var storedKind: String? { kind.map { isWished ? $0.rawValue + Self.wish : $0.rawValue } }

    /// Reads the column `kind`.
    static func kind(stored: String?) -> (FailureKind?, isWished: Bool) {
        guard let stored, stored.hasSuffix(wish) else { return (stored.flatMap { FailureKind(rawValue: $0) }, false) }
        return (FailureKind(rawValue: String(stored.dropLast(wish.count))), true)
    }
}
