import RouterCore

/// Corrections of charges, as ledger rows.
enum Correction {
    /// The reference of the `adjustment` that reconciles a request.
    static func reference(_ requestID: String) -> String { requestID + ":reconciled" }

    /// Why an estimate is not corrected any more.
    static let refunded = "the charge was refunded"

    static func description(_ id: RequestID, from old: NanoUSD, to new: NanoUSD) -> String {
        "reconciles \(id): estimated \(old), the vendor says \(new)"
    }

    /// Computes how much may be refunded, from the ledger rows of a request.
    static func refundAmount(_ asked: NanoUSD?, charged: NanoUSD, reference: String) throws -> NanoUSD {
        let amount = asked ?? charged
        guard amount.isPositive else { throw StoreError.conflict("nothing of '\(reference)' can be refunded") }
        guard amount <= charged else {
            throw StoreError.conflict("'\(reference)' was charged \(charged); a refund of \(amount) is more than that")
        }
        return amount
    }
}
