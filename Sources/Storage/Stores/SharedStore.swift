/// A store that other gateways may use as well.
public protocol SharedStore: Sendable {
    /// True when other gateways may use the same database.
    var isShared: Bool { get }
}
