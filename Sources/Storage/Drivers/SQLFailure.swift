/// Why a statement failed, by the database's own code: SQLite's extended result code, PostgreSQL's SQLSTATE. The words of the message are
/// for people.
struct SQLFailure: Error, Hashable {
    enum Kind: Sendable, Hashable, CaseIterable {
        /// A unique value is taken.
        case unique
        /// A row that others refer to, or a reference to a row that is not there.
        case foreignKey
        case check
        case notNull
        /// A trigger has refused the change.
        case trigger
        /// A value that is not of the column's type, or out of its range.
        case value
        /// A value that is longer than the database takes.
        case tooBig
        /// The transaction was in the way of another one that ran at the same time; a new one may have more luck.
        case serialization
        /// Somebody else held a lock for too long.
        case busy
        /// The statement was stopped, by a time limit or because nobody waits for it any more.
        case interrupted
        /// The connection is of no use any more.
        case connectionLost
        case other
    }

    var kind: Kind
    /// The name of the constraint; empty where the database tells it in its message only (SQLite) or not at all.
    var constraint = ""
    var message: String

    /// True when the same values would be refused again, by the same database in good health.
    var isFaultOfData: Bool {
        switch kind {
        case .unique, .foreignKey, .check, .notNull, .trigger, .value, .tooBig: true
        case .serialization, .busy, .interrupted, .connectionLost, .other: false
        }
    }

    /// As callers of the stores see it. A verb that knows which value has to be unique says so itself (``SQLSession/unique(_:_:)``).
    var stored: StoreError { kind == .unique ? .duplicate(constraint.isEmpty ? message : constraint) : .database(message) }
}
