import NIOCore
import RouterCore

/// OpenRouter's `GET /models`: prices are decimal text in USD per token, request, image or search
/// (https://openrouter.ai/docs/api-reference/list-available-models).
enum OpenRouterList {
    static func models(_ body: ByteBuffer) -> [ListedModel]? {
        ModelList.read(body, under: "data") { entry in
            guard let id = entry["id"]?.stringValue else { return nil }
            let top = entry["top_provider"]
            var model = ListedModel(
                id: id, displayName: entry["name"]?.stringValue, description: entry["description"]?.stringValue,
                contextLength: ModelList.tokens(entry["context_length"]) ?? ModelList.tokens(top?["context_length"]),
                maxOutputTokens: ModelList.tokens(top?["max_completion_tokens"]),
                inputModalities: texts(entry["architecture"]?["input_modalities"]),
                outputModalities: texts(entry["architecture"]?["output_modalities"]), facts: facts(entry))
            var prices = OpenRouterPrices(entry["pricing"])
            model.price = prices.price()
            model.rounded = prices.rounded
            return model
        }
    }

    private static func facts(_ entry: JSONValue) -> ModelFacts {
        let architecture = entry["architecture"]
        var facts = ModelFacts()
        facts.canonicalSlug = short(entry["canonical_slug"])
        facts.huggingFaceID = short(entry["hugging_face_id"])
        facts.created = entry["created"]?.integerValue
        facts.modality = short(architecture?["modality"])
        facts.tokenizer = short(architecture?["tokenizer"])
        facts.instructType = short(architecture?["instruct_type"])
        facts.isModerated = entry["top_provider"]?["is_moderated"]?.boolValue
        facts.supportedParameters = Array(texts(entry["supported_parameters"]).filter { $0.utf8.count <= 64 }.prefix(64))
        facts.defaultParameters = samplers.compactMap { name in
            guard let value = entry["default_parameters"]?[name], value.isNull || value.numberText.map({ $0.utf8.count <= 32 }) == true
            else {
                return nil
            }
            return JSONValue.Member(name, value)
        }
        facts.knowledgeCutoff = short(entry["knowledge_cutoff"])
        facts.expirationDate = short(entry["expiration_date"])
        return facts
    }

    /// https://openrouter.ai/docs/client-sdks/python/components/defaultparameters
    private static let samplers = ["temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "repetition_penalty"]

    /// Bounds what is kept of each model; an empty text says nothing.
    private static func short(_ value: JSONValue?) -> String? {
        guard let text = value?.stringValue, !text.isEmpty, text.utf8.count <= 256 else { return nil }
        return text
    }

    private static func texts(_ value: JSONValue?) -> [String] { (value?.arrayValue ?? []).compactMap(\.stringValue) }
}

private struct OpenRouterPrices {
    let pricing: JSONValue?
    var rounded: [String] = []
    private var isUnreadable = false
    /// Conditions that a row cannot say.
    private var hasMore = false

    init(_ pricing: JSONValue?) { self.pricing = pricing }

    /// nil when there is none, or one that is not a price: then the model has no price rather than a wrong one.
    mutating func price() -> ModelPrice? {
        guard let prompt = text("prompt"), let completion = text("completion") else { return nil }
        // The sentinel of router models, whose price is that of whichever model answers.
        if prompt.hasPrefix("-") || completion.hasPrefix("-") { return .upstreamCost }
        let rates = rates(of: pricing, over: nil)
        var price = ModelPrice(
            rates: rates, image: amount("image") ?? .zero, request: amount("request") ?? .zero,
            search: amount("web_search") ?? .zero)
        price.tiers = tiers(over: rates)
        // What a row has no words for is charged as OpenRouter bills it.
        let hasPictures = apart("image_output").map { $0 != rates.output } ?? false
        if isUnreadable { return nil }
        return hasMore || hasPictures ? .upstreamCost : price
    }

    /// - Parameter base: what holds where nothing is said.
    private mutating func rates(of prices: JSONValue?, over base: ModelPrice.Rates?) -> ModelPrice.Rates {
        var rates = base ?? ModelPrice.Rates(input: .zero, output: .zero)
        rates.input = amount("prompt", prices) ?? rates.input
        rates.output = amount("completion", prices) ?? rates.output
        rates.cacheRead = apart("input_cache_read", prices) ?? rates.cacheRead
        rates.cacheWrite5m = apart("input_cache_write", prices) ?? rates.cacheWrite5m
        rates.cacheWrite1h = apart("input_cache_write_1h", prices) ?? rates.cacheWrite1h
        rates.reasoning = apart("internal_reasoning", prices) ?? rates.reasoning
        rates.audioInput = apart("audio", prices) ?? rates.audioInput
        rates.audioOutput = apart("audio_output", prices) ?? rates.audioOutput
        return rates
    }

    private static let ofTokens: Set<String> = [
        "prompt", "completion", "input_cache_read", "input_cache_write", "input_cache_write_1h", "internal_reasoning", "audio",
        "audio_output",
    ]

    /// `overrides`: other prices above so many prompt tokens; of several that hold, the later ones win price by price
    /// (https://openrouter.ai/docs/client-sdks/python/components/pricingoverride).
    private mutating func tiers(over base: ModelPrice.Rates) -> [ModelPrice.Tier] {
        var known: [(above: Int64, prices: JSONValue)] = []
        for entry in pricing?["overrides"]?.arrayValue ?? [] {
            guard case .object(let members) = entry, let above = entry["min_prompt_tokens"]?.integerValue, above > 0,
                members.allSatisfy({ $0.name == "min_prompt_tokens" || $0.value.isNull || Self.ofTokens.contains($0.name) })
            else {
                // By the time of day, or of something else than tokens.
                hasMore = true
                continue
            }
            known.append((above, entry))
        }
        return Set(known.map(\.above)).sorted().map { above in
            var rates = base
            for entry in known where entry.above <= above { rates = self.rates(of: entry.prices, over: rates) }
            return ModelPrice.Tier(abovePromptTokens: above, rates: rates)
        }
    }

    private func text(_ name: String, _ prices: JSONValue? = nil) -> String? {
        let value = (prices ?? pricing)?[name]
        return value?.stringValue ?? value?.numberText
    }

    /// A zero beside a real prompt price means "not priced apart", not "free".
    private mutating func apart(_ name: String, _ prices: JSONValue? = nil) -> FemtoUSD? {
        guard let price = amount(name, prices), price != .zero else { return nil }
        return price
    }

    private mutating func amount(_ name: String, _ prices: JSONValue? = nil) -> FemtoUSD? {
        guard let text = text(name, prices) else { return nil }
        guard let parsed = try? FemtoUSD.parse(usdPerUnit: text) else {
            isUnreadable = true
            return nil
        }
        let note = "\(name)=\(text)"
        if !parsed.isExact, !rounded.contains(note) { rounded.append(note) }
        return parsed.price
    }
}
