import Foundation
import HTTPTypes
import RouterCore
import Storage
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server
@testable import Vendors

/// Price rows from files and from vendors' lists, and how models are shown.
@Suite(.serialized, .timeLimit(.minutes(10))) struct CatalogueTests {
    static func price(_ input: String, _ output: String, cacheRead: String? = nil) throws -> ModelPrice {
        ModelPrice(
            rates: .init(
                input: try FemtoUSD.parse(usdPerMillion: input).price, output: try FemtoUSD.parse(usdPerMillion: output).price,
                cacheRead: try cacheRead.map { try FemtoUSD.parse(usdPerMillion: $0).price }))
    }

    private func provider(_ name: String, _ models: [(String, String)]) throws -> ProviderSpec {
        ProviderSpec(
            name: name, family: .openai, baseURL: "https://\(name).test",
            models: try models.map { ProviderModel(id: $0.0, price: try Self.price($0.1, "1")) })
    }

    // MARK: Seeding

    @Test func `a provider in use prices a model before one that nobody uses`() throws {
        let providers = [
            try provider("alpha", [("m", "1"), ("a", "1")]), try provider("beta", [("m", "2")]), try provider("gamma", [("m", "3")]),
        ]
        func owner(_ used: Set<String>) -> String? { PriceSeed.rows(of: providers, inUse: used).first { $0.modelName == "m" }?.provider }
        #expect(owner([]) == "alpha")
        #expect(owner(["gamma"]) == "gamma")
        #expect(owner(["gamma", "beta"]) == "beta")
        // What only an unused file prices keeps its price: a channel may be added at any time.
        #expect(PriceSeed.rows(of: providers, inUse: ["gamma"]).map(\.modelName) == ["a", "m"])
        #expect(PriceSeed.rows(of: providers.reversed(), inUse: ["gamma"]) == PriceSeed.rows(of: providers, inUse: ["gamma"]))
    }

    @Test func `what a sync has written does not go back to the file's price with the next start`() throws {
        let providers = [try provider("alpha", [("m", "1"), ("n", "1"), ("o", "1")])]
        var catalogue = Catalogue()
        catalogue.set(
            [
                .init(model: ListedModel(id: "m"), hasPrice: true),
                .init(model: ListedModel(id: "n", displayName: "N", contextLength: 9), hasPrice: false),
            ], of: "alpha")
        let rows = PriceSeed.rows(of: providers, inUse: ["alpha"], catalogue)
        #expect(rows.map(\.modelName) == ["n", "o"])
        #expect(rows[0].displayName == "N" && rows[0].contextLength == 9 && rows[0].price.rates.input.usdPerMillionText == "1")
        // Another provider's file is not bound by it.
        #expect(PriceSeed.rows(of: [try provider("beta", [("m", "1")])], inUse: [], catalogue).count == 1)
    }

    @Test func `another provider's price does not stay when the winner is back`() throws {
        var catalogue = Catalogue()
        catalogue.set([.init(model: ListedModel(id: "m", price: try Self.price("7", "1")), hasPrice: true)], of: "alpha")
        let providers = [try provider("alpha", [("m", "1")]), try provider("beta", [("m", "2")])]
        func row(_ owner: String) -> PricingRow? {
            PriceSeed.rows(of: providers, inUse: ["alpha", "beta"], catalogue, owners: ["m": owner]).first { $0.modelName == "m" }
        }
        #expect(row("alpha") == nil)
        #expect(row("beta")?.provider == "alpha" && row("beta")?.price.rates.input.usdPerMillionText == "7")
        // After a restart the list's prices are not known until the next sync: the file's hold.
        catalogue.set([.init(model: ListedModel(id: "m"), hasPrice: true)], of: "alpha")
        #expect(row("alpha") == nil && row("beta")?.price.rates.input.usdPerMillionText == "1")
    }

    @Test func `a table that was read before a change does not undo it`() throws {
        func row(_ name: String, _ version: Int64) throws -> PricingRow {
            var row = PricingRow(modelName: name, displayName: name, price: try Self.price("1", "1"))
            row.version = version
            return row
        }
        let table = PriceTable([try row("a", 1), try row("b", 1)])
        let changed = try #require(table.replacing(try row("a", 3)))
        #expect(changed.row("a")?.version == 3 && changed.all.map(\.modelName) == ["a", "b"])
        #expect(table.row("a")?.version == 1, "whoever has the old one keeps it")
        #expect(changed.replacing(try row("a", 2)) == nil)
        #expect(changed.replacing(try row("new", 4))?.all.map(\.modelName) == ["a", "b", "new"])
    }

    /// Changes of prices while the configuration and the table are read again and again: none is lost, whichever came first.
    @Test func `prices set during reloads hold at once and for good`() async throws {
        try await TestGateway.with { gateway, client in
            let parts = gateway.gateway.parts
            let reloading = Task {
                while !Task.isCancelled { try await parts.reloader.catalogueChanged() }
            }
            for number in 1...60 {
                let answer = try await client.call(
                    .put, "/api/models/pricing", token: TestGateway.adminToken,
                    body: #"{"model_name":"openai/gpt-4o","pricing_input":\#(number)e-9,"pricing_output":0}"#)
                let version = try #require(answer.json["data"]?["version"]?.integerValue)
                for _ in 0..<20 {
                    let row = parts.snapshots.snapshot.prices.row("openai/gpt-4o")
                    #expect(row?.version == version && row?.price.rates.input.femtos == Int64(number) * 1_000_000)
                    await Task.yield()
                }
            }
            reloading.cancel()
            _ = try? await reloading.value
        }
    }

    @Test func `what lists said survives being written down`() {
        let model = ListedModel(
            id: "a/\"b", displayName: "B", contextLength: 7, maxOutputTokens: 3, inputModalities: ["text", "image"],
            outputModalities: ["text"])
        var catalogue = Catalogue()
        catalogue.set([.init(model: model, hasPrice: true), .init(model: ListedModel(id: "c"), hasPrice: false)], of: "v")
        var again = Catalogue()
        again.set(Catalogue.decode(Catalogue.encode(catalogue.vendors["v"] ?? [:])), of: "v")
        #expect(again == catalogue)
        #expect(Catalogue.decode("{").isEmpty && Catalogue.decode(#"[{"id":7},{}]"#).isEmpty)
    }

    // MARK: Comparing

    private func row(_ name: String, _ input: String, provider: String = "v", isEdited: Bool = false) throws -> PricingRow {
        PricingRow(
            modelName: name, displayName: name, provider: provider, description: "old", contextLength: 100,
            price: try Self.price(input, "2"), isEdited: isEdited, version: 7)
    }

    @Test func `a list gives new, changed, gone, kept and unpriced models`() throws {
        let rows = [
            try row("same", "1"), try row("dearer", "1"), try row("gone", "1"), try row("edited", "1", isEdited: true),
            try row("edited-same", "1", isEdited: true), try row("theirs", "1", provider: "w"), try row("orphan", "1", provider: "x"),
            try row("limits", "1"), try row("unpriced-orphan", "1", provider: "x"),
        ]
        let listed = [
            ListedModel(id: "same", description: "new words", price: try Self.price("1", "2")),
            ListedModel(id: "dearer", contextLength: 200, price: try Self.price("1.5", "2", cacheRead: "0.1")),
            ListedModel(id: "edited", price: try Self.price("9", "9")), ListedModel(id: "edited-same", price: try Self.price("1", "2")),
            ListedModel(id: "theirs", price: try Self.price("9", "9")), ListedModel(id: "orphan", price: try Self.price("1", "2")),
            ListedModel(id: "limits", displayName: "Limits", maxOutputTokens: 5), ListedModel(id: "nothing"),
            ListedModel(id: "unpriced-orphan", contextLength: 5),
            ListedModel(id: "new", displayName: "New", price: try Self.price("3", "4"), rounded: ["prompt=0.1"]),
            ListedModel(id: "bad\nname", price: .free),
        ]
        let diff = CatalogueDiff.between(provider: "v", listed: listed, rows: rows, others: ["w"])
        #expect(diff.new.map(\.modelName) == ["new"] && diff.new.first?.displayName == "New" && diff.new.first?.provider == "v")
        #expect(diff.changed.map(\.row.modelName) == ["dearer", "limits", "orphan"])
        #expect(diff.changed[0].fields == ["input 1 → 1.5", "cache_read none → 0.1", "context_length 100 → 200"])
        #expect(diff.changed[1].fields == ["max_output_tokens none → 5", "display_name limits → Limits"])
        #expect(diff.changed[1].row.price == rows[7].price)
        // A provider that nobody uses has no say any more.
        #expect(diff.changed[2].fields == ["provider x → v"])
        #expect(diff.gone == ["gone"] && diff.unpriced == ["nothing"] && diff.same == 2)
        #expect(diff.kept.map(\.row.modelName) == ["edited"] && diff.kept[0].fields == ["input 1 → 9", "output 2 → 9"])
        #expect(diff.elsewhere == [.init(model: "theirs", text: "w"), .init(model: "unpriced-orphan", text: "x")])
        #expect(diff.rounded == [.init(model: "new", text: "prompt=0.1")])
        #expect(diff.rows.map(\.modelName) == ["new", "dearer", "limits", "orphan"])
        #expect(diff.priced == ["same", "dearer", "orphan", "new"])
        #expect(diff.lines.contains("~ dearer: input 1 → 1.5; cache_read none → 0.1; context_length 100 → 200"))
        #expect(diff.lines.contains("+ new: input 3, output 4") && diff.lines.contains("- gone: no longer listed"))
        #expect(diff.lines.contains("! new: rounded to 10^-15 USD: prompt=0.1"))
    }

    @Test func `a second look at the same list changes nothing`() throws {
        let listed = [ListedModel(id: "a", displayName: "A", price: try Self.price("1", "2")), ListedModel(id: "r", price: .upstreamCost)]
        let first = CatalogueDiff.between(provider: "v", listed: listed, rows: [], others: [])
        let second = CatalogueDiff.between(provider: "v", listed: listed, rows: first.rows, others: [])
        #expect(first.new.count == 2 && first.new.contains { $0.price == .upstreamCost })
        #expect(second.rows.isEmpty && second.same == 2 && second.gone.isEmpty)
    }

    @Test func `a list that calls a priced model free is not believed unless somebody says so`() throws {
        let rows = [try row("m", "1"), PricingRow(modelName: "f", displayName: "f", provider: "v", price: .free)]
        let listed = [
            ListedModel(id: "m", price: .free), ListedModel(id: "f", price: .free), ListedModel(id: "new", price: .free),
        ]
        let kept = CatalogueDiff.between(provider: "v", listed: listed, rows: rows, others: [])
        #expect(kept.held.map(\.row.modelName) == ["m"] && kept.rows.map(\.modelName) == ["new"] && kept.same == 1)
        #expect(kept.lines.contains("0 m: input 1 → 0; output 2 → 0; held back (apirouter models accept m takes it)"))
        #expect(kept.summary.contains("1 held back until an admin accepts them"))
        let taken = CatalogueDiff.between(provider: "v", listed: listed, rows: rows, others: [], acceptsFalls: true)
        #expect(taken.held.isEmpty && taken.changed.map(\.row.modelName) == ["m"])
        // A list that others make calls what it does not know free.
        let foreign = CatalogueDiff.between(provider: "v", listed: listed, rows: rows, others: [], isOwnList: false)
        #expect(foreign.held.map(\.row.modelName) == ["m", "new"] && foreign.rows.isEmpty)
    }

    @Test func `what lists cannot tell is kept while the base prices hold`() throws {
        var old = try row("m", "1")
        old.price.tiers = [.init(abovePromptTokens: 200_000, rates: try Self.price("2", "4").rates)]
        old.price.rates.cacheWrite1h = try FemtoUSD.parse(usdPerMillion: "2").price
        let same = CatalogueDiff.between(
            provider: "v", listed: [ListedModel(id: "m", price: try Self.price("1", "2"))], rows: [old], others: [])
        #expect(same.rows.isEmpty && same.same == 1)
        let moved = CatalogueDiff.between(
            provider: "v", listed: [ListedModel(id: "m", price: try Self.price("0.5", "2"))], rows: [old], others: [])
        #expect(moved.rows.first?.price == (try Self.price("0.5", "2")))
    }

    // MARK: Showing

    @Test func `the public catalogue shows what enabled channels serve, and finds by name, provider and price`() async throws {
        try await TestGateway.with { _, client in
            func names(_ query: String) async throws -> [String] {
                let answer = try await client.call(.get, "/api/models\(query)")
                #expect(answer.status == 200, "\(answer.json.text)")
                return answer.json["data"]?.arrayValue?.compactMap { $0["model_name"]?.stringValue } ?? []
            }
            // Only the demo channel has what it needs.
            #expect(try await names("") == ["demo/echo"])
            #expect(try await names("?q=ECHO") == ["demo/echo"])
            #expect(try await names("?q=gpt").isEmpty)
            #expect(try await names("?provider=demo") == ["demo/echo"])
            #expect(try await names("?provider=openrouter").isEmpty)
            #expect(try await names("?modality=image").isEmpty)
            let item = try #require(try await client.call(.get, "/api/models").json["data"]?.arrayValue?.first)
            let input = try #require(item["pricing_input"]?.numberText)
            #expect(item["endpoints"]?.arrayValue?.contains("chat") == true && item["input_modalities"]?.isNull == true)
            let perMillion = try FemtoUSD.parse(usdPerUnit: try #require(item["pricing_output"]?.numberText)).price.usdPerMillionText
            #expect(try await names("?max_price=\(perMillion)") == ["demo/echo"])
            #expect(try await names("?max_price=0").isEmpty == (input != "0"))
            #expect(try await client.call(.get, "/api/models?max_price=cheap").status == 400)
            #expect(try await client.call(.get, "/api/models?max_price=-1").status == 400)
        }
    }

    @Test func `models are listed in Anthropic's form for clients that name its version`() async throws {
        try await TestGateway.with { _, client in
            let version = try #require(HTTPField.Name("anthropic-version"))
            let key = try #require(HTTPField.Name("x-api-key"))
            let headers: HTTPFields = [version: "2023-06-01", key: TestGateway.rootKey]
            let answer = try await client.call(.get, "/v1/models", headers: headers)
            #expect(answer.status == 200 && answer.json["has_more"]?.boolValue == false)
            #expect(answer.json["first_id"]?.stringValue == "demo/echo" && answer.json["last_id"]?.stringValue == "demo/echo")
            let model = try #require(answer.json["data"]?.arrayValue?.first)
            #expect(model["type"]?.stringValue == "model" && model["id"]?.stringValue == "demo/echo")
            #expect(model["display_name"]?.stringValue?.isEmpty == false)
            let created = try #require(model["created_at"]?.stringValue)
            #expect(created.hasSuffix("Z") && created.count == 20, "\(created)")
            let one = try await client.call(.get, "/v1/models/demo/echo", headers: headers)
            #expect(one.json == model)
            // Pages as Anthropic has them.
            for (query, ids, more) in [("limit=1", 1, false), ("after_id=demo/echo", 0, false), ("before_id=demo%2Fecho", 0, false)] {
                let page = try await client.call(.get, "/v1/models?\(query)", headers: headers)
                #expect(
                    page.json["data"]?.arrayValue?.count == ids && page.json["has_more"]?.boolValue == more, "\(query): \(page.json.text)")
            }
            #expect(try await client.call(.get, "/v1/models?limit=0", headers: headers).status == 400)
            #expect(try await client.call(.get, "/v1/models?after_id=nobody", headers: headers).status == 400)
            let openai = try await client.call(.get, "/v1/models", token: TestGateway.rootKey)
            #expect(openai.json["object"]?.stringValue == "list")
        }
    }
}
