import RouterCore
import Storage
import Testing

@testable import Config
@testable import GatewayState
@testable import Server

/// Models as OpenRouter's clients see them, without a gateway around them.
@Suite struct RouterModelTests {
    private func price(_ input: String, _ output: String) throws -> ModelPrice {
        ModelPrice(
            rates: .init(
                input: try FemtoUSD.parse(usdPerMillion: input).price, output: try FemtoUSD.parse(usdPerMillion: output).price))
    }

    private func model(_ price: ModelPrice, gives: [String] = ["text"]) -> RouterModel {
        RouterModel(
            id: "a/m", displayName: "M", description: "", created: 7, takes: ["text", "image"], gives: gives, facts: ModelFacts(),
            hosts: [.init(tag: "p", name: "P", price: price, contextLength: 9, maxOutputTokens: nil)])
    }

    @Test func `prices are exact text, and what is not priced apart is left out`() throws {
        var price = try price("0.01703012", "15")
        #expect(
            model(price).pricing(price).text
                == #"{"prompt":"0.00000001703012","completion":"0.000015","request":"0","image":"0","web_search":"0"}"#)
        price.rates.cacheRead = FemtoUSD(femtos: 1)
        price.rates.cacheWrite5m = FemtoUSD(femtos: 2)
        price.rates.cacheWrite1h = FemtoUSD(femtos: 3)
        price.rates.reasoning = FemtoUSD(femtos: 4)
        price.rates.audioInput = FemtoUSD(femtos: 5)
        price.rates.audioOutput = FemtoUSD(femtos: 6)
        (price.request, price.image, price.search) = (FemtoUSD(femtos: 7), FemtoUSD(femtos: 8), FemtoUSD(femtos: 9))
        let json = model(price).pricing(price)
        func text(_ name: String) -> String? { json[name]?.stringValue }
        #expect(text("input_cache_read") == "0.000000000000001" && text("input_cache_write") == "0.000000000000002")
        #expect(text("input_cache_write_1h") == "0.000000000000003" && text("internal_reasoning") == "0.000000000000004")
        #expect(text("audio") == "0.000000000000005" && text("audio_output") == "0.000000000000006")
        #expect(text("request") == "0.000000000000007" && text("image") == "0.000000000000008")
        #expect(text("web_search") == "0.000000000000009" && text("image_output") == nil)
        #expect(text("image_token") == nil)
        var seeing = price
        seeing.pictures = PicturePrices(input: FemtoUSD(femtos: 11), sizes: [])
        #expect(model(seeing).pricing(seeing)["image_token"]?.stringValue == "0.000000000000011")
        // A picture that a model draws is not one that it is shown.
        let drawing = model(price, gives: ["image"]).pricing(price)
        #expect(drawing["image_output"]?.stringValue == "0.000000000000008" && drawing["image"] == nil)
        #expect(model(.upstreamCost).pricing(.upstreamCost).text == #"{"prompt":"-1","completion":"-1"}"#)
    }

    /// A tier's own missing prices are those of its input and output, while OpenRouter's overrides inherit from the base.
    @Test func `a tier without a price of its own does not inherit the base's`() throws {
        var price = try price("1", "2")
        price.rates.cacheRead = FemtoUSD(femtos: 100_000_000)
        price.tiers = [.init(abovePromptTokens: 200_000, rates: try self.price("3", "4").rates)]
        let override = try #require(model(price).pricing(price)["overrides"]?.arrayValue?.first)
        #expect(
            override.text
                == #"{"min_prompt_tokens":200000,"prompt":"0.000003","completion":"0.000004","input_cache_read":"0.000003"}"#)
    }

    @Test func `modalities follow from endpoints where no list tells them`() {
        func told(_ endpoints: Set<Endpoint>, _ isBound: Bool) -> String {
            let (takes, gives) = RouterModel.modalities(of: endpoints, isBound: isBound)
            return takes.joined(separator: "+") + ">" + gives.joined(separator: "+")
        }
        #expect(told([.chat, .messages, .embeddings, .images], false) == "text>text")
        #expect(told([.embeddings], true) == "text>embeddings")
        #expect(told([.images], true) == "text>image")
        #expect(told([.speech], true) == "text>speech")
        #expect(told([.transcriptions], true) == "audio>transcription")
        #expect(told([.rerank, .embeddings], false) == "text>embeddings+rerank")
        #expect(told([.moderations], true) == "text>")
        #expect(told([.chat, .images], true) == "text>text+image")
        #expect(told([.images, .imageEdits], true) == "text+image>image" && told([.translations], true) == "audio>transcription")
        #expect(told([], true) == ">")
    }

    // MARK: From a snapshot

