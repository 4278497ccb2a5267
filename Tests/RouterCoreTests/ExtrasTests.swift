import NIOCore
import RouterCore
import Testing

/// What a request asks for beyond tokens: it has a price, or it stays out, or it is refused.
@Suite struct ExtrasTests {
    private func extras(_ json: String, _ endpoint: Endpoint, pricesSearch: Bool = false) throws -> RequestExtras? {
        let body = ByteBuffer(string: json)
        let envelope =
            endpoint == .gemini
            ? try RequestEnvelope(gemini: body, model: "m") : try RequestEnvelope(body: body, endpoint: endpoint)
        return try RequestExtras(envelope, pricesSearch: pricesSearch)
    }

    private func text(_ extras: RequestExtras?) -> String { extras.map { String(buffer: $0.envelope.body) } ?? "as it came" }

    @Test(
        "audit 6: tools that the vendor runs stay out and are named",
        arguments: [
            (
                Endpoint.responses, #"{"model":"m","tools":[{"type":"web_search"},{"type":"function","name":"f"}],"input":"a"}"#,
                #"{"model":"m","tools":[{"type":"function","name":"f"}],"input":"a"}"#, ["web_search"]
            ),
            (
                .responses,
                #"{"model":"m","tools":[{"type":"code_interpreter"},{"type":"image_generation"}],"tool_choice":"auto","input":"a"}"#,
                #"{"model":"m","input":"a"}"#, ["code_interpreter", "image_generation"]
            ),
            (
                .messages,
                #"{"model":"m","tools":[{"type":"code_execution_20250825","name":"code"},{"name":"f","input_schema":{"type":"web_search"}}],"messages":[]}"#,
                #"{"model":"m","tools":[{"name":"f","input_schema":{"type":"web_search"}}],"messages":[]}"#, ["code_execution_20250825"]
            ),
            (
                .gemini, #"{"contents":[],"tools":[{"functionDeclarations":[{"name":"f"}],"googleSearch":{}},{"googleMaps":{}}]}"#,
                #"{"contents":[],"tools":[{"functionDeclarations":[{"name":"f"}]}]}"#, ["googleSearch", "googleMaps"]
            ),
            (
                .chat, #"{"model":"m","tools":[{"t\u0079pe":"web_search"}],"messages":[]}"#, #"{"model":"m","messages":[]}"#, ["web_search"]
            ),
        ])
    func toolsStayOut(_ endpoint: Endpoint, _ json: String, _ expected: String, _ names: [String]) throws {
        let found = try extras(json, endpoint)
        #expect(text(found) == expected && found?.leftOut == names)
        #expect(found?.searches == 0)
    }

    @Test func `a search with a price is held and goes on`() throws {
        let json = #"{"model":"m","tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3}],"messages":[]}"#
        let found = try extras(json, .messages, pricesSearch: true)
        #expect(text(found) == json && found?.searches == 3 && found?.leftOut == [])
        #expect(try extras(#"{"contents":[],"tools":[{"googleSearch":{}}]}"#, .gemini, pricesSearch: true)?.searches == 10)
    }

    @Test(arguments: [
        #"{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"messages":[]}"#,
        #"{"model":"m","messages":[{"role":"user","content":"plugins"}]}"#,
    ])
    func `a request that asks for nothing of the kind is not looked at twice`(_ json: String) throws {
        #expect(try extras(json, .chat) == nil)
    }

