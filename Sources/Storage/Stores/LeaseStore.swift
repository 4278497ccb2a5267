public import RouterCore

/// The result of a claim to a gateway's identity.
public enum LeaseClaim: Sendable, Hashable {
    /// The identity is the claimant's. Lives that had it before are fenced; `earlier` of them still have rows.
    case granted(earlier: Int)
    /// Another life has it and is there. - Parameter by: as the ledger knows it; nil when its row is not there (yet).
    case taken(by: GatewayLife?)
}

/// Leases belong to one life of a gateway (``LeaseHolder/incarnation``), and one life at a time has a gateway's identity: on a shared
/// database it holds a lock there for as long as its connection lasts (docs/decisions/0007-one-gateway-one-life.md).
public protocol LeaseStore: SharedStore {
    /// A cheap round trip, that says whether the database answers.
    func ping() async throws
    /// Makes this life the one that has its gateway's identity, and lets no earlier life of the gateway lease anything any more. Repeating
    /// it does no harm.
    /// - Parameter now: Unix seconds; a shared database uses its own clock, here and below.
    func claim(_ holder: LeaseHolder, now: Int64) async throws -> LeaseClaim
    /// Takes the leases of earlier lives over, of those that are provably gone: on a shared database, those whose lock was lost while the
    /// server has been running without a break. Only a life that has the identity may do this.
    /// - Parameter earlier: lives whose journal the caller has.
    /// - Returns: the lives whose leases are the holder's now.
    func takeOver(_ earlier: [String], by holder: LeaseHolder) async throws -> [String]
    /// A sign of life, which prolongs all leases of the holder.
    /// - Returns: all lives that the ledger knows.
    /// - Throws: ``StoreError/fenced`` when the identity is another's, or the leases were taken back.
    func beat(_ holder: LeaseHolder, now: Int64) async throws -> [GatewayLife]
    /// All lives that the ledger knows: the gateways of this database, and dead ones whose leases stand.
    func gateways(now: Int64) async throws -> [GatewayLife]
    /// Takes back the leases of a life that has been silent for too long (``LeaseWatch``).
    /// - Parameter beats: what the caller saw last.
    /// - Returns: false when there was a sign of life meanwhile.
    func reap(_ incarnation: String, beats: Int64) async throws -> Bool
    /// The orderly end of a life. What is still leased stays for the next start.
    func leave(_ holder: LeaseHolder) async throws
    /// Balance and lease of all users with a lease of the holder.
    func leases(of holder: LeaseHolder) async throws -> [Int64: LeaseState]
    /// Balance and lease of one user. - Returns: nil for an unknown user.
    func leaseState(userID: Int64, holder: LeaseHolder) async throws -> LeaseState?
    /// Adds to the holder's lease by the rules of ``LeaseDesk``, which is a sign of life too; where too little is free, other gateways are
    /// asked to give back.
    /// - Parameters:
    ///   - needed: on top of the present lease.
    ///   - floor: what leases must not take the balance below (`metering.overdraft_floor`).
    /// - Returns: nil for an unknown user.
    /// - Throws: ``StoreError/fenced`` as ``beat(_:now:)`` does.
    func acquireLease(userID: Int64, needed: NanoUSD, floor: NanoUSD, holder: LeaseHolder, now: Int64) async throws -> LeaseState?
    /// Gives a part of the lease back.
    func returnLease(userID: Int64, amount: NanoUSD, holder: LeaseHolder, now: Int64) async throws
    /// Deletes the leases of users: they were made of balances that a restore has changed. A gateway that has one asks again.
    func dropLeases(of users: Set<Int64>) async throws
    /// The charges in these windows; windows without spending are left out.
    func spending(_ counters: [BudgetCounter]) async throws -> [BudgetCounter: NanoUSD]
}

extension LeaseStore {
    /// With the usual floor: no credit, no reserve.
    public func acquireLease(userID: Int64, needed: NanoUSD, holder: LeaseHolder, now: Int64) async throws -> LeaseState? {
        try await acquireLease(userID: userID, needed: needed, floor: .zero, holder: holder, now: now)
    }
}
