/// What a client wishes of routing: the `provider` object of OpenRouter's API, over our own channels.
///
/// A name means every channel of that name and every channel of the provider of that name, in any case of letters. Names that no
/// channel bears are hosts behind an aggregator; they are left for it (``forwarded``).
/// Source of the fields: https://openrouter.ai/docs/features/provider-routing
public struct ClientPreferences: Sendable, Hashable {
    /// USD per token, per request: the most that the client is willing to pay.
    public struct MaxPrice: Sendable, Hashable {
        public var prompt: FemtoUSD?
        public var completion: FemtoUSD?
        public var request: FemtoUSD?
        public var image: FemtoUSD?
        public init(prompt: FemtoUSD? = nil, completion: FemtoUSD? = nil, request: FemtoUSD? = nil, image: FemtoUSD? = nil) {
            self.prompt = prompt
            self.completion = completion
            self.request = request
            self.image = image
        }
    }

    /// What goes on to an aggregator that has preferences of the same form.
    public enum Forwarded: Sendable, Hashable {
        case asGiven
        case nothing
        /// JSON text.
        case replaced(String)
    }

    /// Tried first, in this order.
    public var order: [String] = []
    /// Only these may serve; nil = anybody may.
    public var only: [String]?
    public var ignore: [String] = []
    public var sort: RoutingStrategy?
    public var allowFallbacks = true
    public var maxPrice: MaxPrice?
    public var forwarded = Forwarded.asGiven
    /// `only` (or `order` without fallbacks) names hosts behind aggregators as well, so these stay candidates.
    public var onlyNamesHosts = false
    public var orderNamesHosts = false

    public init() {}

    /// Reads the object. - Throws: ``RequestEnvelope/Rejection`` that names the field.
    public init(_ json: JSONValue, knownNames: Set<String>) throws(RequestEnvelope.Rejection) {
        let order = try Self.names(json, "order") ?? []
        let only = try Self.names(json, "only")
        let ignore = try Self.names(json, "ignore") ?? []
        func ours(_ names: [String]) -> [String] { names.map { $0.lowercased() }.filter(knownNames.contains) }
        self.order = ours(order)
        orderNamesHosts = self.order.count < order.count
        self.ignore = ours(ignore)
        if let only, !only.isEmpty {
            let known = ours(only)
            onlyNamesHosts = known.count < only.count
            self.only = known
        }
        sort = try Self.readSort(json["sort"])
        switch json["allow_fallbacks"] {
        case nil, .null?: break
        case .boolean(let flag)?: allowFallbacks = flag
        default: throw Self.wrong("allow_fallbacks", "a boolean")
        }
        maxPrice = try Self.readMaxPrice(json["max_price"])
        forwarded = Self.forwarded(json, knownNames)
    }

    private static func wrong(_ name: String, _ expected: String) -> RequestEnvelope.Rejection {
        RequestEnvelope.Rejection("'provider.\(name)' must be \(expected)", param: "provider.\(name)")
    }

    private static func names(_ json: JSONValue, _ name: String) throws(RequestEnvelope.Rejection) -> [String]? {
        guard let value = json[name], !value.isNull else { return nil }
        guard let list = value.arrayValue, list.count <= 64, list.allSatisfy({ ($0.stringValue?.utf8.count ?? 999) <= 128 })
        else { throw wrong(name, "an array of at most 64 names") }
        return list.compactMap(\.stringValue)
    }

    private static func readSort(_ value: JSONValue?) throws(RequestEnvelope.Rejection) -> RoutingStrategy? {
        guard let value, !value.isNull else { return nil }
        switch value.stringValue ?? value["by"]?.stringValue {
        case "price": return .lowestCost
        case "latency": return .leastLatency
        case "throughput": return .highestThroughput
        // OpenRouter's own measure, which we do not have.
        case "exacto": return nil
        default: throw wrong("sort", "'price', 'latency' or 'throughput'")
        }
    }

    private static func readMaxPrice(_ value: JSONValue?) throws(RequestEnvelope.Rejection) -> MaxPrice? {
        guard let value, !value.isNull else { return nil }
        guard case .object = value else { throw wrong("max_price", "an object") }
        func price(_ name: String, isPerMillion: Bool) throws(RequestEnvelope.Rejection) -> FemtoUSD? {
            guard let member = value[name], !member.isNull else { return nil }
            let text = member.numberText ?? member.stringValue ?? ""
            let parsed = isPerMillion ? try? FemtoUSD.parse(usdPerMillion: text) : try? FemtoUSD.parse(usdPerUnit: text)
            guard let parsed else {
                throw wrong("max_price.\(name)", isPerMillion ? "USD per million tokens, not negative" : "USD, not negative")
            }
            return parsed.price
        }
        return MaxPrice(
            prompt: try price("prompt", isPerMillion: true), completion: try price("completion", isPerMillion: true),
            request: try price("request", isPerMillion: false), image: try price("image", isPerMillion: false))
    }

    /// The object without our own names, which an aggregator would not know.
    private static func forwarded(_ json: JSONValue, _ knownNames: Set<String>) -> Forwarded {
        guard case .object(let members) = json else { return .asGiven }
        var hasChanged = false
        var kept: [JSONValue.Member] = []
        for member in members {
            guard ["order", "only", "ignore"].contains(member.name), let list = member.value.arrayValue else {
                kept.append(member)
                continue
            }
            let rest = list.filter { !knownNames.contains(($0.stringValue ?? "").lowercased()) }
            if rest.count == list.count {
                kept.append(member)
            } else {
                hasChanged = true
                if !rest.isEmpty { kept.append(JSONValue.Member(member.name, .array(rest))) }
            }
        }
        guard hasChanged else { return .asGiven }
        return kept.isEmpty ? .nothing : .replaced(JSONValue.object(kept).text)
    }

    /// Why a channel does not fit; nil when it does.
    func objection(to channel: Channel, passesPreferencesOn: Bool) -> DropReason? {
        let names = [channel.name.lowercased(), channel.provider.name.lowercased()]
        if names.contains(where: ignore.contains) { return .ignoredByClient }
        guard let only else { return nil }
        if names.contains(where: only.contains) || (onlyNamesHosts && passesPreferencesOn) { return nil }
        return .notAmongClientsOnly
    }

    /// Whether a price is above what the client would pay.
    func isTooDear(_ quote: PriceQuote) -> Bool {
        guard let maxPrice, quote.price.basis == .metered else { return false }
        func exceeds(_ price: FemtoUSD, _ limit: FemtoUSD?) -> Bool {
            guard let limit else { return false }
            // price × ratio > limit, exactly.
            return Int128(price.femtos) * Int128(quote.ratio.millionths) > Int128(limit.femtos) * 1_000_000
        }
        let rates = quote.price.rates
        return exceeds(rates.input, maxPrice.prompt) || exceeds(rates.output, maxPrice.completion)
            || exceeds(quote.price.request, maxPrice.request) || exceeds(quote.price.image, maxPrice.image)
    }
}
