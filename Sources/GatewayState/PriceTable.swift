import Config
package import RouterCore
package import Storage

/// The price table as one snapshot has it.
package struct PriceTable: Sendable {
    private let rows: [String: PricingRow]

    package init(_ rows: [PricingRow] = []) {
        self.rows = Dictionary(rows.map { ($0.modelName, $0) }) { _, last in last }
    }

    private init(rows: [String: PricingRow]) { self.rows = rows }

    package func row(_ model: String) -> PricingRow? { rows[model] }

    /// The version of the newest row; 0 for an empty table.
    package var latestVersion: Int64 { rows.values.reduce(0) { max($0, $1.version) } }

    /// Sorted by name.
    package var all: [PricingRow] { rows.values.sorted { $0.modelName < $1.modelName } }

    /// The table with this row. - Returns: nil where it has a newer version.
    package func replacing(_ row: PricingRow) -> PriceTable? {
        guard row.version >= rows[row.modelName]?.version ?? 0 else { return nil }
        var rows = rows
        rows[row.modelName] = row
        return PriceTable(rows: rows)
    }
}

extension GatewaySnapshot {
    /// The price that a user of a group pays for a model on a channel: the price row of the public name, else of the vendor's name, else
    /// the default that the provider file has for all its models. nil = it has no price and may not be used.
    package func quote(_ channel: Channel, model: String, upstream: String, group: String) -> PriceQuote? {
        offer(channel, model: model, upstream: upstream, group: group)?.quote
    }

    /// The same with the most tokens that the price row of the public name says an answer and the whole context can have.
    package func offer(
        _ channel: Channel, model: String, upstream: String, group: String
    ) -> (quote: PriceQuote, maxOutputTokens: Int64?, contextLength: Int64?)? {
        let ratio = ratio(ofGroup: group)
        let named = prices.row(model)
        func offer(
            _ price: ModelPrice, _ version: Int64, covers: Bool = false
        ) -> (quote: PriceQuote, maxOutputTokens: Int64?, contextLength: Int64?) {
            var quote = PriceQuote(price: price, ratio: ratio, version: version)
            quote.coversReportedCost = covers
            return (quote, named?.maxOutputTokens, named?.contextLength)
        }
        if let named, named.isActive { return offer(named.price, named.version, covers: covers(named, channel)) }
        if upstream != model, let row = prices.row(upstream), row.isActive {
            return offer(row.price, row.version, covers: covers(row, channel))
        }
        if let price = channel.provider.defaultPrice { return offer(price, 0) }
        guard configuration.metering.unknownPrice == .free else { return nil }
        return offer(.free, 0)
    }

    /// The price that a channel's vendor bills us for a model; nil = unknown. Its list price is the one that a sync has written last, or
    /// else the one of the provider file; a price that an administrator has set says what users pay, and nothing of the cost.
    package func cost(_ channel: Channel, upstream: String) -> CostPrice? {
        channel.costPrice(upstream, list: listPrice(channel.provider.name, upstream))
    }

    private func listPrice(_ provider: String, _ upstream: String) -> ModelPrice? {
        guard let row = prices.row(upstream), !row.isEdited, row.isActive, row.provider == provider else { return nil }
        return row.price
    }

    /// The unit that a request would sell below its cost on a channel; nil = none, or price or cost is unknown.
    /// - Parameters:
    ///   - promptTokens: the size of the prompt, by which prices may differ.
    ///   - change: what the request makes of price and cost: its pictures, its service tier.
    package func unitBelowCost(
        _ channel: Channel, model: String, upstream: String, group: String, promptTokens: Int64,
        _ change: (inout PriceQuote, inout CostPrice) -> Void = { _, _ in }
    ) -> String? {
        guard var quote = quote(channel, model: model, upstream: upstream, group: group),
            var cost = cost(channel, upstream: upstream)
        else { return nil }
        change(&quote, &cost)
        return quote.unitBelow(cost, promptTokens: promptTokens)
    }

    /// OpenRouter's list has one price of each model, and hosts that may be dearer. What an administrator has set is charged as it is.
    private func covers(_ row: PricingRow, _ channel: Channel) -> Bool { channel.provider.family == .openrouter && !row.isEdited }
}
