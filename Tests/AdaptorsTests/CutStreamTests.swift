import NIOCore
import RouterCore
import Testing

/// One recorded stream and what must become of it.
struct StreamCase: Sendable, CustomTestStringConvertible {
    var name: String
    var family = AdaptorID.openai
    var input: String
    /// nil: the input without its end marker.
    var out: String?
    var trailer = "data: [DONE]\n\n"
    var failure: FailureKind?
    var isBillable = false
    var asksForUsage = false
    /// The vendor's name when the channel renames.
    var upstream: String?
    var ascii: Int64 = 0
    var other: Int64 = 0
    var usage: Usage?
    var generationID: String?

    var testDescription: String { name }

    func call() throws -> UpstreamCall {
        let option = asksForUsage ? #","stream_options":{"include_usage":true}"# : ""
        return try Fixture.call(
            #"{"model":"pub","stream":true\#(option)}"#, spec: Fixture.spec(family), upstream: upstream)
    }
}

private func lf(_ events: String...) -> String { events.map { $0 + "\n\n" }.joined() }
private func crlf(_ events: String...) -> String { events.map { $0 + "\r\n\r\n" }.joined() }
private func cr(_ events: String...) -> String { events.map { $0 + "\r\r" }.joined() }

private let done = "data: [DONE]"
private let stop = #"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#
private let hello = #"data: {"id":"c-1","model":"up","choices":[{"index":0,"delta":{"content":"Hé"}}]}"#
private let helloPublic = #"data: {"id":"c-1","model":"pub","choices":[{"index":0,"delta":{"content":"Hé"}}]}"#
private let usageLine = #"data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}"#
// 10 × 2,000 + 5 × 8,000 = 60,000 nano-dollars.
private let usageShown =
    #"data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cost":0.00006}}"#
private let usage = Usage(uncachedInput: 10, output: 5)
private let tools =
    #"data: {"choices":[{"delta":{"content":null,"tool_calls":[{"index":0,"id":"call_123","#
    + #""type":"function","function":{"name":"get","arguments":"{\"a\":\"\u00e9\"}"}}]}}]}"#
private let reasoning =
    #"data: {"id":"gen-1","choices":[{"delta":{"content":"","reasoning":"abc","#
    + #""reasoning_details":[{"type":"reasoning.text","text":"abc"}]}}]}"#
private let first = #"data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":10,"completion_tokens":1"#
private let second =
    #"data: {"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}],"#
    + #""usage":{"prompt_tokens":10,"completion_tokens":5"#
private let routerEnd =
    #"data: {"choices":[{"delta":{"content":""},"finish_reason":"stop"}],"#
    + #""usage":{"prompt_tokens":10,"completion_tokens":5,"cost":0.5,"is_byok":false}}"#
private let nullUsage = #"data: {"choices":[{"delta":{"content":"x"}}],"usage":null}"#
private let nullErrors = #"data: {"error":null,"choices":[{"delta":{"content":"x"},"error":null}]}"#
private let twoLines = "data: {\"model\":\"up\",\ndata: \"choices\":[{\"delta\":{\"content\":\"ab\"}}]}"
private let fields = "\u{FEFF}event: m\nid: 7\ndata:{\"choices\":[{\"delta\":{\"content\":\"日本😀\"}}]}\nretry: 1"
private let twoFigures = "id: 1\n" + twoLines

private let lineEnds: [StreamCase] = [
    StreamCase(
        name: "LF, comment, UTF-8", input: lf(": OPENROUTER PROCESSING", hello, stop, done), ascii: 1, other: 1,
        generationID: "c-1"),
    StreamCase(
        name: "CRLF", input: crlf(hello, ": c", stop, done), trailer: crlf(done), ascii: 1, other: 1,
        generationID: "c-1"),
    StreamCase(
        name: "CR alone", input: cr(hello, stop, done), out: lf(hello, stop), ascii: 1, other: 1, generationID: "c-1"),
    StreamCase(
        name: "byte order mark, other fields, no space", input: lf(fields, stop, done), other: 3),
    StreamCase(name: "several data lines stay", input: lf(twoLines, stop, done), ascii: 2),
    StreamCase(
        name: "several data lines become one when the model is mapped back", input: lf(twoFigures, stop, done),
        out: lf("id: 1\ndata: {\"model\":\"pub\", \"choices\":[{\"delta\":{\"content\":\"ab\"}}]}", stop),
        upstream: "up", ascii: 2),
    StreamCase(
        name: "model mapped back in CRLF", input: crlf(hello, stop, done), out: crlf(helloPublic, stop),
        trailer: crlf(done), upstream: "up", ascii: 1, other: 1, generationID: "c-1"),
]

private let contents: [StreamCase] = [
    // get and {"a":""} are 3 + 8 ASCII characters, é is another; ids and types are not the model's words.
    StreamCase(name: "tool calls", input: lf(tools, stop, done), ascii: 11, other: 1),
    StreamCase(
        name: "reasoning told twice counts once", family: .openrouter, input: lf(reasoning, stop, done), ascii: 3,
        generationID: "gen-1"),
    StreamCase(
        name: "completions text", input: lf(#"data: {"choices":[{"text":"abcd","finish_reason":"length"}]}"#, done),
        ascii: 4),
    StreamCase(name: "errors that are null", input: lf(nullErrors, stop, done), ascii: 1),
    StreamCase(
        name: "no end marker: complete by its finish_reason", input: lf(hello, stop), out: lf(hello, stop), ascii: 1,
        other: 1, generationID: "c-1"),
    StreamCase(
        name: "no end marker, blank line missing", input: lf(hello) + stop, out: lf(hello, stop), ascii: 1, other: 1,
        generationID: "c-1"),
    StreamCase(
        name: "end marker without blank line", input: lf(hello, stop) + done, out: lf(hello, stop), ascii: 1, other: 1,
        generationID: "c-1"),
    StreamCase(
        name: "nothing behind the end marker counts", input: lf(hello, stop, done, hello, "data: {broken"),
        out: lf(hello, stop), ascii: 1, other: 1, generationID: "c-1"),
]

private let usages: [StreamCase] = [
    StreamCase(
        name: "usage chunk hidden when not asked for", input: lf(hello, stop, usageLine, done), out: lf(hello, stop),
        ascii: 1, other: 1, usage: usage, generationID: "c-1"),
    StreamCase(
        name: "usage chunk shown with our charge when asked for", input: lf(hello, stop, usageLine, done),
        out: lf(hello, stop, usageShown), asksForUsage: true, ascii: 1, other: 1, usage: usage, generationID: "c-1"),
    StreamCase(
        name: "usage null but in the last chunk", input: lf(nullUsage, stop, usageLine, done), out: lf(nullUsage, stop),
        ascii: 1, usage: usage),
    StreamCase(
        // 10 × 2,000 + 1 × 8,000 = 28,000 nano-dollars, then 60,000.
        name: "usage in every chunk: the last one wins", input: lf(first + "}}", second + "}}", done),
        out: lf(first + #","cost":0.000028}}"#, second + #","cost":0.00006}}"#), ascii: 2, usage: usage),
    StreamCase(
        name: "usage with the finish, its cost replaced", family: .openrouter, input: lf(hello, routerEnd, done),
        out: lf(hello, routerEnd.replacingOnce("0.5", "0.00006")), ascii: 1, other: 1,
        usage: Usage(uncachedInput: 10, output: 5, upstreamCost: FemtoUSD(femtos: 500_000_000_000_000)),
        generationID: "c-1"),
]

private func broken(_ name: String, _ chunk: String, _ kind: FailureKind) -> StreamCase {
    StreamCase(name: name, family: .openrouter, input: lf(": p", chunk, done), out: lf(": p"), failure: kind)
}

private func brokenLater(_ name: String, _ chunk: String, usage: Usage? = nil) -> StreamCase {
    StreamCase(
        name: name, family: .openrouter, input: lf(hello, chunk, done), out: lf(hello), failure: .midStream,
        isBillable: true, ascii: 1, other: 1, usage: usage, generationID: "c-1")
}

private let failures: [StreamCase] = [
    broken("error chunk first", #"data: {"error":{"code":429,"message":"slow down"}}"#, .rateLimit),
    broken(
        "error chunk with choices first",
        #"data: {"error":{"code":402,"message":"x"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        .credentialExhausted),
    broken("choice error", #"data: {"choices":[{"delta":{},"error":{"code":503,"message":"x"}}]}"#, .overloaded),
    broken("finish_reason error", #"data: {"choices":[{"delta":{},"finish_reason":"error"}]}"#, .server),
    broken("not JSON first", "data: <html>", .malformed), broken("an array", "data: [1]", .malformed),
    broken("half an object, whole event", #"data: {"choices":["#, .malformed),
    brokenLater("error chunk after content", #"data: {"error":{"code":429,"message":"x"},"choices":[]}"#),
    brokenLater("choice error after content", #"data: {"choices":[{"error":{"code":400,"message":"x"}}]}"#),
    brokenLater("finish_reason error after content", #"data: {"choices":[{"delta":{},"finish_reason":"error"}]}"#),
    brokenLater("not JSON after content", #"data: {"a":01}"#),
    brokenLater(
        "error chunk with the last usage",
        #"data: {"error":{"code":500},"usage":{"prompt_tokens":10,"completion_tokens":5}}"#, usage: usage),
    StreamCase(name: "nothing at all", input: "", out: "", failure: .truncated),
    StreamCase(name: "only comments", input: lf(": a", ": b"), out: lf(": a", ": b"), failure: .truncated),
    StreamCase(
        name: "closed after content", input: lf(hello), out: lf(hello), failure: .truncated, isBillable: true, ascii: 1,
        other: 1, generationID: "c-1"),
    StreamCase(
        name: "closed inside a chunk", input: lf(hello) + #"data: {"choices":[{"del"#, out: lf(hello),
        failure: .truncated, isBillable: true, ascii: 1, other: 1, generationID: "c-1"),
]

@Suite struct CutStreams {
    @Test(arguments: lineEnds + contents + usages + failures)
    func `a stream becomes exactly this`(_ stream: StreamCase) throws {
        let result = StreamOutcome([Array(stream.input.utf8)], call: try stream.call())
        let plain = Array(stream.input.utf8.dropLast(stream.trailer.utf8.count))
        let expected = stream.out.map { Array($0.utf8) } ?? plain
        #expect(Array(result.out.utf8) == expected, "\(result)")
        #expect(result.failure == stream.failure)
        #expect(result.progress.deliveredASCII == stream.ascii)
        #expect(result.progress.deliveredOther == stream.other)
        #expect(result.progress.hasContent == (stream.ascii + stream.other > 0))
        #expect(result.progress.usage == stream.usage)
        #expect(result.progress.generationID == stream.generationID)
        if stream.failure == nil {
            #expect(result.progress.isDone && result.progress.hasFinishReason)
            #expect(Array(result.trailer.utf8) == Array(stream.trailer.utf8))
        } else {
            #expect(result.isBillable == stream.isBillable)
            #expect(result.trailer.isEmpty && !result.progress.isDone)
        }
    }

    @Test(arguments: lineEnds + contents + usages + failures)
    func `where the reads are cut makes no difference`(_ stream: StreamCase) throws {
        let call = try stream.call()
        let bytes = Array(stream.input.utf8)
        let whole = StreamOutcome([bytes], call: call)
        for cut in 0...bytes.count {
            let halves = StreamOutcome([Array(bytes[..<cut]), Array(bytes[cut...])], call: call)
            guard halves == whole else {
                Issue.record("cut at byte \(cut): \(halves) instead of \(whole)")
                return
            }
        }
        #expect(StreamOutcome(bytes.map { [$0] }, call: call) == whole)
    }

    @Test func `a stream that stops anywhere before its finish_reason is truncated and never complete`() throws {
        let call = try StreamCase(name: "", input: "").call()
        let bytes = Array((lf(": p", hello) + stop).utf8)
        for length in 0..<bytes.count {
            let result = StreamOutcome([Array(bytes[..<length])], call: call)
            #expect(result.failure == .truncated, "closed after \(length) bytes")
            #expect(result.isBillable == result.progress.hasContent)
            #expect(result.trailer.isEmpty)
        }
        #expect(StreamOutcome([bytes], call: call).failure == nil)
    }

    @Test func `events leave as soon as they are whole and the end marker is held back`() throws {
        let call = try StreamCase(name: "", input: "").call()
        var decoder = Fixture.provider(call.channel.provider).streamDecoder(for: call)
        var out = ByteBuffer(string: "before|")
        try decoder.push(ByteBuffer(string: lf(hello) + "data: {"), into: &out)
        #expect(String(buffer: out) == "before|" + lf(hello))
        #expect(decoder.progress.hasContent && !decoder.progress.hasFinishReason)
        try decoder.push(ByteBuffer(string: String(lf(stop, done).dropFirst(7))), into: &out)
        #expect(String(buffer: out) == "before|" + lf(hello, stop))
        #expect(decoder.progress.isDone)
        #expect(String(buffer: decoder.trailer) == lf(done))
        try decoder.finish(into: &out)
        #expect(String(buffer: out) == "before|" + lf(hello, stop))
    }

    @Test func `a charge that cannot be worked out is null and not the vendor's figure`() throws {
        let call = try Fixture.call(
            #"{"model":"m","stream":true,"usage":{"include":true}}"#, spec: Fixture.spec(.openrouter),
            price: .upstreamCost)
        let chunk = #"data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":-3}}"#
        #expect(StreamOutcome([Array(lf(chunk, done).utf8)], call: call).out == lf(chunk.replacingOnce("-3", "null")))
        let priced = chunk.replacingOnce("-3", "1.0e-3")
        #expect(StreamOutcome([Array(lf(priced, done).utf8)], call: call).out == lf(chunk.replacingOnce("-3", "0.001")))
    }
}
