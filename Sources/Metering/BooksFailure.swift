import Storage

/// Why the books did not take what they were told, for whoever knows nothing of databases.
package enum BooksFailure: Sendable {
    /// The journal has reached its bounded size because the ledger's database is away.
    case journalFull
    /// This gateway has lost its place at the ledger.
    case fenced
    /// The text is for our log.
    case database(String)

    /// - Returns: nil for errors that are none of these.
    package init?(_ error: any Error) {
        switch error {
        case StoreError.journalFull: self = .journalFull
        case StoreError.fenced: self = .fenced
        case StoreError.database(let detail): self = .database(detail)
        default: return nil
        }
    }
}
