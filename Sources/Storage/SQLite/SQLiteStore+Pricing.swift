import GRDB
import NIOCore
public import RouterCore

extension SQLiteStore {
    public func allPrices() async throws -> [PricingRow] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM model_pricing ORDER BY model_name").map { try PricingColumns.row($0) }
        }
    }

    public func seedPrices(_ rows: [PricingRow], now: Int64, audit: AuditEntry?) async throws -> Int {
        try await write { db in
            var existing: [String: PricingRow] = [:]
            for row in try Row.fetchAll(db, sql: "SELECT * FROM model_pricing") {
                let pricing = try PricingColumns.row(row)
                existing[pricing.modelName] = pricing
            }
            var changed = 0
            for row in rows {
                if let old = existing[row.modelName] {
                    guard !old.isEdited, !PricingColumns.sayTheSame(old, row) else { continue }
                    _ = try PricingColumns.save(row, over: old, isEdited: false, now: now, db)
                } else {
                    _ = try PricingColumns.save(row, over: nil, isEdited: false, now: now, db)
                }
                changed += 1
            }
            if let audit { try Self.insertAudit(audit.adding(.init("prices_changed", .integer(changed))), db) }
            return changed
        }
    }

    public func price(version: Int64) async throws -> ModelPrice? {
        try await read { db in
            try String.fetchOne(db, sql: "SELECT row FROM model_pricing_history WHERE version = ?", arguments: [version])
                .map { try PricingColumns.price(HistoryRow($0)) }
        }
    }

    public func setPrice(_ row: PricingRow, now: Int64, audit: AuditEntry) async throws -> PricingRow {
        try await write { db in
            let old = try Row.fetchOne(
                db, sql: "SELECT * FROM model_pricing WHERE model_name = ?", arguments: [row.modelName]
            ).map { try PricingColumns.row($0) }
            try row.checkVersion(over: old)
            let saved = try PricingColumns.save(row, over: old, isEdited: true, now: now, db)
            try Self.insertAudit(audit.adding(.init("version", .integer(saved.version))), db)
            return saved
        }
    }
}

/// The one mapping between ``PricingRow`` and its columns.
enum PricingColumns {
    static func price(_ row: some ColumnReader) throws -> ModelPrice {
        func price(_ column: String) throws -> FemtoUSD? {
            try row.textOrNil(column).map { try FemtoUSD.parse(usdPerUnit: $0).price }
        }
        let rates = ModelPrice.Rates(
            input: try price("pricing_input") ?? .zero, output: try price("pricing_output") ?? .zero,
            cacheRead: try price("pricing_cache_read"), cacheWrite5m: try price("pricing_cache_write"),
            cacheWrite1h: try price("pricing_cache_write_1h"), reasoning: try price("pricing_reasoning"),
            audioInput: try price("pricing_audio_input"), audioOutput: try price("pricing_audio_output"))
        return ModelPrice(
            basis: ModelPrice.Basis(rawValue: try row.text("basis")) ?? .metered, rates: rates,
            tiers: try PriceTiers.parse(try row.text("tiers")),
            serviceTiers: try PriceTiers.parseServices(try row.textOrNil("service_tiers") ?? "[]"),
            image: try price("pricing_image") ?? .zero,
            request: try price("pricing_request") ?? .zero, search: try price("pricing_search") ?? .zero,
            // Versions in the history from before these units existed lack them.
            character: try price("pricing_character") ?? .zero, audioSecond: try price("pricing_audio_second") ?? .zero)
    }

    static func row(_ row: some ColumnReader) throws -> PricingRow {
        PricingRow(
            id: try row.int("id"), modelName: try row.text("model_name"), displayName: try row.text("display_name"),
            provider: try row.text("provider"), description: try row.text("description"),
            contextLength: try row.intOrNil("context_length"), maxOutputTokens: try row.intOrNil("max_output_tokens"),
            price: try price(row),
            isActive: try row.flag("is_active"), isEdited: try row.flag("is_edited"), version: try row.int("version"),
            createdAt: try row.int("created_at"), updatedAt: try row.int("updated_at"))
    }

    static func sayTheSame(_ left: PricingRow, _ right: PricingRow) -> Bool {
        left.price == right.price && left.displayName == right.displayName && left.provider == right.provider
            && left.description == right.description && left.contextLength == right.contextLength
            && left.maxOutputTokens == right.maxOutputTokens && left.isActive == right.isActive
    }

    /// The columns of text, the name first.
    static func texts(_ row: PricingRow) -> [(String, String?)] {
        let rates = row.price.rates
        return [
            ("model_name", row.modelName), ("display_name", row.displayName), ("provider", row.provider),
            ("description", row.description), ("basis", row.price.basis.rawValue),
            ("pricing_input", rates.input.usdText), ("pricing_output", rates.output.usdText),
            ("pricing_cache_read", rates.cacheRead?.usdText), ("pricing_cache_write", rates.cacheWrite5m?.usdText),
            ("pricing_cache_write_1h", rates.cacheWrite1h?.usdText), ("pricing_reasoning", rates.reasoning?.usdText),
            ("pricing_audio_input", rates.audioInput?.usdText), ("pricing_audio_output", rates.audioOutput?.usdText),
            ("pricing_image", row.price.image.usdText), ("pricing_request", row.price.request.usdText),
            ("pricing_search", row.price.search.usdText), ("pricing_character", row.price.character.usdText),
            ("pricing_audio_second", row.price.audioSecond.usdText), ("tiers", PriceTiers.text(row.price.tiers)),
            ("service_tiers", PriceTiers.json(row.price.serviceTiers).text),
        ]
    }

