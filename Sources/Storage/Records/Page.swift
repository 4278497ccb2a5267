/// A page of rows, newest first. `page` counts from 1.
public struct PageRequest: Sendable, Hashable {
    public var page: Int
    public var size: Int
    public init(page: Int = 1, size: Int = 20) {
        self.page = page
        self.size = size
    }
}

public struct Page<Row: Sendable>: Sendable {
    public var items: [Row]
    public var total: Int64
    public init(items: [Row], total: Int64) {
        self.items = items
        self.total = total
    }
}
