import NIOCore
import RouterCore

/// A public list of prices in LiteLLM's form: one JSON object with a member for each model, prices in USD per token, image, character or
/// second (https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json; its first member, `sample_spec`, explains the
/// fields). Every figure is read by its text. What this gateway has no word for makes an entry useless rather than wrong.
struct PriceList: Sendable {
    /// By `litellm_provider`, then by the name of the model without the list's prefix.
    private let vendors: [String: [String: ListedModel]]
    /// The same by the list's whole names: some vendors' own names begin with the same word.
    private let whole: [String: [String: ListedModel]]

    var isEmpty: Bool { vendors.isEmpty }

    /// - Returns: nil when the body is no JSON object.
    init?(_ body: ByteBuffer) {
        guard case .object(let members)? = try? JSONValue(parsing: body) else { return nil }
        var vendors: [String: [String: ListedModel]] = [:]
        var whole: [String: [String: ListedModel]] = [:]
        for member in members where member.name != "sample_spec" {
            guard let vendor = member.value["litellm_provider"]?.stringValue, let mode = member.value["mode"]?.stringValue else { continue }
            guard let price = PriceListEntry(member.value, mode: mode).price else { continue }
            let writesText = ["chat", "completion", "responses"].contains(mode)
            let model = ListedModel(
                id: member.name, contextLength: Self.tokens(member.value["max_input_tokens"]) ?? Self.tokens(member.value["max_tokens"]),
                maxOutputTokens: writesText ? Self.tokens(member.value["max_output_tokens"]) : nil, price: price)
            guard let slash = member.name.firstIndex(of: "/"), vendor.hasPrefix(member.name[..<slash]) else {
                vendors[vendor, default: [:]][member.name] = model
                continue
            }
            // `together_ai/Qwen/Qwen3`: the word before the first slash is LiteLLM's.
            vendors[vendor, default: [:]][String(member.name[member.name.index(after: slash)...])] = model
            whole[vendor, default: [:]][member.name] = model
        }
        self.whole = whole
        self.vendors = vendors
    }

    /// The entries of the list for these models of a vendor.
    /// - Parameter names: what the list calls the vendor; the first that has a model counts.
    func models(of names: [String], among models: Set<String>) -> [ListedModel] {
        models.sorted().compactMap { name in
            guard var model = names.lazy.compactMap({ vendors[$0]?[name] ?? whole[$0]?[name] }).first else { return nil }
            model.id = name
            return model
        }
    }

    private static func tokens(_ value: JSONValue?) -> Int64? {
        guard let count = value?.integerValue, (1...1_000_000_000).contains(count) else { return nil }
        return count
    }
}

/// The figures of one entry.
private struct PriceListEntry {
    private let entry: JSONValue
    private let mode: String

    init(_ entry: JSONValue, mode: String) {
        self.entry = entry
        self.mode = mode
    }

    /// nil where the entry has no price, or one that cannot be read.
    var price: ModelPrice? { try? read() }

    private struct Unreadable: Error {}

    private static let optional: [(key: String, path: any WritableKeyPath<ModelPrice.Rates, FemtoUSD?> & Sendable)] = [
        ("cache_read_input_token_cost", \.cacheRead), ("cache_creation_input_token_cost", \.cacheWrite5m),
        ("cache_creation_input_token_cost_above_1hr", \.cacheWrite1h), ("output_cost_per_reasoning_token", \.reasoning),
        ("input_cost_per_audio_token", \.audioInput), ("output_cost_per_audio_token", \.audioOutput),
    ]
    /// How the list writes the classes of service that ``ModelPrice/serviceTiers`` names.
    private static let services = [("batch", "_batches"), ("flex", "_flex"), ("priority", "_priority")]

