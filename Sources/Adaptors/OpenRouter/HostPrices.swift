import NIOCore
import RouterCore

/// OpenRouter lets a client choose among hosts of different prices, while we charge by one list. Whoever chooses is held to hosts that are
/// not dearer than the list: `provider.max_price` (https://openrouter.ai/docs/features/provider-routing, max price; USD per million tokens,
/// USD per request).
enum HostPrices {
    /// - Parameter preferences: the `provider` object that would go on.
    /// - Returns: the object with the bound; nil when it needs none.
    static func bounded(_ preferences: JSONValue, by price: ModelPrice) -> JSONValue? {
        guard price.basis == .metered, case .object(var members) = preferences, !members.isEmpty else { return nil }
        let given = preferences["max_price"]
        func bound(_ name: String, _ list: FemtoUSD, _ text: String, isPerMillion: Bool) -> JSONValue.Member {
            let own = (given?[name]?.numberText ?? given?[name]?.stringValue).flatMap {
                isPerMillion ? try? FemtoUSD.parse(usdPerMillion: $0).price : try? FemtoUSD.parse(usdPerUnit: $0).price
            }
            if let own, own < list, let value = given?[name] { return JSONValue.Member(name, value) }
            return JSONValue.Member(name, .number(text))
        }
        var limits = [
            bound("prompt", price.rates.input, price.rates.input.usdPerMillionText, isPerMillion: true),
            bound("completion", price.rates.output, price.rates.output.usdPerMillionText, isPerMillion: true),
            bound("request", price.request, price.request.usdText, isPerMillion: false),
        ]
        if case .object(let others)? = given { limits += others.filter { !["prompt", "completion", "request"].contains($0.name) } }
        members.removeAll { $0.name == "max_price" }
        members.append(JSONValue.Member("max_price", .object(limits)))
        return .object(members)
    }
}
