import RouterCore
public import Storage
import Synchronization

/// The price table in memory: what requests read. Loaded from `model_pricing` at start, changed with it.
public final class PriceBook: Sendable {
    private let rows: Mutex<[String: PricingRow]>

    public init(_ rows: [PricingRow] = []) {
        self.rows = Mutex(Dictionary(rows.map { ($0.modelName, $0) }) { _, last in last })
    }

    public func row(_ model: String) -> PricingRow? { rows.withLock { $0[model] } }

    /// Sorted by name.
    public var all: [PricingRow] { rows.withLock { Array($0.values) }.sorted { $0.modelName < $1.modelName } }

    /// From the next request on this price holds; requests in flight keep theirs.
    public func update(_ row: PricingRow) { rows.withLock { $0[row.modelName] = row } }

    public func replaceAll(_ rows: [PricingRow]) {
        let table = Dictionary(rows.map { ($0.modelName, $0) }) { _, last in last }
        self.rows.withLock { $0 = table }
    }
}
