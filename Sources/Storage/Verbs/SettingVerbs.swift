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
}

extension SQLSession {
    func setting(_ key: String) throws -> String? { try first("SELECT value FROM settings WHERE key = ?1", [key])?.text("value") }

    func set(_ key: String, _ value: String) throws {
        try execute(
            "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", [key, value])
    }

    /// Inside the transaction of the change that the entry tells of.
    func insertAudit(_ entry: AuditEntry) throws {
        try execute(
            "INSERT INTO audit_log (actor_id, action, detail, client_ip, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            [entry.actorID, entry.action, entry.detailText, entry.clientIP, entry.at])
    }
}