    private static func values(_ row: PricingRow) -> [(String, (any DatabaseValueConvertible)?)] {
        texts(row).map { ($0.0, $0.1) } + [
            ("context_length", row.contextLength), ("max_output_tokens", row.maxOutputTokens), ("is_active", row.isActive),
        ]
    }

    /// A version as the history keeps it.
    static func history(_ row: PricingRow) -> String {
        var members = texts(row).map { JSONValue.Member($0.0, .optional($0.1)) }
        members += [
            .init("context_length", .optional(row.contextLength.map(String.init))),
            .init("max_output_tokens", .optional(row.maxOutputTokens.map(String.init))),
            .init("is_active", .string(row.isActive ? "1" : "0")),
        ]
        return JSONValue.object(members).text
    }

    /// Writes a row as its next version, with its line in the history.
    static func save(
        _ row: PricingRow, over old: PricingRow?, isEdited: Bool, now: Int64, _ db: Database
    ) throws -> PricingRow {
        // Versions run over the whole table, so that a number means one price and one moment.
        let last = try Int64.fetchOne(db, sql: "SELECT coalesce(max(version), 0) FROM model_pricing_history") ?? 0
        var saved = row
        saved.version = last + 1
        saved.isEdited = isEdited
        saved.createdAt = old?.createdAt ?? now
        saved.updatedAt = now
        let columns =
            values(saved) + [
                ("is_edited", isEdited), ("version", saved.version), ("created_at", saved.createdAt), ("updated_at", now),
            ]
        let names = columns.map(\.0).joined(separator: ", ")
        let marks = columns.map { _ in "?" }.joined(separator: ", ")
        let updates = columns.dropFirst().map { "\($0.0) = excluded.\($0.0)" }.joined(separator: ", ")
        let statement = try db.cachedStatement(
            sql: "INSERT INTO model_pricing (\(names)) VALUES (\(marks)) ON CONFLICT (model_name) DO UPDATE SET \(updates)")
        try statement.execute(arguments: StatementArguments(columns.map(\.1)))
        let line = try db.cachedStatement(
            sql: "INSERT INTO model_pricing_history (model_name, version, row, created_at) VALUES (?, ?, ?, ?)")
        try line.execute(arguments: [saved.modelName, saved.version, history(saved), now])
        saved.id =
            try Int64.fetchOne(db, sql: "SELECT id FROM model_pricing WHERE model_name = ?", arguments: [saved.modelName]) ?? 0
        return saved
    }
}

/// Tiers as JSON text with exact prices in USD per unit.
public enum PriceTiers {
    private static let optional: [(String, any WritableKeyPath<ModelPrice.Rates, FemtoUSD?> & Sendable)] = [
        ("cache_read", \.cacheRead), ("cache_write", \.cacheWrite5m), ("cache_write_1h", \.cacheWrite1h),
        ("reasoning", \.reasoning), ("audio_input", \.audioInput), ("audio_output", \.audioOutput),
    ]

    public static func json(_ tiers: [ModelPrice.Tier]) -> JSONValue {
        .array(tiers.map { .object([.init("above", .integer($0.abovePromptTokens))] + members($0.rates)) })
    }

    public static func json(_ services: [ModelPrice.ServiceTier]) -> JSONValue {
        .array(
            services.map { service in
                let name = JSONValue.Member("name", .string(service.name))
                let tiers = service.tiers.isEmpty ? [] : [JSONValue.Member("tiers", json(service.tiers))]
                return .object([name] + members(service.rates) + tiers)
            })
    }

    private static func members(_ rates: ModelPrice.Rates) -> [JSONValue.Member] {
        [.init("input", .string(rates.input.usdText)), .init("output", .string(rates.output.usdText))]
            + optional.compactMap { name, path in rates[keyPath: path].map { .init(name, .string($0.usdText)) } }
    }

    static func text(_ tiers: [ModelPrice.Tier]) -> String { json(tiers).text }

    /// - Throws: ``StoreError/database(_:)`` for text that this program has not written.
    static func parse(_ text: String) throws -> [ModelPrice.Tier] {
        try list(text).map(tier)
    }

    static func parseServices(_ text: String) throws -> [ModelPrice.ServiceTier] {
        try list(text).map { entry in
            guard let name = entry["name"]?.stringValue else {
                throw StoreError.database("model_pricing.service_tiers has an entry without a name")
            }
            return ModelPrice.ServiceTier(
                name: name, rates: try rates(entry), tiers: try (entry["tiers"]?.arrayValue ?? []).map(tier))
        }
    }

    private static func list(_ text: String) throws -> [JSONValue] {
        guard let list = (try? JSONValue(parsing: ByteBuffer(string: text)))?.arrayValue else {
            throw StoreError.database("the tiers in model_pricing are not a JSON array")
        }
        return list
    }

    private static func tier(_ entry: JSONValue) throws -> ModelPrice.Tier {
        guard let above = entry["above"]?.integerValue else {
            throw StoreError.database("model_pricing.tiers has an entry without above")
        }
        return ModelPrice.Tier(abovePromptTokens: above, rates: try rates(entry))
    }

    private static func rates(_ entry: JSONValue) throws -> ModelPrice.Rates {
        guard let input = entry["input"]?.stringValue, let output = entry["output"]?.stringValue else {
            throw StoreError.database("a tier in model_pricing lacks input or output")
        }
        var rates = ModelPrice.Rates(
            input: try FemtoUSD.parse(usdPerUnit: input).price, output: try FemtoUSD.parse(usdPerUnit: output).price)
        for (name, path) in optional {
            if let price = entry[name]?.stringValue { rates[keyPath: path] = try FemtoUSD.parse(usdPerUnit: price).price }
        }
        return rates
    }
}
