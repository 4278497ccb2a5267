import NIOCore
import RouterCore
package import Storage

/// Prices of lists that fell too far to be believed, until an admin accepts them or the list changes its mind. Kept in `settings`, one
/// value a provider.
package struct HeldPrices: Sendable, Hashable {
    /// The owner of the list.
    package enum Source: String, Sendable, CaseIterable {
        /// The vendor's own.
        case vendor
        /// `models.price_list`.
        case priceList = "price_list"
    }

    package struct Entry: Sendable, Hashable {
        package var source: Source
        /// As the list has it.
        package var row: PricingRow
        /// The change in words.
        package var changes: String

        package init(source: Source, row: PricingRow, changes: String) {
            self.source = source
            self.row = row
            self.changes = changes
        }
    }

    package private(set) var entries: [Entry]

    package init(_ entries: [Entry] = []) { self.entries = entries }

    private static let settingPrefix = "held_prices."

    /// - Throws: ``StoreError``.
    package static func load(_ provider: String, from store: any SettingStore) async throws -> HeldPrices {
        guard let text = try await store.setting(settingPrefix + provider) else { return HeldPrices() }
        return HeldPrices(decode(text))
    }

    /// Replaces what one list of the provider has held back. Nothing is written where nothing changes.
    /// - Throws: ``StoreError``.
    package static func replace(_ source: Source, of provider: String, by new: [Entry], in store: any SettingStore) async throws {
        let old = try await load(provider, from: store)
        let held = HeldPrices(old.entries.filter { $0.source != source } + new)
        if held != old { try await store.setSetting(settingPrefix + provider, held.text) }
    }

    /// - Throws: ``StoreError``.
    package static func remove(_ model: String, of provider: String, in store: any SettingStore) async throws {
        let old = try await load(provider, from: store)
        try await store.setSetting(settingPrefix + provider, HeldPrices(old.entries.filter { $0.row.modelName != model }).text)
    }

    private var text: String {
        JSONValue.array(
            entries.map { entry in
                [
                    "source": .string(entry.source.rawValue), "row": .string(entry.row.versionText), "changes": .string(entry.changes),
                ]
            }
        ).text
    }

    /// Entries that this program has not written are left out; the next sync replaces them.
    private static func decode(_ text: String) -> [Entry] {
        let entries = (try? JSONValue(parsing: ByteBuffer(string: text)))?.arrayValue ?? []
        return entries.compactMap { entry in
            guard let source = entry["source"]?.stringValue.flatMap(Source.init), let changes = entry["changes"]?.stringValue,
                let row = entry["row"]?.stringValue.flatMap(PricingRow.init(versionText:))
            else { return nil }
            return Entry(source: source, row: row, changes: changes)
        }
    }
}
