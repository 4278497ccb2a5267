import Storage

/// The reason why a hold or settlement could not be recorded, for callers that do not know about databases.
package enum BooksFailure: Sendable {
    /// The journal has reached its maximum size because the ledger's database is unreachable.
    case journalFull
    /// Another life has taken this gateway's place at the ledger.
    case fenced
    /// A failure of the database or the disk. The text is for our log.
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
