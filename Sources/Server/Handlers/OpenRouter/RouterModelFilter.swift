import Foundation
import Gateway
import Hummingbird
import RouterCore

/// The filters, the order and the page of a list of models that a client asks for
/// (https://openrouter.ai/docs/api-reference/list-available-models).
struct RouterModelFilter: Sendable {
    /// Names of query parameters that OpenRouter has and this gateway knows nothing about: a list that ignored them would be wrong.
    static let unknown = [
        "category", "distillable", "zdr", "region", "min_intelligence_index", "max_intelligence_index", "min_coding_index",
        "max_coding_index", "min_agentic_index", "max_agentic_index", "min_tool_success_rate", "max_tool_success_rate",
    ]
    static let orders = ["newest", "pricing-low-to-high", "pricing-high-to-low", "context-high-to-low"]
    static let inputs = ["text", "image", "audio", "file", "video"]
    static let outputs = ["text", "image", "embeddings", "audio", "video", "rerank", "speech", "transcription"]
    /// Records of a page where only an offset is given, as OpenRouter has it.
    private static let pageSize = 500

    private var tests: [@Sendable (RouterModel) -> Bool] = []
    private var order: String?
    private var page: (offset: Int, limit: Int)?

    /// Filters by modalities only.
    init(gives output: String) { tests = [{ $0.gives.contains(output) }] }

    /// - Parameters:
    ///   - fields: names of the parameters that the route has.
    ///   - now: Unix seconds.
    /// - Throws: ``APIError`` 400, ``ManagementError`` 400.
    init(_ request: Request, _ query: QueryFields, _ fields: Set<String>, now: Int64) throws {
        if let name = Self.unknown.first(where: { request.uri.queryParameters[Substring($0)]?.isEmpty == false }) {
            throw APIError.badRequest("This gateway cannot filter models by '\(name)'.", param: name)
        }
        func text(_ name: String) -> String? { fields.contains(name) ? query.text(name).flatMap { $0.isEmpty ? nil : $0 } : nil }
        try add(outputs: text("output_modalities"))
        if let wanted = try Self.words(text("input_modalities"), "input_modalities", Self.inputs) {
            tests.append { model in wanted.allSatisfy(model.takes.contains) }
        }
        if let wanted = text("supported_parameters").map(Self.list) {
            tests.append { model in wanted.allSatisfy(model.facts.supportedParameters.contains) }
        }
        if let words = text("q")?.lowercased() {
            // Some clients write a space as a plus.
            let readings = Set([words, words.replacingOccurrences(of: "+", with: " ")])
            tests.append { model in
                let names = "\(model.id)\n\(model.facts.canonicalSlug ?? "")\n\(model.displayName)".lowercased()
                return readings.contains { names.contains($0) }
            }
        }
        if let families = text("arch").map({ Self.list($0.lowercased()) }) {
            tests.append { $0.facts.tokenizer.map { families.contains($0.lowercased()) } ?? false }
        }
        if let authors = text("model_authors").map({ Self.list($0.lowercased()) }) {
            tests.append { $0.author.map { authors.contains($0.lowercased()) } ?? false }
        }
        if let names = text("providers").map({ Self.list($0.lowercased()) }) {
            tests.append { $0.hosts.contains { names.contains($0.tag.lowercased()) || names.contains($0.name.lowercased()) } }
        }
        if fields.contains("context"), let tokens = try query.integer("context") {
            tests.append { ($0.hosts[0].contextLength ?? 0) >= tokens }
        }
        try add(prices: text)
        if fields.contains("min_age_days") { try add(ages: query, now: now) }
        if let name = text("sort") {
            guard Self.orders.contains(name) else {
                throw APIError.badRequest("'sort' must be one of \(Self.orders.joined(separator: ", ")) here", param: "sort")
            }
            order = name
        }
        if fields.contains("offset") {
            let (offset, limit) = (try query.integer("offset"), try query.integer("limit"))
            if offset != nil || limit != nil { page = (Int(offset ?? 0), Int(limit ?? Int64(Self.pageSize))) }
        }
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    }

