import NIOCore
import RouterCore
import Testing

/// What is known of a client's leaving without any I/O: who thinks, what becomes of the call, what it costs.
@Suite struct LeavingTests {
    private static let thinkers = [
        "o1", "o1-mini", "openai/o3", "o4-mini-2025-04-16", "o3-deep-research", "gpt-5", "gpt-5-mini-2025-08-07",
        "gpt-5.1-chat-latest", "gpt-5.2",
        "gpt-5-codex", "codex-mini-latest", "gpt-oss-120b", "accounts/fireworks/models/gpt-oss-20b",
        "deepseek-reasoner", "deepseek-ai/DeepSeek-R1-0528",
        "us.deepseek.r1-v1:0", "microsoft/mai-ds-r1", "deepseek/deepseek-r1:free", "kimi-k2-thinking",
        "Qwen/Qwen3-235B-A22B-Thinking-2507", "qwen3-32b",
        "Qwen/QwQ-32B", "qvq-max", "grok-3-mini", "grok-4-0709", "x-ai/grok-4-1-fast", "grok-4-fast-reasoning",
        "grok-code-fast-1",
        "google/gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemini-flash-latest",
        "magistral-medium-2509", "glm-4.6",
        "accounts/fireworks/models/glm-4p5-air", "zai-org/GLM-4.5-Air-FP8", "minimax-m2.1",
        "claude-3.7-sonnet:thinking", "sonar-reasoning-pro",
        "hunyuan-t1-latest", "ernie-x1.1-preview", "step-3.7-flash", "doubao-seed-1-6-251015", "skywork/r1v4-lite",
        "nvidia/Llama-3.3-Nemotron-Super-49B-v1.5",
        "gpt-6-sol", "openai/gpt-6.1-luna", "claude-opus-5", "claude-sonnet-5-5", "anthropic/claude-opus-5.5", "claude-fable-5-1",
        "us.anthropic.claude-haiku-5-5-20260901-v1:0", "claude-mythos-preview", "gemini-4-hydrogen", "grok-6",
        "qwen4-72b", "kimi-k2.7-code", "MiniMaxAI/MiniMax-M4", "glm-6",
    ]
    private static let others = [
        "gpt-4o", "gpt-4.1-mini", "chatgpt-4o-latest", "gpt-5-chat", "gpt-5-chat-latest", "gpt-image-1",
        "gpt-4o-mini-search-preview", "deepseek-chat",
        "deepseek-ai/DeepSeek-V3.1", "Qwen/Qwen3-235B-A22B-Instruct-2507", "qwen3-coder-480b-a35b-instruct",
        "qwen3-max", "qwen-plus", "qwen3-embedding-8b",
        "grok-2", "grok-3", "grok-4-fast-non-reasoning", "grok-4-1-fast-non-reasoning-latest", "gemini-2.0-flash",
        "claude-opus-4-5", "claude-3-5-haiku", "claude-sonnet-4-20250514", "us.anthropic.claude-opus-4-8-v1:0", "gpt-6-chat-latest",
        "gpt-image-2.6-flare",
        "mistral-large-latest", "llama-3.3-70b-versatile", "kimi-k2-0905-preview", "moonshot-v1-128k",
        "glm-4-32b-0414-128k", "command-a-03-2025",
        "nvidia/Llama-3.1-Nemotron-70B-Instruct", "sonar-pro", "hunyuan-lite", "step-1o-turbo-vision", "step-2-mini",
        "text-embedding-3-large", "sim/cheap", "",
        "gemini-2.5-flash-preview-tts", "whisper-1", "tts-1", "phi-4", "hermes-3-llama-3.1-405b",
    ]

