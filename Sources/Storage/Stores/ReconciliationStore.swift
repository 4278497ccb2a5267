public import RouterCore

/// Charges by our own count, and what became of them.
public protocol ReconciliationStore: Sendable {
    /// Newest first.
    /// - Parameters:
    ///   - state: nil = all.
    ///   - open: leaves out what is resolved.
    func reconciliations(_ state: ReconciliationRow.State?, open: Bool, _ page: PageRequest) async throws -> Page<ReconciliationRow>
    /// Pending ones whose time has come, oldest first, claimed until `now + 60` so that no other gateway asks for them too.
    func dueReconciliations(now: Int64, limit: Int) async throws -> [ReconciliationRow]
    /// The vendor had no answer. - Parameter nextAt: Unix seconds; nil = no further try, the estimate stands.
    func postponeReconciliation(_ id: RequestID, nextAt: Int64?, note: String) async throws
    /// Corrects an estimate: an `adjustment` row with the difference (none when there is none), which names the request; the log row gets
    /// the vendor's figures and `reconciled`. A second correction of the same request changes nothing.
    /// - Parameter cost: of the whole request by these figures; nil = unknown.
    func reconcile(_ id: RequestID, usage: Usage, bill: Bill, cost: VendorCost?, now: Int64) async throws
}
