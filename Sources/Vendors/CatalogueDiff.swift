import GatewayState
import RouterCore
public import Storage

/// What a vendor's list of models would change in the price table. Pure: made from the two, without reading or writing anything.
public struct CatalogueDiff: Sendable, Hashable {
    /// A row that the list says otherwise.
    public struct Change: Sendable, Hashable {
        public var row: PricingRow
        /// `input 0.5 → 0.6`; prices in USD per million tokens or per unit.
        public var fields: [String]
    }

    /// A model and what there is to say of it.
    public struct Note: Sendable, Hashable {
        public var model: String
        public var text: String
    }

    /// Models that the table does not have, as rows to be written.
    public var new: [PricingRow] = []
    /// Rows to be written over old ones.
    public var changed: [Change] = []
    /// Rows that an admin has edited and the list says otherwise: left alone.
    public var kept: [Change] = []
    /// Rows whose price the list lets fall too far to be believed: kept, until an admin says that it is true. The row is that of the list.
    public var held: [Change] = []
    /// Rows of this provider that the list does not name any more: reported, never deleted, because requests of the past point to them.
    public var gone: [String] = []
    /// Models without a price here and in the list: an admin has to set one.
    public var unpriced: [String] = []
    /// Models that another provider prices, with its name.
    public var elsewhere: [Note] = []
    /// Prices that are finer than what is kept (10⁻¹⁵ USD).
    public var rounded: [Note] = []
    public var same = 0
    /// Models whose row has its price from the list now.
    var priced: Set<String> = []

    /// Rows to be written.
    public var rows: [PricingRow] { new + changed.map(\.row) }

    /// - Parameters:
    ///   - rows: the price table.
    ///   - others: other providers that enabled channels use: a model that one of them prices stays theirs.
    ///   - acceptsFalls: a list may make a model free that had a price, or ten times cheaper.
    ///   - isOwnList: of the vendor itself, which may call a new model free. A list that others make may not.
    static func between(
        provider: String, listed: [ListedModel], rows: [PricingRow], others: Set<String>, acceptsFalls: Bool = false,
        isOwnList: Bool = true
    ) -> CatalogueDiff {
        var diff = CatalogueDiff()
        let known = Dictionary(rows.map { ($0.modelName, $0) }) { first, _ in first }
        for model in listed.sorted(by: { $0.id < $1.id }) where ModelName.problem(model.id) == nil {
            guard let row = known[model.id] else {
                diff.add(model, provider, trustsFree: isOwnList || acceptsFalls)
                continue
            }
            if !acceptsFalls, !row.isEdited, row.provider == provider, let price = model.price,
                PriceFall.isTooFar(from: row.price, to: price)
            {
                var new = row.with(model)
                new.provider = provider
                diff.held.append(Change(row: new, fields: Self.fields(row, new)))
                // Its price stays the sync's, as far as it was.
                diff.priced.insert(model.id)
                continue
            }
            diff.compare(row, model, provider, others)
        }
        let names = Set(listed.map(\.id))
        diff.gone = rows.filter { $0.provider == provider && $0.isActive && !names.contains($0.modelName) }.map(\.modelName).sorted()
        return diff
    }

    private mutating func add(_ model: ListedModel, _ provider: String, trustsFree: Bool) {
        guard let price = model.price else {
            unpriced.append(model.id)
            return
        }
        let row = PricingRow(modelName: model.id, displayName: model.id, provider: provider, price: price).with(model)
        guard trustsFree || price.isCharged else {
            held.append(Change(row: row, fields: ["new and free"]))
            return
        }
        new.append(row)
        priced.insert(model.id)
        note(model)
    }

    private mutating func compare(_ row: PricingRow, _ model: ListedModel, _ provider: String, _ others: Set<String>) {
        // A list without prices has nothing to say of a row that is not its provider's.
        if row.provider != provider, others.contains(row.provider) || model.price == nil, !row.isEdited {
            elsewhere.append(Note(model: model.id, text: row.provider))
            return
        }
        var new = row.with(model)
        new.provider = provider
        let fields = Self.fields(row, new)
        if row.isEdited {
            // Whose list it is matters to nobody then.
            let said = fields.filter { !$0.hasPrefix("provider ") }
            if said.isEmpty { same += 1 } else { kept.append(Change(row: row, fields: said)) }
            return
        }
        if model.price != nil { priced.insert(model.id) }
        // A description alone is no reason for a new version.
        if fields.isEmpty { same += 1 } else { changed.append(Change(row: new, fields: fields)) }
        note(model)
    }

