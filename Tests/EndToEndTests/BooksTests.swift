import Foundation
import HTTPTypes
import NIOCore
import RouterCore
import Simulator
import Testing

/// The reason for the whole project: what was charged is what the vendor billed at the table's prices, to the last decimal.
@Suite(.serialized) struct BooksTests {
    /// What the gateway counts with where nobody tells.
    private static let vocabulary: BPEVocabulary? = {
        let path = GatewayProcess.repository.appendingPathComponent("tokenizers/o200k_base.tokens")
        return (try? Data(contentsOf: path)).flatMap { try? BPEVocabulary(Array($0).span) }
    }()

    /// One kind of request of the mix. The prompt's count is told to the simulator, so that cut answers without a usage
    /// can be compared as well: there the gateway charges its own estimate of the prompt and of what was delivered.
    private enum Kind: CaseIterable {
        case whole, stream, streamWithUsage, cached, failedOver, refused, cut, cutWithRunningUsage, cancelled, noUsage, free, fine
    }

    private struct Plan {
        var model: String
        var controls: String
        var isStream = false
        var wantsUsage = false
        var leaveAfter: Int?
    }

    private func plan(_ kind: Kind) -> Plan {
        switch kind {
        case .whole: Plan(model: "sim/cheap", controls: "ok")
        case .stream: Plan(model: "sim/dear", controls: "ok", isStream: true)
        case .streamWithUsage: Plan(model: "sim/cheap", controls: "ok", isStream: true, wantsUsage: true)
        case .cached: Plan(model: "sim/dear", controls: "prompt_tokens=1000,cached_tokens=900,completion_tokens=77")
        case .failedOver: Plan(model: "sim/cheap", controls: "ok", isStream: true)
        case .refused: Plan(model: "sim/cheap", controls: "status=400,message=no")
        // Pieces of a space and three letters: one token each by the gateway's own count.
        case .cut: Plan(model: "cut/", controls: "chunk_bytes=4,chunks=9,close_after=5,no_usage", isStream: true)
        case .cutWithRunningUsage:
            Plan(model: "cut/", controls: "chunks=9,close_after=4,usage_in_every_chunk", isStream: true)
        case .cancelled: Plan(model: "sim/cheap", controls: "chunks=40,pace=1ms", isStream: true, leaveAfter: 2)
        case .noUsage: Plan(model: "sim/fine", controls: "chunk_bytes=4,chunks=6,no_usage", isStream: true)
        case .free: Plan(model: "sim/free", controls: "ok")
        case .fine: Plan(model: "sim/fine", controls: "prompt_tokens=12345,completion_tokens=6789")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a thousand mixed requests are charged exactly as the vendor billed them`() async throws {
        // The first channel answers one in nine with an error, then the second one serves.
        let channels = [
            World.ChannelSpec(id: 1, key: "first-key", priority: 10), World.ChannelSpec(id: 2, key: "second-key"),
        ]
        try await World.with(channels: channels, sections: "routing: { cooldown: { base: 1ms, max: 2ms } }", openEnded: true) { world in
            let user = try await world.admin.makeUser("spender", usd: "1000")
            try await send(1_000, world, user.key)
            try await eventually("every request has its end", within: .seconds(60)) {
                try await world.admin.get("/api/log/stat")["data"]?["requests"]?.integerValue == 1_000
            }
            let charged = try await world.admin.transactions(token: user.token)
                .compactMap { $0["amount"]?.numberText }.map { try NanoUSD(usd: $0) }
            let sum = try charged.reduce(NanoUSD.zero) { try $0.subtracting($1) }
            let billed = try bill(world.simulator.record.rows())
            #expect(sum == billed, "charged \(sum), billed \(billed)")
            #expect(billed.isPositive)

            let balance = try await world.client.call(.get, "/api/balance", key: user.token).json["data"]
            #expect(balance?["held"]?.numberText == "0")
            let left = try NanoUSD(usd: "1000").subtracting(billed)
            #expect(balance?["balance"]?.numberText == left.usdText)

            try await world.gateway.stop()
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        }
    }

    /// Sixteen clients at a time, each request with its own id in the text so that no two are alike.
    private func send(_ count: Int, _ world: World, _ key: String) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var next = 0
            for _ in 0..<16 {
                group.addTask { [next] in try await one(next, world, key) }
                next += 1
            }
            while try await group.next() != nil {
                guard next < count else { continue }
                group.addTask { [next] in try await one(next, world, key) }
                next += 1
            }
        }
    }

    private func one(_ number: Int, _ world: World, _ key: String) async throws {
        let kind = Kind.allCases[number % Kind.allCases.count]
        var plan = plan(kind)
        // Broken streams count against a model's health, so each gets a model of its own.
        if plan.model == "cut/" { plan.model += "\(number)" }
        var members: [JSONValue.Member] = [
            .init("model", .string(plan.model)),
            .init("messages", [["role": "user", "content": .string("request number \(number) says hello")]]),
        ]
        if plan.isStream { members.append(.init("stream", true)) }
        if plan.wantsUsage { members.append(.init("stream_options", ["include_usage": true])) }
        members.append(.init("metadata", ["n": .integer(number)]))
        let fixed = members
        // Controls travel inside the request, as an unknown field that the gateway must let through. The vendor is told to
        // count the prompt as the gateway counts it; six digits, so that the figure does not change the length.
        func makeBody(prompt: String) -> String {
            let told = plan.controls.contains("prompt_tokens") ? "" : ",prompt_tokens=\(prompt)"
            return JSONValue.object(fixed + [.init("sim_control", .string(plan.controls + told))]).text
        }
        let blank = try RequestEnvelope(body: ByteBuffer(string: makeBody(prompt: "000000")), endpoint: .chat)
        let digits = String(blank.promptTokens(by: Self.vocabulary))
        let whole = makeBody(prompt: String(repeating: "0", count: 6 - digits.count) + digits)
        if kind == .failedOver, number % 2 == 0 {
            world.simulator.script.add(model: plan.model, key: "first-key", steps: ["status=500"])
        }
        let answer = try await world.client.call(
            .post, "/v1/chat/completions", key: key, body: whole, leaveAfter: plan.leaveAfter)
        try check(kind, answer)
    }

    private func check(_ kind: Kind, _ answer: Client.Answer) throws {
        switch kind {
        case .refused: #expect(answer.status == 400)
        case .cut, .cutWithRunningUsage:
            #expect(answer.status == 200)
            #expect(answer.wasCut && answer.text.contains("\"upstream_error\"") && !answer.text.contains("[DONE]"))
        case .cancelled: #expect(answer.status == 200)
        default:
            #expect(answer.status == 200, "\(kind): \(answer.text)")
            if answer.text.hasPrefix("data:") { #expect(answer.events.last == "[DONE]") }
        }
    }

    /// What the vendor's rows cost at the table's prices, each rounded half up to a nano-dollar: worked out here once more, with
    /// plain integers, so that the gateway's arithmetic is not compared with itself.
    private func bill(_ rows: [BillingRow]) throws -> NanoUSD {
        var nanos: Int64 = 0
        for row in rows {
            let model = World.models.first { $0.id == row.model } ?? ("", "0.15", "0.6", nil)
            let input = picoPerToken(model.input)
            let output = picoPerToken(model.output)
            let cached = model.cacheRead.map(picoPerToken) ?? input
            guard row.promptTokens > 0 else { continue }
            let femtos = (row.promptTokens - row.cachedTokens) * input + row.cachedTokens * cached + row.completionTokens * output
            nanos += (femtos + 500_000) / 1_000_000
        }
        return NanoUSD(nanos: nanos)
    }

    /// USD per million tokens as femto-dollars per token: text with up to nine decimals, times 10⁹.
    private func picoPerToken(_ text: String) -> Int64 {
        let parts = text.split(separator: ".")
        let fraction = parts.count > 1 ? String(parts[1]) : ""
        return (Int64(parts[0]) ?? 0) * 1_000_000_000
            + (Int64(fraction + String(repeating: "0", count: 9 - fraction.count)) ?? 0)
    }
}
