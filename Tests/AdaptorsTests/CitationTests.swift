import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// Where an answer's words come from, from every family to every dialect: "Héllo Oslo. It rains.", of which the second sentence has two
/// sources on the web. What each vendor also cites (a document of the client's own) is in no other dialect.
@Suite struct Citations {
    private static let text = "Héllo Oslo. It rains."
    private static let families: [AdaptorID] = [.openai, .anthropic, .gemini, .cohere, .bedrock]

    private func call(_ family: AdaptorID, _ dialect: Endpoint) throws -> UpstreamCall {
        var call = try Fixture.call(
            #"{"model":"pub","stream":true}"#, spec: Fixture.spec(family), endpoint: dialect, upstream: "up",
            baseURL: "https://bedrock-runtime.us-east-1.amazonaws.com")
        call.startedAt = 1_700_000_001
        call.answerID = "req-1"
        return call
    }

    /// Words and URLs, as the dialect has them.
    private func found(_ answer: JSONValue, _ dialect: Endpoint) -> [String] {
        func cut(_ text: String?, _ annotation: JSONValue?) -> String {
            let range = Int(annotation?["start_index"]?.integerValue ?? 0)..<Int(annotation?["end_index"]?.integerValue ?? 0)
            return "\(text?.scalars(range) ?? "") \(annotation?["url"]?.stringValue ?? "")"
        }
        switch dialect {
        case .messages:
            return (answer["content"]?.arrayValue ?? []).flatMap { block in
                (block["citations"]?.arrayValue ?? []).map { "\(block["text"]?.stringValue ?? "") \($0["url"]?.stringValue ?? "")" }
            }
        case .responses:
            let part = answer["output"]?.arrayValue?.first?["content"]?.arrayValue?.first
            return (part?["annotations"]?.arrayValue ?? []).map { cut(part?["text"]?.stringValue, $0) }
        case .gemini:
            let candidate = answer["candidates"]?.arrayValue?.first
            let bytes = Array((candidate?["content"]?["parts"]?.arrayValue ?? []).compactMap { $0["text"]?.stringValue }.joined().utf8)
            let metadata = candidate?["groundingMetadata"]
            return (metadata?["groundingSupports"]?.arrayValue ?? []).flatMap { support in
                let segment = support["segment"]
                let range = Int(segment?["startIndex"]?.integerValue ?? 0)..<Int(segment?["endIndex"]?.integerValue ?? 0)
                let words = String(decoding: bytes[range], as: UTF8.self)
                return (support["groundingChunkIndices"]?.arrayValue ?? []).map { index in
                    "\(words) \(metadata?["groundingChunks"]?.arrayValue?[Int(index.integerValue ?? 0)]["web"]?["uri"]?.stringValue ?? "")"
                }
            }
        default:
            let message = answer["choices"]?.arrayValue?.first?["message"]
            return (message?["annotations"]?.arrayValue ?? []).map { cut(message?["content"]?.stringValue, $0["url_citation"]) }
        }
    }

    @Test(arguments: families, Matrix.dialects) func `in a whole answer`(_ family: AdaptorID, _ dialect: Endpoint) throws {
        let call = try call(family, dialect)
        let answer = try Fixture.provider(call.channel.provider).decode(
            ByteBuffer(string: try Golden.input("citations.\(family).json")), for: call)
        try Golden.check(Golden.pretty(answer.body), "citations.\(family).\(dialect.rawValue).json")
        let isOwn = [(.openai, .chat), (.anthropic, .messages), (.gemini, .gemini)].contains { $0 == (family, dialect) }
        guard !isOwn else { return }
        #expect(found(try JSONValue(parsing: answer.body), dialect) == ["It rains. https://w.test/a", "It rains. https://w.test/b"])
        #expect(!String(buffer: answer.body).contains("private.txt"))
    }

    @Test(arguments: families, Matrix.dialects) func `in a stream, cut at every byte`(_ family: AdaptorID, _ dialect: Endpoint) throws {
        let call = try call(family, dialect)
        var pieces: [[UInt8]]
        if family == .bedrock {
            pieces = try Golden.input("citations.bedrock.txt").split(separator: "\n").map { line in
                let parts = line.split(separator: " ", maxSplits: 1)
                return Bedrock.message(String(parts[0]), String(parts[1]))
            }
        } else {
            pieces = try Golden.input("citations.\(family).sse").split(separator: "\n\n").map { Array("\($0)\n\n".utf8) }
        }
        let bytes = pieces.flatMap { $0 }
        let whole = StreamOutcome([bytes], call: call)
        #expect(whole.failure == nil && whole.progress.isDone)
        try Golden.check(whole.out + "--- trailer\n" + whole.trailer, "citations.\(family).\(dialect.rawValue).sse")
        var ends: [Int] = []
        for piece in pieces { ends.append((ends.last ?? 0) + piece.count) }
        try CutEverywhere.check(bytes, ends: ends, call)
        let all = whole.out + whole.trailer
        #expect(all.contains("https://w.test/a") && all.contains("https://w.test/b"))
        if dialect == .responses, let last = whole.trailer.split(separator: "\n").last(where: { $0.hasPrefix("data: ") }) {
            let response = try #require(JSONText.parse(String(last.dropFirst("data: ".count)))?["response"])
            #expect(found(response, .responses) == ["It rains. https://w.test/a", "It rains. https://w.test/b"])
        }
    }

    @Test func `places in characters and in bytes`() {
        var ruler = TextRuler()
        let text = "aé日😀b日本x"
        for character in text.unicodeScalars { ruler.append(String(character)) }
        var bytes = 0
        for (index, scalar) in text.unicodeScalars.enumerated() {
            #expect(ruler.bytes(ofScalar: index) == bytes && ruler.scalars(ofByte: bytes) == index)
            bytes += UTF8.width(scalar)
        }
        #expect(ruler.scalars == text.unicodeScalars.count && ruler.bytes == text.utf8.count && bytes == ruler.bytes)
        #expect(ruler.bytes(ofScalar: 99) == bytes && ruler.scalars(ofByte: 9_999) == ruler.scalars && ruler.bytes(ofScalar: -1) == nil)
        var wide = TextRuler()
        wide.append("é")
        #expect(wide.bytes(ofScalar: .max) == 2 && wide.scalars(ofByte: .max) == 1)
        #expect(TextRuler().bytes(ofScalar: 0) == 0 && TextRuler().scalars(ofByte: 1) == nil)
        var wild = TextRuler()
        for _ in 0..<40_000 { wild.append("aé") }
        #expect(wild.bytes(ofScalar: 5) == nil && wild.scalars == 80_000)
    }

    @Test func `what is no page of the web is none`() {
        for url in ["javascript:alert(1)", "", "file:///etc/passwd"] { #expect(Citation(0..<1, url: url, title: nil, in: 0..<9) == nil) }
        #expect(Citation(5..<99, url: "https://a.test", title: "", in: 0..<9)?.range == 5..<9)
        #expect(Citation(nil, url: "https://a.test", title: "t", in: 0..<9)?.range == 0..<9)
    }
}