    @Test(arguments: [
        (Endpoint.chat, #""plugins":[{"id":"web"}]"#, "plugins"),
        (.chat, #""plugins":[{"id":"file-parser","pdf":{"engine":"mistral-ocr"}}]"#, "plugins"),
        (.chat, #""web_search_options":{}"#, "web_search_options"), (.chat, #""search_parameters":{"mode":"auto"}"#, "search_parameters"),
        (.chat, #""enable_search":true"#, "enable_search"), (.messages, #""speed":"fast""#, "speed"),
        (.messages, #""inference_geo":"us""#, "inference_geo"), (.messages, #""container":{"id":"c"}"#, "container"),
        (.responses, #""tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search"}"#, "tool_choice"),
        (.responses, #""tools":[{"type":"web_search"}],"tool_choice":"required""#, "tool_choice"),
        (
            .messages, #""tools":[{"type":"web_search_20250305","name":"search"}],"tool_choice":{"type":"tool","name":"search"}"#,
            "tool_choice"
        ),
    ])
    func `what cannot stay out is refused by its name`(_ endpoint: Endpoint, _ member: String, _ param: String) throws {
        let error = #expect(throws: RequestEnvelope.Rejection.self) { try extras("{\"model\":\"m\",\(member)}", endpoint) }
        #expect(error?.param == param && error?.message.contains("no price") == true)
    }

    @Test(arguments: [
        (Endpoint.chat, #""plugins":[{"id":"response-healing"},{"id":"file-parser","pdf":{"engine":"native"}}]"#),
        (.chat, #""enable_search":false"#), (.chat, #""search_parameters":{"mode":"off"}"#), (.messages, #""speed":"standard""#),
        (.messages, #""tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]"#),
        (.messages, #""tools":[{"type":"bash_20250124","name":"bash"}]"#),
    ])
    func `what costs nothing goes on`(_ endpoint: Endpoint, _ member: String) throws {
        let json = "{\"model\":\"m\",\(member)}"
        let found = try extras(json, endpoint)
        #expect((found == nil || text(found) == json) && found?.leftOut ?? [] == [] && found?.searches ?? 0 == 0)
    }

    @Test func `a plugin that searches is charged once even when the vendor does not count it`() throws {
        let found = try #require(try extras(#"{"model":"m","plugins":[{"id":"web"}]}"#, .chat, pricesSearch: true))
        var quote = PriceQuote(
            price: ModelPrice(rates: ModelPrice.Rates(input: .zero, output: .zero), search: FemtoUSD(femtos: 10_000_000_000)), ratio: .one,
            version: 1)
        quote.leastSearches = found.leastSearches
        #expect(try quote.charge(for: Usage()).nanos == 10_000 && quote.charge(for: Usage(searches: 4)).nanos == 40_000)
    }

    @Test("audit 6: only betas without a price of their own go on")
    func betas() {
        let list =
            "claude-code-20250219, fast-mode-2026-02-01,context-1m-2025-08-07,interleaved-thinking-2025-05-14,code-execution-2025-08-25"
        let plain = AnthropicBetas.split(list, pricesLongContext: false)
        #expect(plain.kept == "claude-code-20250219,interleaved-thinking-2025-05-14")
        #expect(plain.leftOut == ["fast-mode-2026-02-01", "context-1m-2025-08-07", "code-execution-2025-08-25"])
        #expect(AnthropicBetas.split(list, pricesLongContext: true).kept.contains("context-1m-2025-08-07"))
    }

    // MARK: Tiers

    private func quote(asked: String?) -> PriceQuote {
        func rates(_ femtos: Int64) -> ModelPrice.Rates { ModelPrice.Rates(input: FemtoUSD(femtos: femtos), output: .zero) }
        let price = ModelPrice(
            rates: rates(1_000_000),
            serviceTiers: [
                ModelPrice.ServiceTier(name: "batch", rates: rates(500_000)), ModelPrice.ServiceTier(name: "flex", rates: rates(500_000)),
                ModelPrice.ServiceTier(name: "priority", rates: rates(2_000_000)),
            ])
        return PriceQuote(price: price, ratio: .one, version: 1, askedTier: asked)
    }

    @Test(
        "audit 6: a tier that the answer does not name is charged at the dearer",
        arguments: [
            (String?.none, String?.none, 1_000 as Int64), ("priority", nil, 2_000), ("auto", nil, 2_000), ("flex", nil, 1_000),
            ("batch", nil, 1_000),
            ("priority", "default", 1_000), ("flex", "flex", 500), (nil, "priority", 2_000), ("priority", "not a name!", 2_000),
        ])
    func tiers(_ asked: String?, _ named: String?, _ nanos: Int64) throws {
        let bill = try quote(asked: asked).bill(for: Usage(uncachedInput: 1_000, serviceTier: named))
        #expect(bill.charge.nanos == nanos)
    }

    @Test("audit 1: beyond the hold nothing is charged, and the rest is told")
    func ceiling() throws {
        var quote = quote(asked: nil)
        quote.ceiling = NanoUSD(nanos: 700)
        #expect(try quote.bill(for: Usage(uncachedInput: 1_000)) == Bill(charge: NanoUSD(nanos: 700), uncharged: NanoUSD(nanos: 300)))
        #expect(try quote.bill(for: Usage(uncachedInput: 700)) == Bill(charge: NanoUSD(nanos: 700)))
        #expect(try quote.charge(for: Usage(uncachedInput: 1_000)).nanos == 700)
    }
}
