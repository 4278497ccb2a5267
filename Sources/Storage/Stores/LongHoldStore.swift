public import RouterCore

/// Holds that last for days. They are rows of the ledger's database, so they survive restarts, count against the balance at every gateway,
/// and are no concern of a gateway's journal or recovery (docs/decisions/0014-long-lived-holds.md).
public protocol LongHoldStore: SharedStore {
    /// Opens a hold in one transaction: the row, the `adjustment` that takes the amount out of the balance, its part of the budgets, and
    /// the holder's lease, which must cover the amount.
    /// - Returns: balance and lease of the user afterwards.
    /// - Throws: ``StoreError/notFound`` for an unknown user, ``StoreError/fenced`` for a life that may not spend,
    ///   ``StoreError/duplicate(_:)`` (`request_id`, `object_id`).
    func openLongHold(_ hold: LongHold, holder: LeaseHolder, now: Int64) async throws -> LeaseState
    /// Notes the vendor's id of the object that a hold is for. Repeating it does no harm.
    /// - Returns: false when the hold is not open any more.
    /// - Throws: ``StoreError/duplicate(_:)`` (`object_id`) when another hold has this object.
    func bindLongHold(_ id: RequestID, objectID: String, nextAt: Int64) async throws -> Bool
    /// Replaces what the owner knows about an open hold (``LongHold/detail``).
    func setLongHoldDetail(_ id: RequestID, _ detail: String) async throws
    func longHold(_ id: RequestID) async throws -> LongHold?
    func longHold(_ kind: LongHold.Kind, objectID: String, channelID: Int64) async throws -> LongHold?
    /// Open holds of one kind.
    /// - Parameters:
    ///   - accountID: the organisation that pays; nil = the user.
    ///   - tokenID: nil = the count of the key is 0.
    func countLongHolds(_ kind: LongHold.Kind, userID: Int64, accountID: Int64?, tokenID: Int64?) async throws -> LongHoldCount
    /// The requests of all open holds of one kind.
    func openLongHolds(_ kind: LongHold.Kind) async throws -> Set<RequestID>
    /// Number and sum of a user's open holds.
    func openLongHolds(userID: Int64) async throws -> (count: Int64, amount: NanoUSD)
    /// How many open holds only this channel can be asked about.
    func openLongHolds(channelID: Int64) async throws -> Int64
    /// Open holds whose time has come, oldest first, claimed until `now + claim`, so that no other gateway looks at them meanwhile. A
    /// gateway that dies loses its claim by time; two that look at once do no harm, because ``endLongHold(_:now:)`` works once.
    func dueLongHolds(_ kind: LongHold.Kind, now: Int64, claim: Int64, limit: Int) async throws -> [LongHold]
    /// The vendor is not done, or could not be asked. - Parameter nextAt: Unix seconds.
    func postponeLongHold(_ id: RequestID, nextAt: Int64, note: String) async throws
    /// Has an open hold looked at earlier than it would be. - Parameter nextAt: Unix seconds.
    func hastenLongHold(_ id: RequestID, nextAt: Int64) async throws
    /// Ends a hold in one transaction: the `adjustment` that gives the amount back, and all that ``Ledger/post(_:holder:)`` writes for the
    /// record: its log row, and with a charge its ledger row. A record without a charge voids the hold.
    /// - Parameter record: with the id and the user of the hold.
    /// - Returns: false when the hold has ended before or is not there; nothing changes then.
    func endLongHold(_ record: RequestRecord, now: Int64) async throws -> Bool
}
