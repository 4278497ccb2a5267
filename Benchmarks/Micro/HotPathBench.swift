import Adaptors
import NIOCore
import RouterCore

/// The pure work of one request, step by step: read, plan, hold, call, chunks, answer, charge. Each is timed, or counted in instructions.
struct HotPathBench: Sendable {
    var name: String
    /// How many calls are timed at once, and how many are counted under valgrind.
    var calls: Int
    var counted: Int
    /// Makes the work; what it needs is made once and not measured.
    var make: @Sendable () throws -> () throws -> Int

    static func run(only words: [String] = []) throws {
        for bench in all where words.isEmpty || words.contains(where: bench.name.contains) {
            let body = try bench.make()
            try Microbench.measureThrowing(bench.name, calls: bench.calls, body)
        }
    }

    /// Under `valgrind --tool=callgrind --toggle-collect=*runCounted* --dump-after=*runCounted*` every line printed here has its own dump.
    static func count() throws {
        for bench in all {
            let body = try bench.make()
            // What happens once (tables, caches) is not the cost of a call.
            var sink = try body()
            sink &+= try runCounted(bench.counted, body)
            precondition(sink != Int.min, "keeps the work alive")
            print("\(bench.counted)\t\(bench.name)")
        }
    }

    @inline(never)
    static func runCounted(_ calls: Int, _ body: () throws -> Int) rethrows -> Int {
        var sink = 0
        for _ in 0..<calls { sink &+= try body() }
        return sink
    }

    static let all: [HotPathBench] = bodies + routing + books + upstream + agents

    // MARK: Read

    private static let bodies: [HotPathBench] = [(1, 1_000, 20), (20, 100, 4), (200, 10, 2)].map {
        size, calls, counted in
        HotPathBench(name: "read a body of \(size) KB", calls: calls, counted: counted) {
            let body = HotPathSamples.request(bytes: size * 1_024)
            return { try RequestEnvelope(body: body, endpoint: .chat).members.count }
        }
    }

    // MARK: Plan

    private static let routing: [HotPathBench] = [1, 10, 1_000].map { count in
        HotPathBench(name: "plan among \(count) channels", calls: 20_000 / count, counted: count > 100 ? 2 : 20) {
            let settings = RoutingSettings()
            let table = RouteTable(channels: (1...count).map { HotPathSamples.channel(Int64($0)) }, settings: settings)
            let health = HealthTable(settings: settings)
            var rng = SplitMix64(seed: 1)
            let query = RouteQuery(model: "fast", affinity: AffinityKey("conversation"), limit: 6)
            let facts = RouteFacts(endpoints: { _ in [.chat] })
            let now = MonotonicInstant(nanoseconds: 1_000_000_000_000)
            return {
                Router.plan(query, table: table, health: health, now: now, facts: facts, rng: &rng).candidates.count
            }
        }
    }

    // MARK: Hold, charge

    private static let books: [HotPathBench] = [
        HotPathBench(name: "hold, settle, posted", calls: 2_000, counted: 20) {
            let now = MonotonicInstant(nanoseconds: 1)
            let state = LeaseState(balance: NanoUSD(nanos: 1 << 60), lease: NanoUSD(nanos: 1 << 60))
            let limits = [
                BudgetLimit(scope: .key(1), window: .total, amount: NanoUSD(nanos: 1 << 60)),
                BudgetLimit(scope: .key(1), window: .day, amount: NanoUSD(nanos: 1 << 60)),
            ]
            var book = AccountBook()
            book.leased(1, state, now: now)
            book.spent([:], asked: limits.map { $0.counter(at: 1_800_000_000) })
            var number: UInt128 = 0
            return {
                number += 1
                let id = RequestID(bits: number)
                try book.hold(id, userID: 1, amount: NanoUSD(nanos: 1_000), limits: limits, at: 1_800_000_000, now: now)
                let settled = book.settle(id, charge: NanoUSD(nanos: 700))
                book.posted([id], setAside: [], states: [1: state])
                return settled ? 1 : 0
            }
        },
        HotPathBench(name: "worst case and charge", calls: 10_000, counted: 50) {
            let quote = HotPathSamples.quote
            let usage = Usage(uncachedInput: 250, cacheRead: 1_000, output: 200, reasoning: 50)
            let bound = UsageBound(promptTokens: 1_300, outputTokens: 4_096)
            return {
                let most = try quote.worstCase(bound, upstreamCostFallback: .zero)
                return Int(try quote.charge(for: usage).nanos &+ most.nanos)
            }
        },
    ]

