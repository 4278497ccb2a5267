import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// Streams in the shapes that vendors send.
enum Recorded {
    static func chunk(_ delta: String, finish: String = "null", rest: String = "") -> String {
        #"{"id":"gen-1","object":"chat.completion.chunk","model":"theirs","choices":[{"index":0,"delta":{\#(delta)},"finish_reason":\#(finish)}]\#(rest)}"#
    }
    static let role = chunk(#""role":"assistant","content":"""#)
    static let hello = chunk(#""content":"H\u00e9llo\n""#)
    static let world = chunk(#""content":" wörld 😀""#)
    static let stop = chunk("", finish: #""stop""#)
    static let usage = #"{"id":"gen-1","model":"theirs","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"cost":0.5}}"#

    static func events(_ payloads: [String], _ end: String = "\n") -> String {
        payloads.map { "data: \($0)\(end)\(end)" }.joined()
    }

    static func openAI(_ end: String) -> String { events([role, hello, world, stop, usage, "[DONE]"], end) }

    static func openRouter(_ end: String) -> String {
        ": OPENROUTER PROCESSING\(end)\(end)" + events([role], end) + ": OPENROUTER PROCESSING\(end)\(end)"
            + "event: message\(end)id: 7\(end)data:\(hello)\(end)\(end)" + events([world, stop, usage, "[DONE]"], end)
    }

    /// An event of several `data` lines, between comments, and something behind the end.
    static func odd(_ end: String) -> String {
        "\u{FEFF}data: \(role)\(end)\(end)" + "retry: 5\(end)data: {\"choices\":[{\"delta\":\(end)data:{\"content\":\"x\"}}],\(end)"
            + "data: \"model\":\"theirs\"}\(end): c\(end)\(end)" + events([stop, usage, "[DONE]", hello], end) + ": late\(end)\(end)"
    }
}

@Suite struct StreamTests {
    private static let plain = #"{"model":"public","stream":true}"#
    private static let asking = #"{"model":"public","stream":true,"stream_options":{"include_usage":true}}"#

    private func call(
        _ body: String = plain, _ family: AdaptorID = .openrouter, upstream: String? = nil, usage: UsageRules = UsageRules()
    ) throws -> UpstreamCall {
        try Fixture.call(body, spec: Fixture.spec(family, usage: usage), upstream: upstream, price: Fixture.partedPrice)
    }

    private func run(_ text: String, _ body: String = plain, upstream: String? = nil) throws -> StreamOutcome {
        StreamOutcome(text, call: try call(body, upstream: upstream))
    }

    // MARK: Cuts

    @Test(arguments: ["\n", "\r\n", "\r"], [0, 1, 2])
    func `a stream cut anywhere comes out the same`(_ end: String, _ shape: Int) throws {
        let text = [Recorded.openAI, Recorded.openRouter, Recorded.odd][shape](end)
        let bytes = Array(text.utf8)
        for (body, upstream) in [(Self.plain, nil as String?), (Self.asking, "theirs")] {
            let call = try call(body, upstream: upstream)
            let whole = StreamOutcome([bytes], call: call)
            #expect(whole.failure == nil)
            #expect(whole.progress.isDone)
            #expect(whole.progress.usage?.uncachedInput == 10)
            let written = end == "\r" ? "\n" : end
            #expect(whole.trailer == "data: [DONE]\(written)\(written)")
            for cut in 0...bytes.count {
                let result = StreamOutcome(bytes, cuts: [cut], call: call)
                if result != whole { Issue.record("cut at \(cut): \(result.out) \(result.progress)") }
            }
            #expect(StreamOutcome(bytes, cuts: Array(1..<bytes.count), call: call) == whole)
        }
    }

    // MARK: What the client gets

    @Test(arguments: ["\n", "\r\n", "\r"])
    func `bytes are forwarded as they came, but for CR alone`(_ sent: String) throws {
        let result = try run(Recorded.openRouter(sent))
        let end = sent == "\r" ? "\n" : sent
        let expected = Recorded.openRouter(end)
            .replacing(Recorded.events([Recorded.usage], end), with: "").replacing(Recorded.events(["[DONE]"], end), with: "")
        #expect(result.out == expected)
        #expect(result.progress.hasContent && result.progress.hasFinishReason)
        #expect(result.progress.generationID == "gen-1")
        #expect(result.progress.servedModel == "theirs")
        // "Héllo\n" and " wörld 😀"
        #expect(result.progress.deliveredASCII == 5 + 6)
        #expect(result.progress.deliveredOther == 1 + 2)
    }

    @Test func `usage is shown to those who asked, with our charge`() throws {
        let shown = try run(Recorded.openAI("\n"), Self.asking)
        #expect(shown.out.hasSuffix(Recorded.events([Recorded.usage.replacing("0.5", with: "0.00002")])))
        #expect(shown.progress.usage?.upstreamCost == FemtoUSD(femtos: 500_000_000_000_000))
        let hidden = try run(Recorded.openAI("\n"))
        #expect(hidden.out.contains("usage") == false)
        #expect(hidden.progress.usage == shown.progress.usage)
    }

    @Test func `usage beside content stays, the last figures win, null is none`() throws {
        func cumulative(_ completion: Int) -> String {
            Recorded.chunk(#""content":"x""#, rest: #","usage":{"prompt_tokens":10,"completion_tokens":\#(completion)}"#)
        }
        let null = Recorded.chunk("", finish: #""stop""#, rest: #","usage":null"#)
        let result = try run(Recorded.events([cumulative(1), cumulative(5), null, "[DONE]"]))
        #expect(result.progress.usage == Usage(uncachedInput: 10, output: 5))
        #expect(result.out.contains(#""completion_tokens":1,"cost":0.000012}"#))
        #expect(result.out.contains(#""completion_tokens":5,"cost":0.00002}"#))
        #expect(result.out.hasSuffix(Recorded.events([null])))
    }

    @Test func `a usage chunk without choices is hidden too, empty choices alone are not`() throws {
        let bare = #"{"usage":{"prompt_tokens":10,"completion_tokens":5}}"#
        let filter = #"{"choices":[],"prompt_filter_results":[]}"#
        let result = try run(Recorded.events([filter, Recorded.stop, bare, "[DONE]"]))
        #expect(result.out == Recorded.events([filter, Recorded.stop]))
        #expect(result.progress.usage == Usage(uncachedInput: 10, output: 5))
    }

    @Test func `the model is mapped back in every chunk`() throws {
        let result = try run(Recorded.openRouter("\r\n"), upstream: "theirs")
        #expect(result.out.contains("theirs") == false)
        #expect(result.out.contains("event: message\r\nid: 7\r\ndata:\(Recorded.hello.replacing("theirs", with: "public"))\r\n\r\n"))
    }

    @Test func `an event of several lines keeps its other fields`() throws {
        let result = try run(Recorded.odd("\n"), upstream: "theirs")
        #expect(result.out.hasPrefix("\u{FEFF}data: {"))
        #expect(result.out.contains("retry: 5\ndata: {\"choices\":[{\"delta\": {\"content\":\"x\"}}], \"model\":\"public\"}\n: c\n\n"))
        #expect(try run(Recorded.odd("\n")).out.contains("retry: 5\ndata: {\"choices\":[{\"delta\":\ndata:{\"content\""))
    }

    @Test func `nothing behind the end marker comes through`() throws {
        let result = try run(Recorded.odd("\n"))
        #expect(result.out.contains("late") == false)
        #expect(result.out.contains("llo") == false)
        #expect(result.progress.isDone)
    }

    @Test func `reads of whole events are forwarded without a copy`() throws {
        var decoder = OpenAIProvider(spec: Fixture.spec()).streamDecoder(for: try call())
        let input = ByteBuffer(string: Recorded.events([Recorded.role, Recorded.hello, Recorded.world]))
        var out = ByteBuffer()
        try decoder.push(input, into: &out)
        #expect(out == input)
        #expect(out.withUnsafeReadableBytes { $0.baseAddress } == input.withUnsafeReadableBytes { $0.baseAddress })
    }

    // MARK: Ends

    @Test func `complete but for the marker`() throws {
        let result = try run(Recorded.events([Recorded.hello, Recorded.stop]))
        #expect(result.failure == nil)
        #expect(result.progress.isDone)
        #expect(result.trailer == "data: [DONE]\n\n")
    }

    @Test func `a marker without a finish reason is complete`() throws {
        let result = try run(Recorded.events([Recorded.hello, "[DONE]"]))
        #expect(result.failure == nil)
        #expect(result.progress.isDone && !result.progress.hasFinishReason)
    }

    @Test(arguments: ["", "\n", "\r", "\r\n", "\r\n\r", "\r\r"])
    func `a last event without its blank line is completed`(_ end: String) throws {
        let event = "data: \(Recorded.stop)"
        let result = try run(Recorded.events([Recorded.hello]) + event + end)
        #expect(result.failure == nil)
        #expect(result.out.hasPrefix(Recorded.events([Recorded.hello]) + event))
        // What follows must start an event of its own.
        var parser = SSEParser()
        parser.append(ByteBuffer(string: result.out + result.trailer))
        var count = 0
        while let range = parser.next() {
            let raw = try #require(parser.buffer.getSlice(at: parser.buffer.readerIndex + range.lowerBound, length: range.count))
            if SSEEvent(raw, isFirst: false).first != nil { count += 1 }
        }
        #expect(count == 3)
        let marker = try run(Recorded.events([Recorded.hello]) + "data: [DONE]" + end)
        #expect(marker.progress.isDone)
        #expect(marker.trailer.hasPrefix("data: [DONE]") && marker.trailer.count > 13)
    }

    @Test(arguments: [
        Recorded.events([Recorded.role, Recorded.hello]), Recorded.events([Recorded.hello]) + "data: {\"choices\":[{\"del",
        Recorded.events([Recorded.hello, Recorded.stop]) + "data: {\"usage\":{\"prompt", "", ": OPENROUTER PROCESSING\n\n",
    ])
    func `a cut stream is truncated`(_ text: String) throws {
        let result = try run(text)
        #expect(result.failure == .truncated)
        #expect(!result.progress.isDone)
        #expect(result.trailer.isEmpty)
        #expect(!result.out.contains("\"del\n") && !result.out.hasSuffix("prompt"))
    }

    // MARK: Errors in the stream

    @Test(arguments: [
        #"{"error":{"code":429,"message":"slow"}}"#, #"{"error":{"code":"429"},"choices":[]}"#,
        #"{"error":{"code":"rate_limit_exceeded"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        #"{"choices":[{"error":{"code":429},"delta":{"content":"x"}}]}"#,
    ])
    func `an error before content is like a status, after it the answer is broken`(_ chunk: String) throws {
        let early = try run(": OPENROUTER PROCESSING\n\n" + Recorded.events([Recorded.role, chunk, Recorded.hello]))
        #expect(early.failure == .rateLimit)
        #expect(early.out == ": OPENROUTER PROCESSING\n\n" + Recorded.events([Recorded.role]))
        let late = try run(Recorded.events([Recorded.hello, chunk, Recorded.world]))
        #expect(late.failure == .midStream)
        #expect(late.out == Recorded.events([Recorded.hello]))
        #expect(late.trailer.isEmpty && !late.progress.isDone)
    }

    @Test func `an error as text, a finish reason of error`() throws {
        #expect(try run(Recorded.events([#"{"error":"broken"}"#])).failure == .server)
        #expect(try run(Recorded.events([#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#])).failure == .server)
        #expect(try run(Recorded.events([Recorded.hello, Recorded.chunk("", finish: #""error""#)])).failure == .midStream)
    }

    @Test func `usage in the error chunk counts`() throws {
        let chunk = #"{"error":{"code":502},"usage":{"prompt_tokens":10,"completion_tokens":2}}"#
        #expect(try run(Recorded.events([Recorded.hello, chunk])).progress.usage == Usage(uncachedInput: 10, output: 2))
    }

    @Test(arguments: ["{", "nonsense", "[1]", #"{"a":1}}"#, "5"])
    func `malformed data fails cleanly`(_ payload: String) throws {
        #expect(try run(Recorded.events([Recorded.role, payload, Recorded.hello])).failure == .malformed)
        let late = try run(Recorded.events([Recorded.hello, payload, Recorded.stop, "[DONE]"]))
        #expect(late.failure == .midStream)
        #expect(late.out == Recorded.events([Recorded.hello]))
    }

    @Test func `empty data and unknown fields pass`() throws {
        let text = "data\n\ndata:\n\nfoo: bar\n\n\n" + Recorded.events([Recorded.hello])
        #expect(try run(text + Recorded.events(["[DONE]"])).out == text)
    }

    @Test func `an endless event is refused, whole or in pieces`() throws {
        let large = ByteBuffer(repeating: UInt8(ascii: "x"), count: OpenAIStreamDecoder.maximumEventBytes + 1)
        for tail in ["", "\n\n"] {
            var input = ByteBuffer(string: ":")
            input.writeImmutableBuffer(large)
            input.writeString(tail)
            var decoder = OpenAIProvider(spec: Fixture.spec()).streamDecoder(for: try call())
            var out = ByteBuffer()
            let error = failure { () throws(UpstreamFailure) in try decoder.push(input, into: &out) }
            #expect(error?.kind == .malformed)
            #expect(out.readableBytes == 0)
        }
    }
}
