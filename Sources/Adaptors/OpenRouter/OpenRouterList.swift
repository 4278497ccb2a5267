import NIOCore
import RouterCore

/// OpenRouter's `GET /models`: prices are decimal text in USD per token, request, image or search
/// (https://openrouter.ai/docs/api-reference/list-available-models).
enum OpenRouterList {
    static func models(_ body: ByteBuffer) -> [ListedModel]? {
        ModelList.read(body, "data") { entry in
            guard let id = entry["id"]?.stringValue else { return nil }
            let top = entry["top_provider"]
            var model = ListedModel(
                id: id, displayName: entry["name"]?.stringValue, description: entry["description"]?.stringValue,
                contextLength: ModelList.tokens(entry["context_length"]) ?? ModelList.tokens(top?["context_length"]),
                maxOutputTokens: ModelList.tokens(top?["max_completion_tokens"]),
                inputModalities: texts(entry["architecture"]?["input_modalities"]),
                outputModalities: texts(entry["architecture"]?["output_modalities"]))
            var prices = Prices(entry["pricing"])
            model.price = prices.price()
            model.rounded = prices.rounded
            return model
        }
    }

    private static func texts(_ value: JSONValue?) -> [String] { (value?.arrayValue ?? []).compactMap(\.stringValue) }

    private struct Prices {
        let pricing: JSONValue?
        var rounded: [String] = []
        private var isUnreadable = false

        init(_ pricing: JSONValue?) { self.pricing = pricing }

        /// nil when there is none, or one that is not a price: then the model has no price rather than a wrong one.
        mutating func price() -> ModelPrice? {
            guard let prompt = text("prompt"), let completion = text("completion") else { return nil }
            // The sentinel of router models, whose price is that of whichever model answers.
            if prompt.hasPrefix("-") || completion.hasPrefix("-") { return .upstreamCost }
            var rates = ModelPrice.Rates(input: amount("prompt") ?? .zero, output: amount("completion") ?? .zero)
            rates.cacheRead = apart("input_cache_read")
            rates.cacheWrite5m = apart("input_cache_write")
            rates.reasoning = apart("internal_reasoning")
            rates.audioInput = apart("audio")
            let price = ModelPrice(
                rates: rates, image: amount("image") ?? .zero, request: amount("request") ?? .zero,
                search: amount("web_search") ?? .zero)
            return isUnreadable ? nil : price
        }

        private func text(_ name: String) -> String? { pricing?[name]?.stringValue ?? pricing?[name]?.numberText }

        /// A zero beside a real prompt price means "not priced apart", not "free".
        private mutating func apart(_ name: String) -> FemtoUSD? {
            guard let price = amount(name), price != .zero else { return nil }
            return price
        }

        private mutating func amount(_ name: String) -> FemtoUSD? {
            guard let text = text(name) else { return nil }
            guard let parsed = try? FemtoUSD.parse(usdPerUnit: text) else {
                isUnreadable = true
                return nil
            }
            if !parsed.isExact { rounded.append("\(name)=\(text)") }
            return parsed.price
        }
    }
}