    /// Two vendors; the second is preferred, has a list, and serves one model more.
    private func snapshot() throws -> GatewaySnapshot {
        func provider(_ name: String, _ models: [ProviderModel]) -> ProviderSpec {
            ProviderSpec(name: name, displayName: name.uppercased(), family: .openai, baseURL: "https://\(name).test", models: models)
        }
        let first = provider(
            "alpha", [ProviderModel(id: "x/m", contextLength: 5, reasoning: true), ProviderModel(id: "x/e", endpoints: [.embeddings])])
        let second = provider("beta", [ProviderModel(id: "x/m"), ProviderModel(id: "dear"), ProviderModel(id: "x/none")])
        func channel(_ id: Int64, _ provider: ProviderSpec, priority: Int = 0, groups: Set<String> = ["default"]) -> RouterCore.Channel {
            RouterCore.Channel(
                id: id, name: "c\(id)", provider: provider, keys: [Secret("k")], models: [.init(pattern: "*")], priority: priority,
                groups: groups)
        }
        var listed = ListedModel(id: "x/m", contextLength: 8, inputModalities: ["text", "image"], outputModalities: ["text"])
        listed.facts.canonicalSlug = "x/m-2026"
        listed.facts.supportedParameters = ["tools", "tool_choice"]
        var catalogue = Catalogue()
        catalogue.set([.init(model: listed, hasPrice: true)], of: "beta")
        var configuration = GatewayConfiguration()
        configuration.providers = [first, second]
        configuration.routes = RouteTable(channels: [
            channel(1, first), channel(2, second, priority: 1), channel(3, first), channel(4, second, groups: ["vip"]),
        ])
        let rows = [
            PricingRow(modelName: "x/m", displayName: "The M", price: try price("1", "2"), createdAt: 70),
            PricingRow(modelName: "x/e", price: try price("3", "0")), PricingRow(modelName: "dear", price: try price("9", "9")),
        ]
        return GatewaySnapshot(configuration, builtinBaseURL: nil, catalogue: catalogue, prices: PriceTable(rows))
    }

    private func principal(models: [String] = [], group: String = "default") -> KeyPrincipal {
        KeyPrincipal(userID: 1, tokenID: 1, group: group, models: models, addresses: [])
    }

    @Test func `a model is gathered from its price, its vendors' lists and files, the preferred vendor first`() throws {
        let catalogue = RouterCatalogue(try snapshot(), principal())
        // Models without a price are left out.
        #expect(catalogue.models.map(\.id) == ["dear", "x/e", "x/m"])
        #expect(catalogue.providers.map(\.name) == ["alpha", "beta"])
        let model = try #require(catalogue.model(named: "x/m"))
        #expect(model.hosts.map(\.tag) == ["beta", "alpha"] && model.hosts.map(\.contextLength) == [8, 5])
        #expect(model.displayName == "The M" && model.created == 70 && model.takes == ["text", "image"])
        #expect(model.json["canonical_slug"] == "x/m-2026" && model.json["architecture"]?["modality"] == "text+image->text")
        #expect(model.json["supported_parameters"]?.text == #"["tools","tool_choice"]"#)
        #expect(model.json["links"]?["details"] == "/api/v1/models/x/m/endpoints")
        let hosts = try #require(model.endpoints["endpoints"]?.arrayValue)
        #expect(hosts.map { $0["name"]?.stringValue } == ["BETA | x/m", "ALPHA | x/m"])
        #expect(hosts[0]["supports_tool_choice"]?["auto"] == true && hosts[0]["pricing"]?["prompt"] == "0.000001")
        let embedder = try #require(catalogue.model(named: "x/e"))
        #expect(embedder.gives == ["embeddings"] && embedder.facts.supportedParameters == [])
        #expect(catalogue.model(named: "dear")?.facts.supportedParameters == ["max_tokens"])
        #expect(catalogue.model(named: "x/none") == nil && catalogue.model(named: "other") == nil)
    }

    @Test func `a key sees its own models and its group's providers only`() throws {
        let snapshot = try snapshot()
        #expect(RouterCatalogue(snapshot, principal(models: ["x/*"])).models.map(\.id) == ["x/e", "x/m"])
        #expect(RouterCatalogue(snapshot, principal(models: ["x/*"])).model(named: "dear") == nil)
        let vip = RouterCatalogue(snapshot, principal(group: "vip"))
        #expect(vip.providers.map(\.name) == ["beta"] && vip.model(named: "x/m")?.hosts.map(\.tag) == ["beta"])
        #expect(RouterCatalogue(snapshot, principal(group: "nobody")).models.isEmpty)
    }

    @Test func `what lists tell survives being kept as text`() throws {
        var model = ListedModel(id: "m")
        model.facts.canonicalSlug = "m-1"
        model.facts.huggingFaceID = "h/m"
        model.facts.created = 5
        model.facts.modality = "text->text"
        model.facts.tokenizer = "GPT"
        model.facts.instructType = "chatml"
        model.facts.isModerated = true
        model.facts.supportedParameters = ["tools"]
        model.facts.defaultParameters = [.init("temperature", .number("0.70")), .init("top_p", .null)]
        model.facts.knowledgeCutoff = "2026-01-01"
        model.facts.expirationDate = "2027-01-01"
        let plain = ListedModel(id: "n")
        let text = Catalogue.encode(["m": .init(model: model, hasPrice: true), "n": .init(model: plain, hasPrice: false)])
        #expect(Catalogue.decode(text).map(\.model) == [model, plain])
    }
}
