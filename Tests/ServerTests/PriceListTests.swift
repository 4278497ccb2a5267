import NIOCore
import RouterCore
import Storage
import Testing

@testable import GatewayState
@testable import Vendors

/// A public price list in LiteLLM's form, and the guard against lists that are wrong.
@Suite struct PriceListTests {
    private func list(_ json: String) throws -> PriceList { try #require(PriceList(ByteBuffer(string: json))) }

    private func price(_ fields: String, mode: String = "chat") throws -> ModelPrice? {
        try list(#"{"acme/m":{"litellm_provider":"acme","mode":"\#(mode)",\#(fields)}}"#).models(of: ["acme"], among: ["m"]).first?.price
    }

    @Test func `figures are read by their text`() throws {
        let price = try #require(
            try price(
                """
                "input_cost_per_token":2.5e-07,"output_cost_per_token":0.00000199999999999999,"cache_read_input_token_cost":"2.5e-08",
                "cache_creation_input_token_cost":0.0,"input_cost_per_token_above_200k_tokens":5e-07,"input_cost_per_token_batches":1.25e-07,
                "output_cost_per_token_batches":1e-06,"output_cost_per_token_above_200k_tokens":3e-06,"output_cost_per_reasoning_token":null
                """))
        #expect(price.rates.input.usdPerMillionText == "0.25" && price.rates.output.usdPerMillionText == "2")
        #expect(price.rates.cacheRead?.usdPerMillionText == "0.025" && price.rates.cacheWrite5m == nil && price.rates.reasoning == nil)
        let tier = try #require(price.tiers.first)
        #expect(tier.abovePromptTokens == 200_000 && tier.rates.input.usdPerMillionText == "0.5")
        #expect(tier.rates.output.usdPerMillionText == "3" && tier.rates.cacheRead?.usdPerMillionText == "0.025")
        #expect(price.serviceTiers.map(\.name) == ["batch"] && price.serviceTiers[0].rates.output.usdPerMillionText == "1")
    }

    @Test(arguments: [
        ("image_generation", #""output_cost_per_image":0.04,"input_cost_per_image":0.02"#, "image 0.04"),
        ("image_generation", #""input_cost_per_token":5e-6,"output_cost_per_image_token":4e-5"#, "tokens 5 40"),
        (
            "image_generation", #""input_cost_per_token":5e-6,"input_cost_per_image_token":8e-6,"output_cost_per_image_token":4e-5"#,
            "tokens 5 40 pictures 8"
        ),
        ("audio_speech", #""input_cost_per_character":1.5e-05"#, "character 0.000015"),
        ("audio_transcription", #""input_cost_per_second":0.0001"#, "second 0.0001"),
        ("audio_transcription", #""input_cost_per_token":2.5e-6,"output_cost_per_token":1e-5"#, "tokens 2.5 10"),
        ("rerank", #""input_cost_per_query":0.002"#, "search 0.002"), ("embedding", #""input_cost_per_token":2e-8"#, "tokens 0.02 0"),
        ("chat", #""input_cost_per_token":2e-8"#, "none"), ("chat", #""input_cost_per_token":-1,"output_cost_per_token":1"#, "none"),
        ("chat", #""input_cost_per_token":"free","output_cost_per_token":1"#, "none"),
        ("video_generation", #""output_cost_per_second":1"#, "none"),
    ])
    func `each kind of model has its unit`(_ mode: String, _ fields: String, _ expected: String) throws {
        let found = try price(fields, mode: mode).map { price in
            if price.image > .zero { return "image \(price.image.usdText)" }
            if price.character > .zero { return "character \(price.character.usdText)" }
            if price.audioSecond > .zero { return "second \(price.audioSecond.usdText)" }
            if price.search > .zero { return "search \(price.search.usdText)" }
            let pictures = price.pictures?.input.map { " pictures \($0.usdPerMillionText)" } ?? ""
            return "tokens \(price.rates.input.usdPerMillionText) \(price.rates.output.usdPerMillionText)" + pictures
        }
        #expect(found ?? "none" == expected)
    }

    @Test func `names are the vendor's, with and without the list's prefix`() throws {
        let entry = #"{"litellm_provider":"together_ai","mode":"chat","input_cost_per_token":1e-6,"output_cost_per_token":1e-6}"#
        let list = try list(#"{"together_ai/Qwen/Q":\#(entry),"plain":\#(entry),"a b":\#(entry),"sample_spec":\#(entry),"x":7}"#)
        let all: Set<String> = ["Qwen/Q", "plain", "a b", "sample_spec", "x", "together_ai/Qwen/Q"]
        #expect(list.models(of: ["other", "together_ai"], among: all).map(\.id) == ["Qwen/Q", "a b", "plain", "together_ai/Qwen/Q"])
        #expect(list.models(of: [], among: all).isEmpty && list.models(of: ["other"], among: all).isEmpty)
        #expect(PriceList(ByteBuffer(string: "[]")) == nil && PriceList(ByteBuffer(string: "{")) == nil)
        #expect(PriceList(ByteBuffer(string: #"{"data":[]}"#))?.isEmpty == true)
    }

    private func row(_ input: String, _ output: String, cacheRead: String? = nil) throws -> ModelPrice {
        try CatalogueTests.price(input, output, cacheRead: cacheRead)
    }

    @Test func `a fall to a tenth or to nothing is too far`() throws {
        let old = try row("3", "15", cacheRead: "0.3")
        #expect(!PriceFall.isTooFar(from: old, to: old))
        #expect(!PriceFall.isTooFar(from: old, to: try row("0.300000001", "1.6", cacheRead: "0.04")))
        #expect(PriceFall.isTooFar(from: old, to: try row("0.3", "15", cacheRead: "0.3")))
        #expect(PriceFall.isTooFar(from: old, to: try row("3", "0", cacheRead: "0.3")))
        #expect(PriceFall.isTooFar(from: old, to: try row("3", "15", cacheRead: "0.03")))
        // Cached tokens without a price of their own cost what others do, which is dearer; learning their price is no fall.
        #expect(!PriceFall.isTooFar(from: old, to: try row("3", "15")))
        #expect(!PriceFall.isTooFar(from: try row("3", "15"), to: old))
        #expect(PriceFall.isTooFar(from: old, to: .free) && !PriceFall.isTooFar(from: .free, to: old))
        #expect(!PriceFall.isTooFar(from: old, to: .upstreamCost) && PriceFall.isTooFar(from: .upstreamCost, to: .free))
        #expect(!PriceFall.isTooFar(from: .upstreamCost, to: old))
        var picture = ModelPrice.free
        picture.image = try FemtoUSD.parse(usdPerUnit: "0.04").price
        #expect(PriceFall.isTooFar(from: picture, to: .free))
        // The rates above a length count too.
        var tiered = old
        tiered.tiers = [.init(abovePromptTokens: 200_000, rates: try row("6", "30").rates)]
        var fallen = old
        fallen.tiers = [.init(abovePromptTokens: 200_000, rates: try row("0.1", "30").rates)]
        #expect(PriceFall.isTooFar(from: tiered, to: fallen))
    }

    @Test func `a held price survives being written down`() async throws {
        var price = try row("3", "15", cacheRead: "0.3")
        price.tiers = [.init(abovePromptTokens: 200_000, rates: try row("6", "30").rates)]
        let row = PricingRow(
            modelName: "a/\"b", displayName: "B", provider: "v", description: "d", contextLength: 7, price: price)
        #expect(PricingRow(versionText: row.versionText) == row)
        #expect(PricingRow(versionText: "{}") == nil && PricingRow(versionText: "") == nil)
    }
}