    private mutating func note(_ model: ListedModel) {
        if !model.rounded.isEmpty { rounded.append(Note(model: model.id, text: model.rounded.joined(separator: ", "))) }
    }

    func heldEntries(_ source: HeldPrices.Source) -> [HeldPrices.Entry] {
        held.map { HeldPrices.Entry(source: source, row: $0.row, changes: $0.fields.joined(separator: "; ")) }
    }

    // MARK: In words

    static func fields(_ old: PricingRow, _ new: PricingRow) -> [String] {
        zip(words(old), words(new)).filter { $0.1 != $1.1 }.map { "\($0.0) \($0.1) → \($1.1)" }
    }

    private static func words(_ row: PricingRow) -> [(String, String)] {
        let rates = row.price.rates
        func perMillion(_ price: FemtoUSD?) -> String { price?.usdPerMillionText ?? "none" }
        func tokens(_ count: Int64?) -> String { count.map(String.init) ?? "none" }
        return [
            ("provider", row.provider), ("basis", row.price.basis.rawValue), ("input", perMillion(rates.input)),
            ("output", perMillion(rates.output)), ("cache_read", perMillion(rates.cacheRead)),
            ("cache_write", perMillion(rates.cacheWrite5m)), ("cache_write_1h", perMillion(rates.cacheWrite1h)),
            ("reasoning", perMillion(rates.reasoning)), ("audio_input", perMillion(rates.audioInput)),
            ("audio_output", perMillion(rates.audioOutput)), ("image", row.price.image.usdText),
            ("request", row.price.request.usdText), ("search", row.price.search.usdText),
            ("character", row.price.character.usdPerMillionText), ("audio_second", row.price.audioSecond.usdText),
            ("image_input", perMillion(row.price.pictures?.input)),
            ("image_sizes", PictureColumn.json(row.price.pictures?.sizes ?? []).text),
            ("tiers", PriceTiers.json(row.price.tiers).text), ("service_tiers", PriceTiers.json(row.price.serviceTiers).text),
            ("context_length", tokens(row.contextLength)),
            ("max_output_tokens", tokens(row.maxOutputTokens)), ("display_name", row.displayName),
        ]
    }

    /// Tokens in USD per million, and each unit that has a price: `input 0, output 0, image 0.04`.
    private static func perMillion(_ row: PricingRow) -> String {
        guard row.price.basis == .metered else { return "the vendor's reported cost" }
        let price = row.price
        let units = [
            ("image", price.image), ("request", price.request), ("search", price.search), ("audio_second", price.audioSecond),
        ].filter { $0.1 > .zero }.map { ", \($0.0) \($0.1.usdText)" }
        let characters = price.character > .zero ? ", character \(price.character.usdPerMillionText)" : ""
        return "input \(price.rates.input.usdPerMillionText), output \(price.rates.output.usdPerMillionText)" + units.joined() + characters
    }

    /// One line of sums.
    public var summary: String {
        var parts = ["\(new.count) new", "\(changed.count) changed", "\(gone.count) gone", "\(same) as they are"]
        if !kept.isEmpty { parts.append("\(kept.count) kept as an admin has set them") }
        if !held.isEmpty { parts.append("\(held.count) held back until an admin accepts them") }
        if !elsewhere.isEmpty { parts.append("\(elsewhere.count) priced by another provider") }
        if !unpriced.isEmpty { parts.append("\(unpriced.count) without a price") }
        return parts.joined(separator: ", ")
    }

    /// One line a model, each with its sign: `+` new, `~` changed, `=` kept, `-` gone, `?` without a price, `0`
    /// held back because it fell too far, `!` rounded.
    public var lines: [String] {
        var lines = new.map { "+ \($0.modelName): \(Self.perMillion($0))" }
        lines += changed.map { "~ \($0.row.modelName): \($0.fields.joined(separator: "; "))" }
        lines += kept.map { "= \($0.row.modelName): an admin has set it; the list says \($0.fields.joined(separator: "; "))" }
        lines += gone.map { "- \($0): no longer listed" }
        lines += unpriced.map { "? \($0): the list has no price" }
        lines += held.map {
            "0 \($0.row.modelName): \($0.fields.joined(separator: "; ")); held back (apirouter models accept \($0.row.modelName) takes it)"
        }
        lines += rounded.map { "! \($0.model): rounded to 10^-15 USD: \($0.text)" }
        return lines
    }
}
