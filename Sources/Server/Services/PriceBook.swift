import Config
import RouterCore
public import Storage
import Synchronization

/// The price table in memory: what requests read. Loaded from `model_pricing` at start, changed with it.
public final class PriceBook: Sendable {
    private struct State {
        var rows: [String: PricingRow]
        /// Rows that were changed one by one, with the number of the change.
        var changes: [String: (number: Int, row: PricingRow)] = [:]
        var number = 0
    }
    private let state: Mutex<State>

    public init(_ rows: [PricingRow] = []) {
        state = Mutex(State(rows: Self.table(rows)))
    }

    private static func table(_ rows: [PricingRow]) -> [String: PricingRow] {
        Dictionary(rows.map { ($0.modelName, $0) }) { _, last in last }
    }

    public func row(_ model: String) -> PricingRow? { state.withLock { $0.rows[model] } }

    /// Sorted by name.
    public var all: [PricingRow] { state.withLock { Array($0.rows.values) }.sorted { $0.modelName < $1.modelName } }

    /// From the next request on this price holds; requests in flight keep theirs.
    public func update(_ row: PricingRow) {
        state.withLock { state in
            guard row.version >= state.rows[row.modelName]?.version ?? 0 else { return }
            state.number += 1
            state.rows[row.modelName] = row
            state.changes[row.modelName] = (state.number, row)
        }
    }

    /// How many changes there have been: to be asked before a table is read that is to replace this one.
    public var changeCount: Int { state.withLock { $0.number } }

    /// - Parameter since: ``changeCount`` from before the rows were read. What was changed meanwhile is newer than they are, and stays.
    public func replaceAll(_ rows: [PricingRow], since: Int) {
        let table = Self.table(rows)
        state.withLock { state in
            state.rows = table
            for (model, change) in state.changes where change.number > since {
                if change.row.version >= table[model]?.version ?? 0 { state.rows[model] = change.row }
            }
        }
    }
}

extension PriceBook {
    /// What a user of a group pays for a model on a channel: the price row of the public name, else of the vendor's name, else what the
    /// provider file says for all its models. nil = it has no price and may not be used.
    func quote(_ channel: Channel, _ model: String, _ upstream: String, _ snapshot: GatewaySnapshot, group: String) -> PriceQuote? {
        offer(channel, model, upstream, snapshot, group: group)?.quote
    }

    /// The same with the most tokens that the price row of the public name says an answer and the whole context can have.
    func offer(
        _ channel: Channel, _ model: String, _ upstream: String, _ snapshot: GatewaySnapshot, group: String
    ) -> (quote: PriceQuote, maxOutputTokens: Int64?, contextLength: Int64?)? {
        let ratio = snapshot.ratio(ofGroup: group)
        let named = row(model)
        func offer(
            _ price: ModelPrice, _ version: Int64, covers: Bool = false
        ) -> (quote: PriceQuote, maxOutputTokens: Int64?, contextLength: Int64?) {
            var quote = PriceQuote(price: price, ratio: ratio, version: version)
            quote.coversReportedCost = covers
            return (quote, named?.maxOutputTokens, named?.contextLength)
        }
        if let named, named.isActive { return offer(named.price, named.version, covers: covers(named, channel)) }
        if upstream != model, let row = row(upstream), row.isActive { return offer(row.price, row.version, covers: covers(row, channel)) }
        if let price = channel.provider.defaultPrice { return offer(price, 0) }
        guard snapshot.configuration.metering.unknownPrice == .free else { return nil }
        return offer(.free, 0)
    }

    /// OpenRouter's list has one price of each model, and hosts that may be dearer. What an administrator has set is charged as it is.
    private func covers(_ row: PricingRow, _ channel: Channel) -> Bool { channel.provider.family == .openrouter && !row.isEdited }
}
