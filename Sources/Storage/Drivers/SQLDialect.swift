/// The databases that there are drivers for, and what their SQL says differently. Everything else is written in words that both read.
public enum SQLDialect: String, Sendable, CaseIterable {
    case sqlite, postgres
}

extension SQLDialect {
    /// Behind a SELECT: nobody else changes or locks these rows until the transaction ends. SQLite has one writer at a time anyway.
    ///
    /// Keys are not changed here, and rows that refer to others by a foreign key share those: a stricter lock would have postings for an
    /// organisation wait for the rows of its members, which other postings have locked.
    var forUpdate: String { self == .postgres ? "FOR NO KEY UPDATE" : "" }

    /// The same, but others may do so too: nobody changes the rows.
    var forShare: String { self == .postgres ? "FOR SHARE" : "" }

    /// The same as ``forUpdate`` for those rows that nobody else has locked.
    var forUpdateOfFree: String { self == .postgres ? "FOR UPDATE SKIP LOCKED" : "" }

    /// Compares two values of which either may be NULL; true where they differ.
    var isDistinctFrom: String { self == .postgres ? "IS DISTINCT FROM" : "IS NOT" }

    /// Whether a text contains another, without case.
    /// - Parameter pattern: the mark of a pattern with `%` around it, and `!` before what is no pattern in it.
    func contains(_ column: String, _ pattern: String) -> String {
        // SQLite's LIKE knows no case in any case.
        self == .sqlite ? "\(column) LIKE \(pattern) ESCAPE '!'" : "lower(\(column)) LIKE lower(\(pattern)) ESCAPE '!'"
    }

    /// Compares names without case, by the index that there is: SQLite's column has a collation, PostgreSQL an index over `lower`.
    func sameName(_ column: String, _ parameter: String) -> String {
        self == .postgres ? "lower(\(column)) = lower(\(parameter))" : "\(column) = \(parameter)"
    }

    /// The day (`2026-11-25`, UTC) of a column with Unix seconds.
    func day(_ column: String) -> String {
        self == .postgres ? "to_char(to_timestamp(\(column)) AT TIME ZONE 'UTC', 'YYYY-MM-DD')" : "date(\(column), 'unixepoch')"
    }
}
