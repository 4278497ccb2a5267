import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// Every dialect to every family: requests, whole answers and streams against files that were read by eye.
@Suite struct Matrix {
    static let dialects: [Endpoint] = [.chat, .responses, .messages, .gemini]
    static let families: [AdaptorID] = [.openai, .anthropic, .gemini, .cohere]

    private func call(_ dialect: Endpoint, _ family: AdaptorID) throws -> UpstreamCall {
        var call = try Fixture.call(
            try Golden.input("request.\(dialect.rawValue).json"), spec: Fixture.spec(family), endpoint: dialect, upstream: "up")
        call.startedAt = 1_700_000_001
        return call
    }

    @Test(arguments: dialects, families)
    func `a request reaches the vendor whole`(_ dialect: Endpoint, _ family: AdaptorID) throws {
        let call = try call(dialect, family)
        let request = try Fixture.provider(call.channel.provider).request(for: call)
        let body = try #require(request.body)
        try Golden.check("POST \(request.url)\n" + Golden.pretty(body), "request.\(dialect.rawValue).\(family).txt")
    }

    @Test(arguments: dialects, families)
    func `a whole answer reaches the client`(_ dialect: Endpoint, _ family: AdaptorID) throws {
        let call = try call(dialect, family)
        let body = ByteBuffer(string: try Golden.input("answer.\(family).json"))
        let answer = try Fixture.provider(call.channel.provider).decode(body, for: call)
        try Golden.check(Golden.pretty(answer.body), "answer.\(family).\(dialect.rawValue).json")
        #expect(answer.progress.hasContent && answer.progress.hasFinishReason && answer.progress.isDone)
        #expect(answer.progress.usage == Self.usage(family))
    }

    @Test(arguments: dialects, families)
    func `a stream reaches the client, cut at every byte`(_ dialect: Endpoint, _ family: AdaptorID) throws {
        let call = try call(dialect, family)
        let bytes = Array(try Golden.input("stream.\(family).sse").utf8)
        let whole = StreamOutcome([bytes], call: call)
        #expect(whole.failure == nil)
        #expect(whole.progress.usage == Self.usage(family))
        #expect(whole.progress.isDone && whole.progress.hasFinishReason)
        try Golden.check(whole.out + "--- trailer\n" + whole.trailer, "stream.\(family).\(dialect.rawValue).sse")
        let ends = (2...bytes.count).filter { bytes[$0 - 1] == 10 && bytes[$0 - 2] == 10 }
        try CutEverywhere.check(bytes, ends: ends, call)
        #expect(StreamOutcome(bytes.map { [$0] }, call: call) == whole)
    }

    /// Whatever is missing at the end of a stream, it never looks complete.
    @Test(arguments: dialects, families)
    func `a cut stream has no trailer`(_ dialect: Endpoint, _ family: AdaptorID) throws {
        let call = try call(dialect, family)
        let text = try Golden.input("stream.\(family).sse")
        let bytes = Array(text.utf8)
        // Up to the event that says why the model stopped.
        let marks: [AdaptorID: String] = [
            .openai: "\"finish_reason\":\"tool_calls\"", .anthropic: "message_delta", .gemini: "STOP", .cohere: "message-end",
        ]
        let mark = try #require(text.firstRange(of: marks[family] ?? "?"))
        let end = text.utf8.distance(from: text.startIndex, to: mark.lowerBound)
        for cut in stride(from: 0, to: end, by: 7) {
            let outcome = StreamOutcome([Array(bytes[..<cut])], call: call)
            #expect(outcome.failure == .truncated, "cut at \(cut)")
            #expect(outcome.trailer.isEmpty)
        }
    }

    static func usage(_ family: AdaptorID) -> Usage {
        switch family {
        case .anthropic: Usage(uncachedInput: 60, cacheRead: 40, cacheWrite5m: 5, cacheWrite1h: 15, output: 30)
        case .cohere: Usage(uncachedInput: 100, output: 30)
        default: Usage(uncachedInput: 60, cacheRead: 40, output: 30, reasoning: 10)
        }
    }
}
