import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// Vendors' lists of models, as they answer `SideCall.listModels`.
@Suite struct ModelListTests {
    private func read(_ family: AdaptorID, _ text: String) throws -> [ListedModel]? {
        Fixture.provider(Fixture.spec(family)).models(ByteBuffer(string: text))
    }

    /// The shape of https://openrouter.ai/docs/api-reference/list-available-models, shortened.
    private static let openrouter = """
        {"data":[
        {"id":"z-ai/glm-4.7","canonical_slug":"z-ai/glm-4.7-20251222","name":"Z.AI: GLM 4.7","created":1766378014,"description":"A model.",
        "context_length":202752,"architecture":{"modality":"text->text","input_modalities":["text"],"output_modalities":["text"]},
        "pricing":{"prompt":"0.0000004","completion":"0.0000015","request":"0","image":"0","web_search":"0","internal_reasoning":"0"},
        "top_provider":{"context_length":202752,"max_completion_tokens":65535,"is_moderated":false}},
        {"id":"a/full","name":"Full","context_length":null,
        "architecture":{"input_modalities":["text","image","audio"],"output_modalities":["text"]},
        "pricing":{"prompt":"0.000003","completion":"0.000015","request":"0.005","image":"0.0048","web_search":"0.01",
        "internal_reasoning":"0.00002","input_cache_read":"0.0000003","input_cache_write":"0.00000375","audio":"0.000001"},
        "top_provider":{"context_length":1000,"max_completion_tokens":null}},
        {"id":"openrouter/auto","name":"Auto","context_length":2000000,"pricing":{"prompt":"-1","completion":"-1"},"top_provider":{}},
        {"id":"a/fine","pricing":{"prompt":"0.00000000000000149999","completion":"1e-7"}},
        {"id":"a/broken","pricing":{"prompt":"cheap","completion":"0"}},
        {"id":"a/none"},
        {"id":"a/none","name":"again"},
        {"name":"no id"}, 7
        ]}
        """

    @Test func `OpenRouter's list tells names, limits, modalities and exact prices`() throws {
        let models = try #require(try read(.openrouter, Self.openrouter))
        #expect(models.map(\.id) == ["z-ai/glm-4.7", "a/full", "openrouter/auto", "a/fine", "a/broken", "a/none"])
        let glm = models[0]
        #expect(glm.displayName == "Z.AI: GLM 4.7" && glm.contextLength == 202_752 && glm.maxOutputTokens == 65_535)
        #expect(glm.inputModalities == ["text"] && glm.outputModalities == ["text"] && glm.rounded.isEmpty)
        // A zero beside a real price is "not priced apart": reasoning costs what output costs.
        #expect(glm.price == ModelPrice(rates: .init(input: FemtoUSD(femtos: 400_000_000), output: FemtoUSD(femtos: 1_500_000_000))))
        #expect(glm.facts.canonicalSlug == "z-ai/glm-4.7-20251222" && glm.facts.created == 1_766_378_014)
        #expect(glm.facts.modality == "text->text" && glm.facts.isModerated == false && glm.facts.tokenizer == nil)
        let full = models[1]
        #expect(full.facts.isEmpty)
        let rates = try #require(full.price?.rates)
        #expect(full.contextLength == 1_000 && full.maxOutputTokens == nil && full.inputModalities == ["text", "image", "audio"])
        #expect(rates.cacheRead?.usdText == "0.0000003" && rates.cacheWrite5m?.usdText == "0.00000375" && rates.cacheWrite1h == nil)
        #expect(rates.reasoning?.usdText == "0.00002" && rates.audioInput?.usdText == "0.000001")
        #expect(full.price?.image.usdText == "0.0048" && full.price?.request.usdText == "0.005" && full.price?.search.usdText == "0.01")
    }