    private static func words(_ text: String?, _ name: String, _ allowed: [String]) throws -> [String]? {
        guard let words = text.map(list) else { return nil }
        guard words.allSatisfy(allowed.contains) else {
            throw APIError.badRequest("'\(name)' must be a list, with commas, out of \(allowed.joined(separator: ", "))", param: name)
        }
        return words
    }

    /// Models that write text, unless others are asked for.
    private mutating func add(outputs text: String?) throws {
        if text == "all" { return }
        let wanted = try Self.words(text, "output_modalities", Self.outputs) ?? ["text"]
        tests.append { model in wanted.contains(where: model.gives.contains) }
    }

    /// In USD per million tokens. A model that is charged by its vendor's reported cost has no price to compare.
    private mutating func add(prices text: (String) -> String?) throws {
        func bound(_ name: String) throws -> FemtoUSD? {
            guard let text = text(name) else { return nil }
            guard let price = try? FemtoUSD.parse(usdPerMillion: text).price else {
                throw APIError.badRequest("'\(name)' must be USD per million tokens, such as 0.5", param: name)
            }
            return price
        }
        let kinds: [(String, any KeyPath<ModelPrice.Rates, FemtoUSD> & Sendable)] = [("", \.input), ("output_", \.output)]
        for (kind, path) in kinds {
            let (least, most) = (try bound("min_\(kind)price"), try bound("max_\(kind)price"))
            if least == nil, most == nil { continue }
            tests.append { model in
                let price = model.hosts[0].price
                guard price.basis == .metered else { return false }
                let amount = price.rates[keyPath: path]
                return (least.map { amount >= $0 } ?? true) && (most.map { amount <= $0 } ?? true)
            }
        }
    }

    private mutating func add(ages query: QueryFields, now: Int64) throws {
        let day: Int64 = 86_400
        if let days = try query.integer("min_age_days") { tests.append { $0.created <= now - days * day } }
        if let days = try query.integer("max_age_days") { tests.append { $0.created >= now - days * day } }
    }

    // MARK: Use

    /// The models that fit, in order, before the page is cut out.
    func all(_ models: [RouterModel]) -> [RouterModel] {
        let found = models.filter { model in tests.allSatisfy { $0(model) } }
        // Sorting keeps the order of equals: their places decide.
        func sorted(_ isBefore: (RouterModel, RouterModel) -> Bool) -> [RouterModel] {
            found.enumerated().sorted { left, right in
                if isBefore(left.element, right.element) { return true }
                return !isBefore(right.element, left.element) && left.offset < right.offset
            }.map(\.element)
        }
        switch order {
        case "newest": return sorted { $0.created > $1.created }
        case "context-high-to-low": return sorted { ($0.hosts[0].contextLength ?? 0) > ($1.hosts[0].contextLength ?? 0) }
        case "pricing-low-to-high": return sorted { Self.comes($0, before: $1) { $0 < $1 } }
        case "pricing-high-to-low": return sorted { Self.comes($0, before: $1) { $0 > $1 } }
        default: return found
        }
    }

    /// By the sum of both token prices; models that have no price in advance come last either way.
    private static func comes(_ left: RouterModel, before right: RouterModel, _ isBefore: (Int128, Int128) -> Bool) -> Bool {
        func sum(_ model: RouterModel) -> Int128? {
            let price = model.hosts[0].price
            return price.basis == .metered ? Int128(price.rates.input.femtos) + Int128(price.rates.output.femtos) : nil
        }
        guard let first = sum(left) else { return false }
        return sum(right).map { isBefore(first, $0) } ?? true
    }

    /// - Returns: the page, and the offset of the next one; nil = there is none.
    func cut(_ models: [RouterModel]) -> (models: ArraySlice<RouterModel>, next: Int?) {
        guard let page else { return (models[...], nil) }
        let start = min(page.offset, models.count)
        let end = min(models.count, start + page.limit)
        return (models[start..<end], end < models.count ? end : nil)
    }

    var pageLimit: Int { page?.limit ?? Self.pageSize }
}
