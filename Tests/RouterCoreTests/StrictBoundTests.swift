import Foundation
import NIOCore
import RouterCore
import Testing

/// Strict admission as a property: whatever a vendor may count of a request that is taken, its hold covers; and what nobody can bound is
/// refused.
@Suite struct StrictBoundTests {
    private static let conversations: [Endpoint] = [.chat, .responses, .messages, .gemini]

    private static func envelope(_ json: String, _ endpoint: Endpoint) throws -> RequestEnvelope {
        let body = ByteBuffer(string: json)
        return endpoint == .gemini
            ? try RequestEnvelope(gemini: body, model: "m") : try RequestEnvelope(body: body, endpoint: endpoint)
    }

    // MARK: The property

    /// A text as JSON, in ways that a client may write it, and its bytes once it is decoded.
    private static func text(_ rng: inout SplitMix64) -> StrictSamples.Piece {
        let words = [
            "hello ", "你好", "\\u0041", "\\n", "🙂", "\\ud83d\\ude42", "x", "https://a.example/b.pdf ", "\\\"", "data:image/png;base64,",
        ]
        var json = "\""
        var bytes: Int64 = 0
        for _ in 0..<Int(rng.below(12)) {
            let word = words[Int(rng.below(UInt64(words.count)))]
            json += word
            bytes += Int64((try? JSONValue(parsing: ByteBuffer(string: "\"\(word)\"")))?.stringValue?.utf8.count ?? 0)
        }
        return StrictSamples.Piece(json: json + "\"", tokens: bytes)
    }

    private static func pick(_ pieces: [StrictSamples.Piece], _ rng: inout SplitMix64) -> StrictSamples.Piece {
        pieces[Int(rng.below(UInt64(pieces.count)))]
    }

