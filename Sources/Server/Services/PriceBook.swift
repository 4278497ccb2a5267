import Config
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

extension PriceBook {
    /// What a user of a group pays for a model on a channel: the price row of the public name, else of the vendor's name, else what the
    /// provider file says for all its models. nil = it has no price and may not be used.
    func quote(_ channel: Channel, _ model: String, _ upstream: String, _ snapshot: GatewaySnapshot, group: String) -> PriceQuote? {
        offer(channel, model, upstream, snapshot, group: group)?.quote
    }

    /// The same with the most tokens that the price row of the public name says an answer can have.
    func offer(
        _ channel: Channel, _ model: String, _ upstream: String, _ snapshot: GatewaySnapshot, group: String
    ) -> (quote: PriceQuote, maxOutputTokens: Int64?)? {
        let ratio = snapshot.ratio(ofGroup: group)
        let named = row(model)
        func offer(_ price: ModelPrice, _ version: Int64) -> (quote: PriceQuote, maxOutputTokens: Int64?) {
            (PriceQuote(price: price, ratio: ratio, version: version), named?.maxOutputTokens)
        }
        if let named, named.isActive { return offer(named.price, named.version) }
        if upstream != model, let row = row(upstream), row.isActive { return offer(row.price, row.version) }
        if let price = channel.provider.defaultPrice { return offer(price, 0) }
        guard snapshot.configuration.metering.unknownPrice == .free else { return nil }
        return offer(.free, 0)
    }
}