    // MARK: The upstream's call and answer

    private static let upstream: [HotPathBench] = [
        HotPathBench(name: "make the upstream's call", calls: 1_000, counted: 20) {
            let (provider, call) = try HotPathSamples.call(stream: true)
            return { try provider.request(for: call).headers.count }
        },
        HotPathBench(name: "read an answer of 1 KB", calls: 1_000, counted: 20) {
            let (provider, call) = try HotPathSamples.call(stream: false)
            let answer = HotPathSamples.answer
            return { try provider.decode(answer, for: call).body.readableBytes }
        },
        HotPathBench(name: "read a stream of 50 chunks", calls: 50, counted: 4) {
            let (provider, call) = try HotPathSamples.call(stream: true)
            let chunks = HotPathSamples.chunks
            return {
                var decoder = provider.streamDecoder(for: call)
                var sent = 0
                for chunk in chunks {
                    var out = ByteBuffer()
                    try decoder.push(chunk, into: &out)
                    sent += out.readableBytes
                }
                return sent
            }
        },
    ]
}

/// What the benchmarks above read: the shapes that Benchmarks/Upstream/upstream.c sends.
enum HotPathSamples {
    static func request(bytes: Int, stream: Bool = false) -> ByteBuffer {
        let text = "The quick brown fox jumps over the lazy dog. "
        let content = String(repeating: text, count: max(1, bytes / text.utf8.count))
        let flag = stream ? "\"stream\":true," : ""
        return ByteBuffer(
            string: "{\"model\":\"fast\",\(flag)\"messages\":[{\"role\":\"user\",\"content\":\"\(content)\"}]}")
    }

    static let price = ModelPrice(
        rates: ModelPrice.Rates(
            input: FemtoUSD(femtos: 150_000_000), output: FemtoUSD(femtos: 600_000_000),
            cacheRead: FemtoUSD(femtos: 75_000_000)),
        tiers: [
            ModelPrice.Tier(
                abovePromptTokens: 200_000,
                rates: ModelPrice.Rates(input: FemtoUSD(femtos: 300_000_000), output: FemtoUSD(femtos: 900_000_000)))
        ])

    static let quote = PriceQuote(price: price, ratio: PriceRatio(millionths: 1_100_000), version: 1)

    static let spec = ProviderSpec(
        name: "bench", family: .openai, baseURL: "http://127.0.0.1/v1", models: [ProviderModel(id: "fast")])

    static func channel(_ id: Int64) -> RouterCore.Channel {
        RouterCore.Channel(
            id: id, name: "c\(id)", provider: spec, keys: [Secret("k")],
            models: [RouterCore.Channel.Model(pattern: "*")], weight: UInt32(id % 7 + 1),
            priority: 0)
    }

    static func call(stream: Bool) throws -> (any Provider, UpstreamCall) {
        guard let provider = AdaptorRegistry.provider(for: spec) else {
            preconditionFailure("the family openai is always there")
        }
        let envelope = try RequestEnvelope(body: request(bytes: 1_024, stream: stream), endpoint: .chat)
        let call = UpstreamCall(
            envelope: envelope, channel: SharedChannel(channel(1)), key: Secret("k"), model: "fast", upstreamModel: "fast",
            quote: quote)
        return (provider, call)
    }

    static let usage = "\"usage\":{\"prompt_tokens\":250,\"completion_tokens\":200,\"total_tokens\":450}"

    static let answer = ByteBuffer(
        string:
            "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"fast\",\"choices\":[{\"index\":0,"
            + "\"message\":{\"role\":\"assistant\",\"content\":\"\(String(repeating: "lorem ipsum dolor sit amet ", count: 32))\"},"
            + "\"finish_reason\":\"stop\"}],\(usage)}")

    static let chunks: [ByteBuffer] = {
        let head =
            "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"fast\",\"choices\":["
        let text =
            head
            + "{\"index\":0,\"delta\":{\"content\":\"lorem ipsum dolor sit amet, consectetur\"},\"finish_reason\":null}]}\n\n"
        let stop = head + "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        let last = head + "],\(usage)}\n\ndata: [DONE]\n\n"
        return (Array(repeating: text, count: 48) + [stop, last]).map { ByteBuffer(string: $0) }
    }()
}
