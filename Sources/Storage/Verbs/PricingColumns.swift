import NIOCore
import RouterCore

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
            character: try price("pricing_character") ?? .zero, audioSecond: try price("pricing_audio_second") ?? .zero,
            pictures: try row.textOrNil("pictures").flatMap(PictureColumn.prices))
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
            ("service_tiers", PriceTiers.json(row.price.serviceTiers).text), ("pictures", row.price.pictures.map(PictureColumn.text)),
        ]
    }

    /// The columns that a version has of its own, with their values.
    static func values(_ row: PricingRow) -> [(String, SQLValue)] {
        texts(row).map { ($0.0, SQLValue($0.1)) } + [
            ("context_length", SQLValue(row.contextLength)), ("max_output_tokens", SQLValue(row.maxOutputTokens)),
            ("is_active", row.isActive.sqlValue),
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
}

extension PricingRow {
    /// The row as text, with everything that a version has of its own.
    public var versionText: String { PricingColumns.history(self) }

    /// - Returns: nil for a text that is no ``versionText``.
    public init?(versionText: String) {
        guard let row = try? HistoryRow(versionText), let name = try? row.text("model_name"), !name.isEmpty,
            let price = try? PricingColumns.price(row)
        else { return nil }
        func text(_ column: String) -> String { ((try? row.textOrNil(column)) ?? nil) ?? "" }
        self.init(
            modelName: name, displayName: text("display_name"), provider: text("provider"), description: text("description"),
            contextLength: (try? row.intOrNil("context_length")) ?? nil, maxOutputTokens: (try? row.intOrNil("max_output_tokens")) ?? nil,
            price: price, isActive: row.flagOrTrue("is_active"))
    }
}

/// A version of a price as `model_pricing_history` keeps it: a JSON object of texts.
struct HistoryRow: ColumnReader {
    private let value: JSONValue

    init(_ text: String) throws { value = try JSONValue(parsing: ByteBuffer(string: text)) }

    func textOrNil(_ column: String) throws -> String? { value[column]?.stringValue }
    func intOrNil(_ column: String) throws -> Int64? { value[column]?.stringValue.flatMap { Int64($0) } }
    func bytesOrNil(_ column: String) throws -> [UInt8]? { nil }
    func flag(_ column: String) throws -> Bool { value[column]?.stringValue == "1" }
    func flagOrTrue(_ column: String) -> Bool { value[column]?.stringValue != "0" }
}