    @Test func `OpenRouter's list tells what a model takes, within bounds`() throws {
        let long = String(repeating: "x", count: 300)
        let list = """
            {"data":[{"id":"a/b","hugging_face_id":"","knowledge_cutoff":"2026-03-01","expiration_date":null,"canonical_slug":"\(long)",
            "architecture":{"tokenizer":"GPT","instruct_type":"chatml","modality":7},"supported_parameters":["tools","\(long)",3,"seed"],
            "default_parameters":{"temperature":0.7,"top_p":null,"top_k":"many","other":1},"top_provider":{"is_moderated":true}}]}
            """
        let facts = try #require(try read(.openrouter, list)?.first?.facts)
        #expect(facts.huggingFaceID == nil && facts.canonicalSlug == nil && facts.modality == nil && facts.expirationDate == nil)
        #expect(facts.knowledgeCutoff == "2026-03-01" && facts.tokenizer == "GPT" && facts.instructType == "chatml")
        #expect(facts.supportedParameters == ["tools", "seed"] && facts.isModerated == true)
        #expect(JSONValue.object(facts.defaultParameters).text == #"{"temperature":0.7,"top_p":null}"#)
    }

    /// The example of https://learn.microsoft.com/en-us/rest/api/azureopenai/models/list, with a model that only fine-tuning takes and
    /// one whose fine-tuning has failed.
    @Test func `Azure's list tells the names of models that answer`() throws {
        let list = #"""
            {"data":[
            {"status":"succeeded","capabilities":{"fine_tune":true,"inference":true,"completion":true,"chat_completion":false,"embeddings":false},
            "lifecycle_status":"generally-available","deprecation":{"fine_tune":1677662127,"inference":1709284527},"id":"curie",
            "created_at":1646126127,"object":"model"},
            {"status":"succeeded","model":"curie","fine_tune":"ft-72a2792ef7d24ba7b82c7fe4a37e379f",
            "capabilities":{"fine_tune":false,"inference":true,"completion":true,"chat_completion":false,"embeddings":false},
            "lifecycle_status":"generally-available","id":"curie.ft-72a2792ef7d24ba7b82c7fe4a37e379f","object":"model"},
            {"status":"succeeded","capabilities":{"fine_tune":true,"inference":false},"id":"base","object":"model"},
            {"status":"failed","capabilities":{"inference":true},"id":"curie.ft-broken","object":"model"}
            ],"object":"list"}
            """#
        let models = try #require(try read(.azureOpenAI, list))
        #expect(models == [ListedModel(id: "curie"), ListedModel(id: "curie.ft-72a2792ef7d24ba7b82c7fe4a37e379f")])
        #expect(try read(.azureOpenAI, #"{"error":{"code":"401"}}"#) == nil)
    }

    @Test func `OpenRouter's prices above so many tokens are tiers, and what no row can say is its cost`() throws {
        func price(_ more: String) throws -> ModelPrice {
            let list = #"{"data":[{"id":"m","pricing":{"prompt":"0.000001","completion":"0.00001"\#(more)}}]}"#
            return try #require(try read(.openrouter, list)?.first?.price)
        }
        let tiers = try price(
            #","overrides":[{"min_prompt_tokens":200000,"prompt":"0.000002","completion":"0.000015"},"#
                + #"{"min_prompt_tokens":500000,"prompt":"0.000004","utc_start":null}]"#)
        #expect(tiers.basis == .metered && tiers.tiers.map(\.abovePromptTokens) == [200_000, 500_000])
        #expect(tiers.tiers.map(\.rates.input.usdText) == ["0.000002", "0.000004"])
        // What the second does not say is as the first has it.
        #expect(tiers.tiers.map(\.rates.output.usdText) == ["0.000015", "0.000015"])
        let night = try price(#","overrides":[{"utc_start":"0000","utc_end":"0600","prompt":"0.0000005"}]"#)
        #expect(night == .upstreamCost)
        #expect(try price(#","image_output":"0.00003""#).basis == .upstreamCost)
        #expect(try price(#","image_output":"0.00001""#).basis == .metered)
        let voice = try price(#","audio_output":"0.00008","input_cache_write_1h":"0.000002""#)
        #expect(voice.basis == .metered && voice.rates.audioOutput?.usdText == "0.00008" && voice.rates.cacheWrite1h?.usdText == "0.000002")
    }

    @Test func `a negative price is the vendor's cost, a finer one is rounded and said so, a senseless one is none`() throws {
        let models = try #require(try read(.openrouter, Self.openrouter))
        #expect(models[2].price == .upstreamCost && models[2].contextLength == 2_000_000)
        // 1.49999 femto-dollars.
        #expect(models[3].price?.rates.input == FemtoUSD(femtos: 1) && models[3].rounded == ["prompt=0.00000000000000149999"])
        #expect(models[3].price?.rates.output.usdText == "0.0000001")
        #expect(models[4].price == nil && models[5].price == nil)
    }

    @Test func `OpenAI's list tells names, and limits where a server adds them`() throws {
        let models = try #require(
            try read(
                .openai,
                """
                {"object":"list","data":[{"id":"gpt-4o","object":"model","created":1,"owned_by":"system"},
                {"id":"llama","max_model_len":8192}]}
                """))
        #expect(models == [ListedModel(id: "gpt-4o"), ListedModel(id: "llama", contextLength: 8_192)])
    }

    @Test func `Anthropic's list tells display names, and limits and capabilities since it has them`() throws {
        let models = try #require(
            try read(
                .anthropic,
                """
                {"data":[{"type":"model","id":"claude-a","display_name":"Claude A","created_at":"2025-02-19T00:00:00Z"},
                {"type":"model","id":"claude-b","display_name":"Claude B","max_input_tokens":200000,"max_tokens":64000,
                "capabilities":{"image_input":{"supported":true},"pdf_input":{"supported":false}}}],
                "has_more":false,"first_id":"claude-a","last_id":"claude-b"}
                """))
        #expect(models[0] == ListedModel(id: "claude-a", displayName: "Claude A"))
        #expect(
            models[1].contextLength == 200_000 && models[1].maxOutputTokens == 64_000 && models[1].inputModalities == ["text", "image"])
    }

    @Test func `Gemini's and Cohere's lists leave out what the family cannot ask`() throws {
        let gemini = try #require(
            try read(
                .gemini,
                """
                {"models":[{"name":"models/gemini-2.5-pro","displayName":"Gemini 2.5 Pro","description":"d","inputTokenLimit":1048576,
                "outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"]},
                {"name":"models/embedding-001","supportedGenerationMethods":["embedContent"]}]}
                """))
        #expect(
            gemini == [
                ListedModel(
                    id: "gemini-2.5-pro", displayName: "Gemini 2.5 Pro", description: "d", contextLength: 1_048_576,
                    maxOutputTokens: 65_536)
            ])
        let cohere = try #require(
            try read(
                .cohere,
                """
                {"models":[{"name":"command-a","endpoints":["chat"],"context_length":256000.0},
                {"name":"embed-v4.0","endpoints":["embed"]}]}
                """))
        #expect(cohere == [ListedModel(id: "command-a", contextLength: 256_000)])
    }

    @Test(arguments: [AdaptorID.openai, .openrouter, .anthropic, .gemini, .cohere])
    func `what is no list is nil`(family: AdaptorID) throws {
        for text in ["", "{}", "[]", #"{"error":{"message":"no"}}"#, #"{"data":{},"models":7}"#, "<html>"] {
            #expect(try read(family, text) == nil, "\(text)")
        }
    }

    @Test func `lists that come in pages are asked for whole`() throws {
        for (family, query) in [(AdaptorID.anthropic, "limit=1000"), (.gemini, "pageSize=1000"), (.cohere, "page_size=1000")] {
            let call = try #require(Fixture.provider(Fixture.spec(family)).call(.listModels, baseURL: nil, key: Secret("k")))
            #expect(call.url.hasSuffix(query), "\(call.url)")
        }
    }
}