    private func read() throws -> ModelPrice? {
        switch mode {
        case "chat", "completion", "responses":
            return try tokenPrice(output: figure("output_cost_per_token"))
        case "embedding", "moderation":
            return try tokenPrice(output: .zero)
        case "image_generation":
            // Such models are charged by the tokens of pictures, or by the picture: of several prices by size the dearest.
            if let output = try figure("output_cost_per_image_token") {
                var price = try tokenPrice(output: output)
                price?.pictures = try figure("input_cost_per_image_token").map { PicturePrices(input: $0) }
                return price
            }
            return try unit(["output_cost_per_image", "input_cost_per_image"]) { $0.image = $1 }
        case "audio_speech":
            if let audio = try figure("output_cost_per_audio_token") {
                return try tokenPrice(output: figure("output_cost_per_token") ?? audio)
            }
            return try unit(["input_cost_per_character"]) { $0.character = $1 }
        case "audio_transcription":
            if let price = try unit(["input_cost_per_second"], set: { $0.audioSecond = $1 }) { return price }
            return try tokenPrice(output: figure("output_cost_per_token"))
        case "rerank":
            return try unit(["input_cost_per_query"]) { $0.search = $1 } ?? tokenPrice(output: .zero)
        default: return nil
        }
    }

    private func figure(_ key: String) throws -> FemtoUSD? {
        guard let value = entry[key], !value.isNull else { return nil }
        guard let text = value.numberText ?? value.stringValue, let parsed = try? FemtoUSD.parse(usdPerUnit: text) else {
            throw Unreadable()
        }
        return parsed.price
    }

    private func unit(_ keys: [String], set: (inout ModelPrice, FemtoUSD) -> Void) throws -> ModelPrice? {
        guard let amount = try keys.compactMap(figure).max(), amount > .zero else { return nil }
        var price = ModelPrice.free
        set(&price, amount)
        return price
    }

    private func tokenPrice(output: FemtoUSD?) throws -> ModelPrice? {
        guard let input = try figure("input_cost_per_token"), let output else { return nil }
        let rates = try rates(ModelPrice.Rates(input: input, output: output), "")
        var price = ModelPrice(rates: rates)
        price.tiers = try tiers(rates, "")
        price.serviceTiers = try Self.services.compactMap { name, suffix in
            guard let input = try figure("input_cost_per_token" + suffix) else { return nil }
            let output = try figure("output_cost_per_token" + suffix) ?? (output == .zero ? .zero : nil)
            guard let output else { return nil }
            let rates = try self.rates(ModelPrice.Rates(input: input, output: output), suffix)
            return ModelPrice.ServiceTier(name: name, rates: rates, tiers: try tiers(rates, suffix))
        }
        return price
    }

    private func rates(_ base: ModelPrice.Rates, _ suffix: String) throws -> ModelPrice.Rates {
        var rates = base
        for (key, path) in Self.optional {
            // A zero beside a real price means "not priced apart".
            if let amount = try figure(key + suffix), amount > .zero { rates[keyPath: path] = amount }
        }
        return rates
    }

    /// `…_above_200k_tokens`: what the whole request costs above so many prompt tokens. What is not said of a tier stays as below it.
    private func tiers(_ base: ModelPrice.Rates, _ suffix: String) throws -> [ModelPrice.Tier] {
        guard case .object(let members) = entry else { return [] }
        let begin = "input_cost_per_token_above_"
        let end = "k_tokens" + suffix
        let steps = members.compactMap { member -> Int64? in
            guard member.name.hasPrefix(begin), member.name.hasSuffix(end), !member.value.isNull else { return nil }
            return Int64(member.name.dropFirst(begin.utf8.count).dropLast(end.utf8.count))
        }
        var last = base
        return try steps.filter { (1...1_000_000).contains($0) }.sorted().map { thousands in
            let mark = "_above_\(thousands)k_tokens"
            last.input = try figure("input_cost_per_token" + mark + suffix) ?? last.input
            last.output = try figure("output_cost_per_token" + mark + suffix) ?? last.output
            last = try rates(last, mark + suffix)
            return ModelPrice.Tier(abovePromptTokens: thousands * 1_000, rates: last)
        }
    }
}
