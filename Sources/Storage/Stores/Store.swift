/// One database behind all of it.
public protocol Store: UserStore, TokenStore, PricingStore, Ledger, LeaseStore, LimitStore, ReconciliationStore, LongHoldStore,
    VendorObjectStore, OrganizationStore, LogStore, UsageStore, HealthStore, AdminStore, ConsoleStore, CreditStore,
    RedemptionStore, LevelStore, ChangeFeed
{
    /// Remarks for the operator about the state in which the database was found.
    func notes() async throws -> [String]
    func close() async throws
}
