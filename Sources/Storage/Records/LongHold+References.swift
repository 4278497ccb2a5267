import RouterCore

extension LongHold {
    /// The reference of the ledger row that takes the amount out of the balance.
    static func heldReference(_ id: RequestID) -> String { "\(id):held" }
    /// The reference of the ledger row that gives it back.
    static func releasedReference(_ id: RequestID) -> String { "\(id):released" }
}
