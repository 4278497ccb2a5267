public import RouterCore

/// The limits of keys and users, divided between the gateways of one ledger.
public protocol LimitStore: SharedStore {
    /// Tells what is asked for of limits here, and hears what this gateway may use of them (``LimitShares``). A sign of life too.
    /// - Parameters:
    ///   - gateway: the name of this start of the gateway.
    ///   - lifetime: seconds for which it counts.
    /// - Returns: the names of all gateways that live, this one included, and what is granted.
    func shareLimits(
        _ reports: [LimitReport], gateway: String, lifetime: Int64
    ) async throws -> (gateways: [String], grants: [BudgetScope: LimitGrant])
    /// The gateway stops: the others may have what it had.
    func leaveLimits(gateway: String) async throws
}
