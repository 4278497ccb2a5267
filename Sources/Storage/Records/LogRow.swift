public import RouterCore

/// A row of `logs`.
public struct LogRow: Sendable, Hashable {
    public var id: Int64
    public var record: RequestRecord
    public init(id: Int64, record: RequestRecord) {
        self.id = id
        self.record = record
    }
}
