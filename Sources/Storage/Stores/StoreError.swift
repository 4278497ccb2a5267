/// Errors of the stores that a caller can act on.
public enum StoreError: Error, Sendable, Hashable {
    case notFound
    /// A unique value is taken; the name says which (`username`, `key_hash`, `model_name`).
    case duplicate(String)
    /// The same reference id was posted before with other contents.
    case conflict(String)
    case insufficientBalance
    /// The database failed; the text is for our log.
    case database(String)
    /// The database is newer than this program, or a migration file was changed afterwards.
    case schema(String)
    /// Another life of this gateway has its identity, or its leases were taken back after a long silence: this one must not spend.
    case fenced
    /// The journal has reached its bounded size because the ledger's database is away.
    case journalFull
}
