/// Changes that others have made in the same database.
public protocol ChangeFeed: Sendable {
    /// Changes by other gateways, as they come, with gaps told as ``StoreChange/Topic/everything``. Ends when the store is closed; nil when
    /// nobody else can change anything.
    func changes() -> AsyncStream<[StoreChange]>?
}
