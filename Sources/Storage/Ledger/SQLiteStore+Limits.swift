public import RouterCore

extension SQLiteStore {
    /// The only gateway of its ledger has all limits whole.
    public func shareLimits(
        _ reports: [LimitReport], gateway: String, lifetime: Int64
    ) async throws -> (gateways: [String], grants: [BudgetScope: LimitGrant]) { ([gateway], [:]) }

    public func leaveLimits(gateway: String) async throws {}
}
