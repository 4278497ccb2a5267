public import Config
import GatewayState
import RouterCore
public import Storage

/// The prices that vendors' lists and the price list have held back, for admins.
public struct HeldPriceList: Sendable {
    /// A price that waits for an admin's word.
    public struct Item: Sendable, Hashable {
        /// As the list has it.
        public var row: PricingRow
        /// `vendor` or `price_list`.
        public var source: String
        /// The change in words: `input 3 → 0.2`.
        public var changes: String
    }

    private let store: any PricingStore & AdminStore
    private let providers: [String]

    public init(_ configuration: GatewayConfiguration, store: any PricingStore & AdminStore) {
        self.store = store
        providers = Set(configuration.routes.channels.map(\.provider.name)).sorted()
    }

    /// By provider, then by model. - Throws: ``StoreError``.
    public func all() async throws -> [Item] {
        var items: [Item] = []
        for provider in providers {
            let held = try await HeldPrices.load(provider, from: store).entries.sorted { $0.row.modelName < $1.row.modelName }
            items += held.map { Item(row: $0.row, source: $0.source.rawValue, changes: $0.changes) }
        }
        return items
    }

    /// Writes the held price of a model, as the list would have: the list goes on to set it.
    /// - Returns: the new row; nil when no price of this model is held, or an admin has set one since.
    /// - Throws: ``StoreError``.
    public func accept(_ model: String, now: Int64, audit: AuditEntry) async throws -> PricingRow? {
        for provider in providers {
            guard let entry = try await HeldPrices.load(provider, from: store).entries.first(where: { $0.row.modelName == model }) else {
                continue
            }
            _ = try await store.seedPrices([entry.row], now: now, audit: audit)
            try await HeldPrices.remove(model, of: provider, in: store)
            return try await store.allPrices().first { $0.modelName == model && !$0.isEdited }
        }
        return nil
    }
}
