import RouterCore

/// What `journal.durability: power` asks of a PostgreSQL server: that a COMMIT which was answered is on its disk.
///
/// Asked on every new connection, not only at the start: a server may have been replaced, or its settings changed.
struct PGDurability {
    /// False where a page that was half written when the power went cannot be repaired, unless the file system prevents such pages.
    let writesFullPages: Bool

    /// Turns `synchronous_commit` on for the session, where it is off; every other value waits for the server's own disk.
    /// - Throws: ``SQLFailure`` when the server does not write to the disk at all.
    init(_ session: PGSession) throws(SQLFailure) {
        let row = try session.rows(
            """
            SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages, set_config('synchronous_commit',
                CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false) AS commit
            """
        ).first
        func value(_ column: String) -> String { ((try? row?.textOrNil(column)) ?? nil) ?? "" }
        guard value("fsync") == "on", !value("commit").isEmpty, value("commit") != "off" else {
            throw .lost(
                """
                    the PostgreSQL server does not keep what it commits when the power goes (fsync is \(value("fsync")), synchronous_commit \
                    \(value("commit"))). Set fsync = on there, or journal.durability: process here
                """)
        }
        writesFullPages = value("pages") == "on"
    }
}

extension PostgresStore {
    public func notes() async throws -> [String] {
        guard pool.durability == .power, try await !pool.run(inTransaction: false, { try PGDurability($0).writesFullPages }) else {
            return []
        }
        return [
            "the PostgreSQL server has full_page_writes off: after a loss of power it can repair no page that was half written, "
                + "unless its file system never writes half pages"
        ]
    }
}
