extension SQLStore {
    public func setting(_ key: String) async throws -> String? { try await database.read { try $0.setting(key) } }

    public func setSetting(_ key: String, _ value: String, audit: AuditEntry?) async throws {
        try await database.write { session in
            try session.set(key, value)
            if let audit { try session.insertAudit(audit) }
        }
    }

    public func claimSetting(_ key: String, _ value: String) async throws -> String {
        try await database.write { session in
            try session.execute("INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING", [key, value])
            return try session.setting(key) ?? value
        }
    }

    public func audit(_ entry: AuditEntry) async throws { try await database.write { try $0.insertAudit(entry) } }

    public func auditRows(_ page: PageRequest) async throws -> Page<AuditRow> {
        try await database.read { session in
            try session.page("id, actor_id, action, detail, client_ip, created_at", of: "audit_log", page) { try Decoding.audit($0) }
        }
    }

    public func auditRows(_ query: AuditQuery, limit: Int) async throws -> [AuditRow] {
        try await database.read { session in
            let rows = try session.rows(
                """
                SELECT a.id, a.actor_id, a.action, a.detail, a.client_ip, a.created_at, u.username AS actor_name
                FROM audit_log a LEFT JOIN users u ON u.id = a.actor_id
                WHERE a.id < ?1 AND (CAST(?2 AS BIGINT) IS NULL OR a.actor_id = ?2)
                AND (CAST(?3 AS TEXT) IS NULL OR a.action = ?3 OR substr(a.action, 1, length(?3) + 1) = ?3 || '.')
                AND a.created_at >= ?4 AND a.created_at < ?5 ORDER BY a.id DESC LIMIT ?6
                """,
                [query.beforeID ?? .max, query.actorID, query.action, query.range.lowerBound, query.range.upperBound, limit])
            return try rows.map { row in
                var read = try Decoding.audit(row)
                read.actorName = try row.textOrNil("actor_name")
                return read
            }
        }
    }
}

extension SQLSession {
    func setting(_ key: String) throws -> String? { try first("SELECT value FROM settings WHERE key = ?1", [key])?.text("value") }

    func set(_ key: String, _ value: String) throws {
        try execute(
            "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", [key, value])
    }

    func removeSetting(_ key: String) throws { try execute("DELETE FROM settings WHERE key = ?1", [key]) }

    /// Inside the transaction of the change that the entry tells of.
    func insertAudit(_ entry: AuditEntry) throws {
        try execute(
            "INSERT INTO audit_log (actor_id, action, detail, client_ip, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            [entry.actorID, entry.action, entry.detailText, entry.clientIP, entry.at])
    }
}