    @Test("audit 2: models that are known to think", arguments: thinkers)
    func thinks(_ name: String) { #expect(ThinkingModels.isKnown(name)) }

    @Test("audit 2: models that are not known to think", arguments: others)
    func doesNotThink(_ name: String) { #expect(!ThinkingModels.isKnown(name)) }

    @Test(
        "audit 2: what asks a model to think",
        arguments: [
            (#""reasoning_effort":"low""#, true), (#""reasoning_effort":"minimal""#, true),
            (#""reasoning_effort":"none""#, false),
            (#""reasoning_effort":null"#, false), (#""reasoning":{"effort":"high"}"#, true),
            (#""reasoning":{"max_tokens":2000}"#, true),
            (#""reasoning":{"enabled":false}"#, false), (#""reasoning":{"effort":"none"}"#, false),
            (#""reasoning":{}"#, true),
            (#""include_reasoning":true"#, true), (#""thinking":{"type":"enabled","budget_tokens":1024}"#, true),
            (#""thinking":{"type":"adaptive"}"#, true), (#""thinking":{"type":"disabled"}"#, false),
            (#""enable_thinking":true"#, true),
            (#""enable_thinking":false"#, false), (#""thinking_budget":0"#, false), (#""thinking_budget":50"#, true),
            (#""thinking_budget":-1"#, true),
            (#""generationConfig":{"thinkingConfig":{"thinkingBudget":0}}"#, false),
            (#""generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}"#, true),
            (#""generation_config":{"thinking_config":{"thinking_level":"high"}}"#, true),
            (#""generationConfig":{"temperature":1}"#, false),
            (#""extra_body":{"google":{"thinking_config":{"include_thoughts":true}}}"#, true),
            (#""chat_template_kwargs":{"enable_thinking":true}"#, true), (#""Reasoning_Effort":"high""#, true),
            (#""reasoning\u005feffort":"high""#, true), (#""temperature":1"#, false),
            (#""metadata":{"reasoning_effort":"high"}"#, false),
        ] as [(String, Bool)])
    func asks(_ member: String, _ expected: Bool) throws {
        let body = #"{"model":"m","messages":[{"role":"user","content":"reasoning_effort"}],\#(member)}"#
        #expect(
            try RequestEnvelope(body: ByteBuffer(string: body), endpoint: .chat).asksForThinking == expected,
            "\(member)")
    }

    @Test("audit 2: the whole table of what a client's leaving does to the call")
    func table() {
        for bits in 0..<32 {
            func bit(_ number: Int) -> Bool { bits >> number & 1 == 1 }
            let rule = LeavingRule(
                billing: BillingTraits(cancelStopsBilling: bit(0), isFree: bit(1)), isStream: bit(2), isPicture: bit(3),
                mayThink: bit(4))
            let isCancelled = bit(1) || (bit(0) && bit(2) && !bit(3) && !bit(4))
            #expect(rule.action == (isCancelled ? .cancel : .drain), "\(rule)")
            let goesOn = !bit(1) && !(bit(0) && bit(2) && !bit(3))
            #expect(rule.isBilledOn == goesOn, "\(rule)")
        }
    }

    @Test("audit 2: a provider file's word on a model wins over its name; a request that asks makes any model think")
    func providerFile() throws {
        func candidate(_ reasoning: Bool?, upstream: String, model: String = "public") -> RouteCandidate {
            let spec = ProviderSpec(
                name: "v", family: .openai, baseURL: "http://v",
                models: [ProviderModel(id: upstream, reasoning: reasoning)])
            let channel = Channel(id: 1, name: "c", provider: spec, keys: [], models: [])
            return RouteCandidate(channel: SharedChannel(channel), keyIndex: -1, model: model, upstreamModel: upstream)
        }
        let plain = try RequestEnvelope(body: ByteBuffer(string: #"{"model":"public"}"#), endpoint: .chat)
        let asking = try RequestEnvelope(
            body: ByteBuffer(string: #"{"model":"public","reasoning_effort":"low"}"#), endpoint: .chat)
        #expect(candidate(nil, upstream: "o3").mayThink(plain))
        #expect(!candidate(false, upstream: "o3").mayThink(plain))
        #expect(candidate(true, upstream: "house-model").mayThink(plain))
        #expect(!candidate(nil, upstream: "house-model").mayThink(plain))
        #expect(candidate(nil, upstream: "house-model").mayThink(asking))
        // A deployment has any name; the public one tells.
        #expect(candidate(nil, upstream: "deployment-7", model: "gpt-5").mayThink(plain))
        let embedding = try RequestEnvelope(
            body: ByteBuffer(string: #"{"model":"o3","input":"x"}"#), endpoint: .embeddings)
        #expect(!candidate(nil, upstream: "o3").mayThink(embedding))
    }

    // MARK: Estimates

    private static let price = ModelPrice(
        rates: .init(
            input: FemtoUSD(femtos: 2_000_000_000), output: FemtoUSD(femtos: 8_000_000_000),
            reasoning: FemtoUSD(femtos: 9_000_000_000)))
    private static let quote = PriceQuote(price: price, ratio: .one, version: 1)

    @Test("audit 2: thoughts are time by speed, counted once, within the model's bound")
    func thoughts() {
        let estimate = ThinkingEstimate(time: .milliseconds(1_500), tokensPerSecond: 100)
        #expect(estimate.tokens == 150)
        #expect(ThinkingEstimate(time: .nanoseconds(1), tokensPerSecond: 1).tokens == 1, "rounded up")
        #expect(ThinkingEstimate(time: .seconds(1), tokensPerSecond: 100, choices: 3).tokens == 300)
        #expect(ThinkingEstimate(time: .seconds(Int64.max), tokensPerSecond: .max, choices: .max).tokens == .max)
        #expect(ThinkingEstimate(time: .seconds(-5), tokensPerSecond: 100).tokens == 0)
        let plain = Usage(uncachedInput: 10, output: 20)
        #expect(estimate.added(to: plain, seen: 0) == Usage(uncachedInput: 10, output: 170, reasoning: 150))
        // 15 of these 20 were thoughts that the client has seen: 135 are missing.
        #expect(estimate.added(to: plain, seen: 15).output == 155)
        #expect(estimate.added(to: plain, seen: 200) == plain)
        #expect(
            estimate.added(to: Usage(uncachedInput: 10, output: 220, reasoning: 200), seen: 0).output == 220,
            "the vendor has told more")
        var bounded = estimate
        bounded.maximumOutput = 100
        #expect(bounded.added(to: plain, seen: 0).output == 100)
        bounded.maximumOutput = 5
        #expect(bounded.added(to: plain, seen: 0) == plain, "never less than what is known")
    }

    @Test("audit 2: a guess costs at most the hold, what is known costs what it costs")
    func capped() throws {
        let estimate = ThinkingEstimate(time: .seconds(1), tokensPerSecond: 100)
        let plain = Usage(uncachedInput: 10, output: 20)
        func charge(_ hold: Int64) throws -> Int64 {
            try Self.quote.bill(for: plain, with: estimate, seen: 0, hold: NanoUSD(nanos: hold)).bill.charge.nanos
        }
        // 10 × 2,000 + 20 × 8,000, and 100 × 9,000 for the thoughts
        #expect(try charge(.max) == 1_080_000)
        #expect(try charge(500_000) == 500_000)
        #expect(try charge(100_000) == 180_000)
        let unknown = PriceQuote(price: .upstreamCost, ratio: .one, version: 1)
        #expect(throws: MeteringError.upstreamCostMissing) {
            try unknown.bill(for: plain, with: estimate, seen: 0, hold: NanoUSD(nanos: 5))
        }
    }

    @Test("audit 2: what was handed over is paid for, in the unit of its kind")
    func handedOver() throws {
        func usage(_ body: String, _ endpoint: Endpoint, _ price: ModelPrice = Self.price) throws -> Usage {
            try RequestEnvelope(body: ByteBuffer(string: body), endpoint: endpoint).handedOverUsage(price: price)
        }
        let chat = try usage(#"{"model":"m","messages":[{"role":"user","content":"one two three four"}]}"#, .chat)
        #expect(chat.uncachedInput >= 4 && chat.output == 0 && chat.requests == 1)
        let perCharacter = ModelPrice(rates: .init(input: .zero, output: .zero), character: FemtoUSD(femtos: 5))
        #expect(try usage(#"{"model":"m","input":"0123456789","voice":"v"}"#, .speech, perCharacter).characters == 10)
        let perImage = ModelPrice(rates: .init(input: .zero, output: .zero), image: FemtoUSD(femtos: 5))
        #expect(try usage(#"{"model":"m","prompt":"p","n":3}"#, .images, perImage).images == 3)
        #expect(try usage(#"{"model":"m","query":"q","documents":["a","b"]}"#, .rerank).searches == 1)
    }

    @Test(
        "audit 2: measured speed goes up at once and down slowly, so that slow answers of one's own do not make leaving cheap"
    )
    func rates() {
        var rates = ThinkingRates()
        func rate() -> Int64? { rates.tokensPerSecond(channelID: 1, model: "m") }
        rates.measured(channelID: 1, model: "m", tokens: 15, time: .seconds(1))
        rates.measured(channelID: 1, model: "m", tokens: 1_000, time: .milliseconds(19))
        #expect(rate() == nil, "too short to say anything")
        rates.measured(channelID: 1, model: "m", tokens: 100, time: .seconds(1))
        #expect(rate() == 100)
        rates.measured(channelID: 1, model: "m", tokens: 900, time: .seconds(1))
        #expect(rate() == 900)
        rates.measured(channelID: 1, model: "m", tokens: 100, time: .seconds(1))
        #expect(rate() == 800)
        rates.measured(channelID: 1, model: "m", tokens: 1_000_000, time: .seconds(1))
        #expect(rate() == 10_000, "nothing writes faster")
        #expect(
            rates.tokensPerSecond(channelID: 2, model: "m") == nil
                && rates.tokensPerSecond(channelID: 1, model: "n") == nil)
        for number in 0..<5_000 { rates.measured(channelID: 3, model: "m\(number)", tokens: 100, time: .seconds(1)) }
        #expect(rates.tokensPerSecond(channelID: 3, model: "m4999") == 100)
    }
}
