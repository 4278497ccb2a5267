import RouterCore

extension SQLStore {
    public func consoleRows() async throws -> [ConsoleRow] {
        try await database.read { session in try ConsoleTable.all.flatMap { try session.consoleRows($0) } }
    }

    public func consoleRow(_ key: ConsoleRow.Key) async throws -> ConsoleRow? {
        try await database.read { try $0.consoleRow(key) }
    }

    public func claimConsoleChannelID(avoiding taken: Set<Int64>) async throws -> Int64 {
        try await database.write { try $0.claimConsoleChannelID(avoiding: taken) }
    }

    public func addConsoleRow(_ row: ConsoleRow, audit: AuditEntry) async throws {
        try await database.write { session in
            let table = row.key.table
            _ = try session.unique(table.column) {
                try session.execute(
                    """
                    INSERT INTO \(table.name) (\(table.column), config, sealed, version, created_at, updated_at)
                    VALUES (?1, ?2, ?3, 1, ?4, ?4)
                    """, [row.key.value, row.config, row.sealed, audit.at])
            }
            try session.insertAudit(audit)
        }
    }

    public func changeConsoleRow(_ row: ConsoleRow, audit: AuditEntry) async throws {
        try await database.write { session in
            try session.change(row, at: audit.at)
            try session.insertAudit(audit)
        }
    }

    public func removeConsoleRow(_ key: ConsoleRow.Key, keepsSwitch: Bool, audit: AuditEntry) async throws {
        try await database.write { session in
            let table = key.table
            let removed = try session.execute("DELETE FROM \(table.name) WHERE \(table.column) = ?1", [key.value])
            guard removed > 0 else { throw StoreError.notFound }
            if case .channel(let id) = key, !keepsSwitch {
                try session.execute("DELETE FROM settings WHERE key = ?1", ["channel.\(id).switch"])
            }
            try session.insertAudit(audit)
        }
    }

    public func resealConsole(_ rows: [ConsoleRow], setting: (key: String, value: String), audit: AuditEntry) async throws {
        try await database.write { session in
            for row in rows { try session.change(row, at: audit.at) }
            try session.set(setting.key, setting.value)
            try session.insertAudit(audit)
        }
    }
}

/// A table of rows that the console has made, and the column that identifies them.
private struct ConsoleTable {
    var name: String
    var column: String
    var key: @Sendable (SQLRow) throws -> ConsoleRow.Key

    static let channels = ConsoleTable(name: "console_channels", column: "id") { .channel(try $0.int("id")) }
    static let providers = ConsoleTable(name: "console_providers", column: "name") { .provider(try $0.text("name")) }
    static let secrets = ConsoleTable(name: "console_secrets", column: "name") { .secret(try $0.text("name")) }
    static let all = [channels, providers, secrets]
}

extension ConsoleRow.Key {
    fileprivate var table: ConsoleTable {
        switch self {
        case .channel: .channels
        case .provider: .providers
        case .secret: .secrets
        }
    }

    fileprivate var value: SQLValue {
        switch self {
        case .channel(let id): .integer(id)
        case .provider(let name), .secret(let name): .text(name)
        }
    }
}

extension SQLSession {
    fileprivate func consoleRows(_ table: ConsoleTable) throws -> [ConsoleRow] {
        try rows("SELECT * FROM \(table.name) ORDER BY \(table.column)").map { try Self.consoleRow($0, table) }
    }

    fileprivate func consoleRow(_ key: ConsoleRow.Key) throws -> ConsoleRow? {
        let table = key.table
        return try first("SELECT * FROM \(table.name) WHERE \(table.column) = ?1", [key.value]).map { try Self.consoleRow($0, table) }
    }

    private static func consoleRow(_ row: SQLRow, _ table: ConsoleTable) throws -> ConsoleRow {
        ConsoleRow(
            key: try table.key(row), config: try row.text("config"), sealed: try row.bytesOrNil("sealed"), version: try row.int("version"),
            createdAt: try row.int("created_at"), updatedAt: try row.int("updated_at"))
    }

    fileprivate func change(_ row: ConsoleRow, at now: Int64) throws {
        let table = row.key.table
        let changed = try execute(
            "UPDATE \(table.name) SET config = ?1, sealed = ?2, version = version + 1, updated_at = ?3 WHERE \(table.column) = ?4 AND version = ?5",
            [row.config, row.sealed, now, row.key.value, row.version])
        guard changed == 0 else { return }
        guard try consoleRow(row.key) != nil else { throw StoreError.notFound }
        throw StoreError.conflict("it was changed in the meantime; read it again")
    }

    fileprivate func claimConsoleChannelID(avoiding taken: Set<Int64>) throws -> Int64 {
        let setting = "console.next_channel_id"
        // Two gateways that claim at once take turns at this row.
        try execute("INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING", [setting, "1000000"])
        let row = try first("SELECT value FROM settings WHERE key = ?1 \(dialect.forUpdate)", [setting])
        var id = try row.flatMap { Int64(try $0.text("value")) } ?? 1_000_000
        while try taken.contains(id) || finds("SELECT 1 AS found FROM console_channels WHERE id = ?1", [id]) { id += 1 }
        try set(setting, String(id + 1))
        return id
    }
}
