public import RouterCore

/// The price table. Each change is a new version and a row of `model_pricing_history`.
public protocol PricingStore: Sendable {
    func allPrices() async throws -> [PricingRow]
    /// The version of the newest row; 0 for an empty table.
    func latestPriceVersion() async throws -> Int64
    /// Inserts what is new and updates what has changed, but never a row that an admin has edited.
    /// - Parameter audit: for what somebody has asked for; nil = the program's own doing.
    /// - Returns: how many rows were inserted or changed.
    func seedPrices(_ rows: [PricingRow], now: Int64, audit: AuditEntry?) async throws -> Int
    /// The price that a version stood for; nil for a version that never was (0 = no row of the table).
    func price(version: Int64) async throws -> ModelPrice?
    /// All versions that ever were, with the time (Unix seconds) from which each has been there.
    func priceVersions() async throws -> [Int64: Int64]
    /// The versions of a model's price, newest first, each with the time from which it was there (``PricingRow/updatedAt``). Versions that
    /// this program cannot read are left out.
    func priceHistory(_ model: String, limit: Int) async throws -> [PricingRow]
    /// Inserts or replaces by `modelName`, marks the row as edited, raises the version.
    /// - Parameter row: with the version that it was made from; 0 = whatever is there is replaced.
    /// - Throws: ``StoreError/conflict(_:)`` when another version is there by now.
    func setPrice(_ row: PricingRow, now: Int64, audit: AuditEntry) async throws -> PricingRow
}

extension PricingStore {
    public func seedPrices(_ rows: [PricingRow], now: Int64) async throws -> Int { try await seedPrices(rows, now: now, audit: nil) }
}
