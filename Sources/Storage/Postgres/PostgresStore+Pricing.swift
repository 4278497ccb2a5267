public import RouterCore

extension PostgresStore {
    public func allPrices() async throws -> [PricingRow] {
        try await read { try $0.rows("SELECT * FROM model_pricing ORDER BY model_name").map { try PricingColumns.row($0) } }
    }

    public func seedPrices(_ rows: [PricingRow], now: Int64, audit: AuditEntry?) async throws -> Int {
        try await write { session in
            try Self.lockPrices(&session)
            var existing: [String: PricingRow] = [:]
            for row in try session.rows("SELECT * FROM model_pricing") {
                let pricing = try PricingColumns.row(row)
                existing[pricing.modelName] = pricing
            }
            var changed = 0
            for row in rows {
                let old = existing[row.modelName]
                if let old, old.isEdited || PricingColumns.sayTheSame(old, row) { continue }
                _ = try Self.save(row, over: old, isEdited: false, now: now, &session)
                changed += 1
            }
            if let audit { try Self.insertAudit(audit.adding(.init("prices_changed", .integer(changed))), &session) }
            return changed
        }
    }

    public func price(version: Int64) async throws -> ModelPrice? {
        try await read { session in
            try session.rows("SELECT row FROM model_pricing_history WHERE version = $1", [version]).first
                .map { try PricingColumns.price(HistoryRow(try $0.text("row"))) }
        }
    }

    public func setPrice(_ row: PricingRow, now: Int64, audit: AuditEntry) async throws -> PricingRow {
        try await write { session in
            try Self.lockPrices(&session)
            let old = try session.rows("SELECT * FROM model_pricing WHERE model_name = $1", [row.modelName]).first
                .map { try PricingColumns.row($0) }
            try row.checkVersion(over: old)
            let saved = try Self.save(row, over: old, isEdited: true, now: now, &session)
            try Self.insertAudit(audit.adding(.init("version", .integer(saved.version))), &session)
            return saved
        }
    }

    /// Versions run over the whole table: two gateways that start together must not give the same number twice.
    private static func lockPrices(_ session: inout PGPool.Session) throws {
        try session.execute("LOCK TABLE model_pricing_history IN SHARE ROW EXCLUSIVE MODE")
    }

    /// Writes a row as its next version, with its line in the history.
    private static func save(
        _ row: PricingRow, over old: PricingRow?, isEdited: Bool, now: Int64, _ session: inout PGPool.Session
    ) throws -> PricingRow {
        let last = try session.rows("SELECT coalesce(max(version), 0) AS last FROM model_pricing_history").first?.int("last")
        var saved = row
        saved.version = (last ?? 0) + 1
        saved.isEdited = isEdited
        saved.createdAt = old?.createdAt ?? now
        saved.updatedAt = now
        let columns: [(String, any PGParameter)] =
            PricingColumns.texts(saved).map { ($0.0, $0.1 as any PGParameter) } + [
                ("context_length", saved.contextLength), ("max_output_tokens", saved.maxOutputTokens), ("is_active", saved.isActive),
                ("is_edited", isEdited), ("version", saved.version), ("created_at", saved.createdAt), ("updated_at", now),
            ]
        let names = columns.map(\.0).joined(separator: ", ")
        let marks = (1...columns.count).map { "$\($0)" }.joined(separator: ", ")
        let updates = columns.dropFirst().map { "\($0.0) = excluded.\($0.0)" }.joined(separator: ", ")
        let rows = try session.rows(
            "INSERT INTO model_pricing (\(names)) VALUES (\(marks)) ON CONFLICT (model_name) DO UPDATE SET \(updates) RETURNING id",
            columns.map(\.1))
        saved.id = try rows.first?.int("id") ?? 0
        try session.execute(
            "INSERT INTO model_pricing_history (model_name, version, row, created_at) VALUES ($1, $2, $3, $4)",
            [saved.modelName, saved.version, PricingColumns.history(saved), now])
        return saved
    }
}