    /// A request with what an adversarial vendor counts of it.
    private static func body(_ endpoint: Endpoint, _ rng: inout SplitMix64) -> StrictSamples.Piece {
        var whole = StrictSamples.Piece(json: "", tokens: 0)
        func add(_ piece: StrictSamples.Piece) -> String {
            whole.tokens += piece.tokens
            whole.isOpen = whole.isOpen || piece.isOpen
            return piece.json
        }
        var messages: [String] = []
        for _ in 0...rng.below(3) {
            var parts: [String] = []
            for _ in 0...rng.below(3) {
                let isOpen = rng.below(24) == 0
                parts.append(
                    add(pick(isOpen ? StrictSamples.openParts(endpoint) : StrictSamples.goodParts(endpoint, text: text(&rng)), &rng)))
            }
            // Four tokens frame a message, as OpenAI documents.
            whole.tokens += 4
            messages.append("{\"role\":\"user\",\"\(endpoint == .gemini ? "parts" : "content")\":[\(parts.joined(separator: ","))]}")
        }
        var members: [String] = []
        if endpoint != .gemini { members.append(#""model":"m""#) }
        let field = endpoint == .gemini ? "contents" : endpoint == .responses ? "input" : "messages"
        members.append("\"\(field)\":[\(messages.joined(separator: ","))]")
        if rng.below(16) == 0 {
            members.append(add(pick(StrictSamples.openMembers(endpoint), &rng)))
        } else if rng.below(3) == 0 {
            members.append(add(pick(StrictSamples.goodMembers(endpoint, text: text(&rng)), &rng)))
        }
        members.shuffle(using: &rng)
        whole.json = "{\(members.joined(separator: ","))}"
        return whole
    }

    @Test("audit 1: in strict admission the hold covers whatever a vendor may count")
    func holdCoversAnyCount() throws {
        let isLong = ProcessInfo.processInfo.environment["APIROUTER_LONG"] == "1"
        let count: UInt64 = isLong ? 100_000 : 4_000
        let seed: UInt64 = 20_261_129
        print("strict bodies: \(count), seed \(seed)")
        var taken = 0
        var refused = 0
        for index in 0..<count {
            var rng = SplitMix64(seed: seed &+ index)
            let endpoint = Self.conversations[Int(index % 4)]
            let body = Self.body(endpoint, &rng)
            let envelope: RequestEnvelope
            let strict: StrictBound
            do throws(RequestEnvelope.Rejection) {
                envelope =
                    try endpoint == .gemini
                    ? RequestEnvelope(gemini: ByteBuffer(string: body.json), model: "m")
                    : RequestEnvelope(body: ByteBuffer(string: body.json), endpoint: endpoint)
                strict = try StrictBound(envelope)
            } catch {
                #expect(body.isOpen, "seed \(seed), body \(index), \(endpoint): \(error.message)\n\(body.json)")
                refused += 1
                continue
            }
            taken += 1
            let output = Int64(rng.below(5_000))
            let bound = envelope.bound(strict: strict, outputTokens: output)
            #expect(bound.promptTokens >= body.tokens, "seed \(seed), body \(index), \(endpoint): \(body.json)")
            let quote = PriceQuote(
                price: ModelPrice(rates: ModelPrice.Rates(input: FemtoUSD(femtos: 3_000), output: FemtoUSD(femtos: 15_000))), ratio: .one,
                version: 1)
            let hold = try quote.worstCase(bound, upstreamCostFallback: .zero)
            let usage = Usage(uncachedInput: body.tokens, output: output)
            #expect(try quote.charge(for: usage) <= hold, "seed \(seed), body \(index)")
        }
        // Otherwise this proves nothing.
        #expect(taken > Int(count) / 4 && refused > Int(count) / 20, "taken \(taken), refused \(refused)")
    }

    // MARK: Each piece

    @Test("audit 1: what has no bound is refused, by its name", arguments: conversations)
    func openPiecesAreRefused(_ endpoint: Endpoint) throws {
        func request(_ part: String?, _ member: String?) -> String {
            let parts = part ?? StrictSamples.goodParts(endpoint, text: StrictSamples.Piece(json: "\"a\"", tokens: 1))[0].json
            let content = "[{\"role\":\"user\",\"\(endpoint == .gemini ? "parts" : "content")\":[\(parts)]}]"
            let field = endpoint == .gemini ? "contents" : endpoint == .responses ? "input" : "messages"
            return "{\(endpoint == .gemini ? "" : "\"model\":\"m\",")\"\(field)\":\(content)\(member.map { "," + $0 } ?? "")}"
        }
        for piece in StrictSamples.openParts(endpoint).map({ request($0.json, nil) })
            + StrictSamples.openMembers(endpoint).map({ request(nil, $0.json) })
        {
            do throws(RequestEnvelope.Rejection) {
                let envelope =
                    try endpoint == .gemini
                    ? RequestEnvelope(gemini: ByteBuffer(string: piece), model: "m")
                    : RequestEnvelope(body: ByteBuffer(string: piece), endpoint: endpoint)
                _ = try StrictBound(envelope)
                Issue.record("taken: \(piece)")
            } catch {
                #expect(error.param?.isEmpty == false && error.message.contains("'"), "\(piece): \(error.message)")
            }
        }
        for piece in StrictSamples.goodParts(endpoint, text: StrictSamples.Piece(json: "\"a\"", tokens: 1)) {
            #expect(throws: Never.self, "\(piece.json)") { try StrictBound(Self.envelope(request(piece.json, nil), endpoint)) }
        }
    }

    @Test func `a refusal names the place and the admission that would take it`() throws {
        let body =
            #"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#
        let error = #expect(throws: RequestEnvelope.Rejection.self) { try StrictBound(Self.envelope(body, .chat)) }
        #expect(error?.param == "messages[1].content[0].file.file_id")
        #expect(error?.message.contains("standard admission would take it") == true)
    }

    @Test("audit 1: every prompt of a completion writes up to best_of answers")
    func completionsCountPrompts() throws {
        func choices(_ json: String) throws -> Int64 { try Self.envelope(json, .completions).choices }
        #expect(try choices(#"{"model":"m","prompt":"a"}"#) == 1)
        #expect(try choices(#"{"model":"m","prompt":["a","b","c"],"n":2}"#) == 6)
        #expect(try choices(#"{"model":"m","prompt":["a","b"],"n":2,"best_of":5}"#) == 10)
        #expect(try choices(#"{"model":"m","prompt":[1,2,3],"best_of":null}"#) == 1)
        #expect(try choices(#"{"model":"m","prompt":[[1,2],[3]],"n":3}"#) == 6)
        #expect(throws: RequestEnvelope.Rejection.self) { try choices(#"{"model":"m","prompt":"a","best_of":"20"}"#) }
        #expect(throws: RequestEnvelope.Rejection.self) { try choices(#"{"model":"m","prompt":"a","best_of":1,"best_of":20}"#) }
        #expect(throws: RequestEnvelope.Rejection.self) { try choices(#"{"model":"m","prompt":"a","best\u005fof":20}"#) }
    }

    @Test("audit 1: a picture counts by the model that sees it")
    func picturesByModel() throws {
        let picture = #"{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}"#
        let envelope = try Self.envelope(
            #"{"model":"m","messages":[{"role":"user","content":[\#(picture),\#(picture)]}]}"#, .chat)
        let strict = try StrictBound(envelope)
        func tokens(_ model: String) -> Int64 { envelope.bound(strict: strict, outputTokens: 0, model: model).promptTokens }
        #expect(tokens("gpt-4o") >= 2 * 16_384 && tokens("gpt-4o") < 2 * 16_384 + 1_000)
        #expect(tokens("openai/gpt-4o-mini-2024-07-18") - tokens("gpt-4o") == 2 * (48_169 - 16_384))
    }

    @Test func `fields that the operator allows are taken`() throws {
        let envelope = try Self.envelope(#"{"model":"m","messages":[],"mirror":{"a":1}}"#, .chat)
        #expect(throws: RequestEnvelope.Rejection.self) { try StrictBound(envelope) }
        #expect(throws: Never.self) { try StrictBound(envelope, allowing: ["mirror"]) }
    }

    @Test(arguments: [
        (#"{"model":"m","input":["a","b"]}"#, Endpoint.embeddings, true), (#"{"model":"m","input":[[1,2],[3]]}"#, .embeddings, true),
        (#"{"model":"m","input":[{"image":"https://a"}]}"#, .embeddings, false),
        (#"{"model":"m","prompt":"a cat","n":2,"size":"1024x1024"}"#, .images, true),
        (#"{"model":"m","prompt":"a cat","image":"https://a"}"#, .images, false),
        (#"{"model":"m","input":"say","voice":"alloy"}"#, .speech, true),
        (#"{"model":"m","input":["a","b"]}"#, .moderations, true),
        (#"{"model":"m","input":[{"type":"image_url","image_url":{"url":"https://a"}}]}"#, .moderations, true),
        (#"{"model":"m","query":"q","documents":["a",{"text":"b"}]}"#, .rerank, true),
        (#"{"model":"m","query":"q","documents":[{"image":"https://a"}]}"#, .rerank, false),
        (#"{"model":"m","prompt":["a"],"best_of":2}"#, .completions, true),
        (#"{"model":"m","prompt":{"id":"x"}}"#, .completions, false),
    ])
    func `the other endpoints are bounded as well`(_ body: String, _ endpoint: Endpoint, _ isTaken: Bool) throws {
        let envelope = try Self.envelope(body, endpoint)
        #expect(((try? StrictBound(envelope)) != nil) == isTaken)
    }

    // MARK: Standard admission

    @Test("audit 5: a reference counts as much as the model can read")
    func referencesCountFlat() throws {
        func expected(_ json: String, _ endpoint: Endpoint, context: Int64? = nil) throws -> Int64 {
            try Self.envelope(json, endpoint).prompt.expectedTokens(contextLength: context)
        }
        let byURL = #"{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://a"}}]}]}"#
        #expect(try expected(byURL, .messages) >= 200_000)
        #expect(try expected(byURL, .messages, context: 128_000) == 128_000)
        #expect(try expected(#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://a"}}]}]}"#, .gemini) >= 200_000)
        #expect(try expected(#"{"contents":[],"cachedContent":"cachedContents/1"}"#, .gemini) >= 200_000)
        #expect(
            try expected(#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]}"#, .responses) >= 200_000
        )
        #expect(try expected(#"{"model":"m","input":"a","previous_response_id":"resp_1"}"#, .responses) >= 200_000)
        #expect(try expected(#"{"model":"m","input":"a","prompt":{"id":"pmpt_1"}}"#, .responses) >= 200_000)
        // A picture by its address: its own worst case.
        let picture = #"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a"}}]}]}"#
        #expect((16_384..<16_600).contains(try expected(picture, .chat)))
        let block = #"{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://a"}}]}]}"#
        #expect((16_384..<16_600).contains(try expected(block, .messages)))
        // What an assistant cited earlier is no reference, nor are the words of a tool.
        let cited = #"{"model":"m","messages":[{"role":"assistant","content":"a","annotations":[{"url_citation":{"url":"https://a"}}]}]}"#
        #expect(try expected(cited, .chat) < 100)
        #expect(try expected(#"{"model":"m","messages":[],"tools":[{"function":{"parameters":{"url":"https://a"}}}]}"#, .chat) < 100)
    }

    @Test("audit 1: data is a picture only where its type says so")
    func dataIsNoPicture() throws {
        let long = String(repeating: "word ", count: 4_000)
        func tokens(_ type: String, _ data: String) throws -> Int64 {
            let source = "{\"type\":\"x\",\"media_type\":\"\(type)\",\"data\":\"\(data)\"}"
            return try Self.envelope(
                "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"source\":\(source)}]}]}", .messages
            ).prompt.tokens
        }
        #expect(try tokens("text/plain", "/9j/" + long) > 3_500)
        #expect(try tokens("text/plain", "R0lGOD" + long) > 3_500)
        #expect(try tokens("image/png", "iVBOR" + String(repeating: "A", count: 20_000)) < 1_300)
    }
}
