import RouterCore

/// A row of `money_operations`: what was done under a key, so that the same key never does something else, nor the
/// same thing twice. Keys of all operations are of one kind: one that has added money cannot refund.
struct MoneyOperation: Hashable {
    enum Name: String { case add, refund }

    var key: String
    var name: Name
    /// The account whose money it is.
    var userID: Int64
    var amount: NanoUSD
    /// Where its ledger row is.
    var kind: TransactionKind
    var reference: String

    init(_ posting: LedgerPosting) {
        key = posting.referenceID
        name = .add
        userID = posting.payer
        amount = posting.amount
        kind = posting.kind
        reference = posting.referenceID
    }

    init(key: String, _ refund: Refund, userID: Int64, amount: NanoUSD) {
        self.key = key
        name = .refund
        self.userID = userID
        self.amount = amount
        kind = .refund
        reference = refund.reference
    }

    init(_ row: some ColumnReader) throws {
        guard let name = Name(rawValue: try row.text("operation")),
            let kind = TransactionKind(rawValue: try row.text("type"))
        else {
            throw StoreError.database("a row of money_operations has an unknown operation or type")
        }
        key = try row.text("key")
        self.name = name
        userID = try row.int("user_id")
        amount = NanoUSD(nanos: try row.int("amount_nanos"))
        self.kind = kind
        reference = try row.text("reference_id")
    }

    /// - Throws: ``StoreError/conflict(_:)`` that says what differs, when the key was used for something else.
    func check(against old: MoneyOperation) throws(StoreError) {
        var differences: [String] = []
        if old.name != name { differences.append("the operation (\(old.name.rawValue), now \(name.rawValue))") }
        if old.userID != userID { differences.append("the user (\(old.userID), now \(userID))") }
        if old.amount != amount { differences.append("the amount (\(old.amount), now \(amount))") }
        if differences.isEmpty, old.reference != reference {
            differences.append("the charge ('\(old.reference)', now '\(reference)')")
        }
        // The same amount as another type of row: only a caller in this program can ask for that.
        if differences.isEmpty, old.kind != kind {
            differences.append("the type (\(old.kind.rawValue), now \(kind.rawValue))")
        }
        guard differences.isEmpty else {
            throw .conflict(
                "the key '\(key)' was used before and \(differences.joined(separator: " and ")) differ\(differences.count == 1 ? "s" : "")"
            )
        }
    }
}
