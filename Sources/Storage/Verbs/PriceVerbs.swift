public import RouterCore

extension SQLStore {
    public func allPrices() async throws -> [PricingRow] { try await database.read { try $0.allPrices() } }

    public func latestPriceVersion() async throws -> Int64 { try await database.read { try $0.latestPriceVersion() } }

    public func seedPrices(_ rows: [PricingRow], now: Int64, audit: AuditEntry?) async throws -> Int {
        try await database.write { try $0.seedPrices(rows, now: now, audit: audit) }
    }

    public func price(version: Int64) async throws -> ModelPrice? { try await database.read { try $0.price(version: version) } }

    public func priceVersions() async throws -> [Int64: Int64] { try await database.read { try $0.priceVersions() } }

    public func priceHistory(_ model: String, limit: Int) async throws -> [PricingRow] {
        try await database.read { session in
            let rows = try session.rows(
                "SELECT version, row, created_at FROM model_pricing_history WHERE model_name = ?1 ORDER BY version DESC LIMIT ?2",
                [model, limit])
            return try rows.compactMap { row in
                guard var version = PricingRow(versionText: try row.text("row")) else { return nil }
                version.version = try row.int("version")
                version.createdAt = try row.int("created_at")
                version.updatedAt = version.createdAt
                return version
            }
        }
    }

    public func setPrice(_ row: PricingRow, now: Int64, audit: AuditEntry) async throws -> PricingRow {
        try await database.write { try $0.setPrice(row, now: now, audit: audit) }
    }
}

extension SQLSession {
    func allPrices() throws -> [PricingRow] {
        try rows("SELECT * FROM model_pricing ORDER BY model_name").map { try PricingColumns.row($0) }
    }

    func latestPriceVersion() throws -> Int64 {
        try first("SELECT coalesce(max(version), 0) AS last FROM model_pricing")?.int("last") ?? 0
    }

    func seedPrices(_ rows: [PricingRow], now: Int64, audit: AuditEntry?) throws -> Int {
        try lockPrices()
        var existing: [String: PricingRow] = [:]
        for row in try allPrices() { existing[row.modelName] = row }
        var changed = 0
        for row in rows {
            let old = existing[row.modelName]
            if let old, old.isEdited || PricingColumns.sayTheSame(old, row) { continue }
            _ = try save(row, over: old, isEdited: false, now: now)
            changed += 1
        }
        if let audit { try insertAudit(audit.adding(.init("prices_changed", .integer(changed)))) }
        return changed
    }

    func price(version: Int64) throws -> ModelPrice? {
        try first("SELECT row FROM model_pricing_history WHERE version = ?1", [version])
            .map { try PricingColumns.price(HistoryRow(try $0.text("row"))) }
    }

    func priceVersions() throws -> [Int64: Int64] {
        let rows = try rows("SELECT version, created_at FROM model_pricing_history")
        return Dictionary(try rows.map { (try $0.int("version"), try $0.int("created_at")) }) { min($0, $1) }
    }

    func setPrice(_ row: PricingRow, now: Int64, audit: AuditEntry) throws -> PricingRow {
        try lockPrices()
        let old = try first("SELECT * FROM model_pricing WHERE model_name = ?1", [row.modelName]).map { try PricingColumns.row($0) }
        try row.checkVersion(over: old)
        let saved = try save(row, over: old, isEdited: true, now: now)
        try insertAudit(audit.adding(.init("version", .integer(saved.version))))
        return saved
    }

    /// Versions run over the whole table: two gateways that start together must not give the same number twice.
    private func lockPrices() throws {
        guard dialect == .postgres else { return }
        try execute("LOCK TABLE model_pricing_history IN SHARE ROW EXCLUSIVE MODE")
    }

    /// Writes a row as its next version, with its line in the history.
    private func save(_ row: PricingRow, over old: PricingRow?, isEdited: Bool, now: Int64) throws -> PricingRow {
        // Versions run over the whole table, so that a number means one price and one moment.
        let last = try first("SELECT coalesce(max(version), 0) AS last FROM model_pricing_history")?.int("last")
        var saved = row
        saved.version = (last ?? 0) + 1
        saved.isEdited = isEdited
        saved.createdAt = old?.createdAt ?? now
        saved.updatedAt = now
        let columns =
            PricingColumns.values(saved) + [
                ("is_edited", isEdited.sqlValue), ("version", .integer(saved.version)), ("created_at", .integer(saved.createdAt)),
                ("updated_at", .integer(now)),
            ]
        let names = columns.map(\.0).joined(separator: ", ")
        let marks = (1...columns.count).map { "?\($0)" }.joined(separator: ", ")
        let updates = columns.dropFirst().map { "\($0.0) = excluded.\($0.0)" }.joined(separator: ", ")
        let written = try first(
            "INSERT INTO model_pricing (\(names)) VALUES (\(marks)) ON CONFLICT (model_name) DO UPDATE SET \(updates) RETURNING id",
            columns.map(\.1))
        saved.id = try written?.int("id") ?? 0
        try execute(
            "INSERT INTO model_pricing_history (model_name, version, row, created_at) VALUES (?1, ?2, ?3, ?4)",
            [saved.modelName, saved.version, PricingColumns.history(saved), now])
        return saved
    }
}
