import Foundation
import HTTPTypes
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// One fuzzer for each decoder that reads what others have written: streams and whole answers of every family in every dialect, requests of
/// every dialect to every family, forms, Bedrock's binary frames, vendors' lists of models. `FUZZ_SEED` repeats a run, `FUZZ_SECONDS` makes
/// each of them that long.
///
/// Properties that hold for any bytes: no crash, an answer or a failure, the same outcome wherever the bytes are cut, valid JSON out, and
/// memory that is bounded by what came in.
@Suite(.serialized) struct DecoderFuzz {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seed = environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: .min ... .max)
    private static let seconds = environment["FUZZ_SECONDS"].flatMap { Int64($0) } ?? 0

    /// Runs rounds until the time is over, then checks that memory has not grown.
    private func fuzz(_ name: String, rounds least: Int, _ body: (Int, inout SplitMix64) throws -> Void) rethrows {
        var random = SplitMix64(seed: Self.seed)
        print("fuzz \(name): seed \(Self.seed)")
        let end = ContinuousClock.now + .seconds(Self.seconds)
        var round = 0
        var before: Int?
        while round < least || ContinuousClock.now < end {
            try body(round, &random)
            round += 1
            // Caches and arenas are warm after a while.
            if round == least { before = Self.residentBytes }
        }
        let grown = (Self.residentBytes ?? 0) - (before ?? 0)
        if Self.seconds > 0 { print("fuzz \(name): \(round) rounds, \(grown / 1_048_576) MB more than after \(least)") }
        #expect(grown < 64 << 20, "fuzz \(name), seed \(Self.seed): \(grown) bytes of memory were not given back")
    }

    private static var residentBytes: Int? {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return nil }
        let fields = text.split(separator: " ")
        return fields.count > 1 ? Int(fields[1]).map { $0 * 4_096 } : nil
    }

    // MARK: Damage

    private static let spice = Array("\"\\{}[],:\n\r \u{0}0-9eEu.data: nulltruefalse\u{FEFF}".utf8) + [0x80, 0xC3, 0xED, 0xF4, 0xFF]
    private static let words = [
        "null", "{}", "[]", "\"\"", "-1", "1e999", "0.5", "9223372036854775808", "true", #""\ud800""#, #"{"type":null}"#,
        #"[{"type":"text"}]"#,
        "data: [DONE]\n\n", "event: x\n", "\n\n", ",\"index\":-1", ",\"index\":99999999", #","usage":{"prompt_tokens":-5}"#,
        #","choices":[{"delta":null}]"#, #","content":[[[[]]]]"#,
    ].map { Array($0.utf8) }

    /// Bytes flipped, cut out, doubled and put in; values of JSON put in the place of others; now and then nothing but noise.
    private func damaged(_ original: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        if Int.random(in: 0..<32, using: &random) == 0 {
            return (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }
        var bytes = original
        for _ in 0..<Int.random(in: 0...5, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            let end = min(bytes.count, place + Int.random(in: 1...40, using: &random))
            switch Int.random(in: 0..<8, using: &random) {
            case 0: bytes[place] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[place] = Self.spice[Int.random(in: 0..<Self.spice.count, using: &random)]
            case 2: bytes.insert(Self.spice[Int.random(in: 0..<Self.spice.count, using: &random)], at: place)
            case 3: bytes.removeSubrange(place..<end)
            case 4: bytes.insert(contentsOf: bytes[place..<end], at: place)
            case 5: replaceValue(&bytes, place, &random)
            case 6: bytes.insert(contentsOf: Self.words[Int.random(in: 0..<Self.words.count, using: &random)], at: place)
            default: bytes.removeSubrange(place...)
            }
        }
        return bytes
    }

    /// The JSON value behind the next colon becomes another one: what is left is still JSON, which is what finds its way furthest in.
    private func replaceValue(_ bytes: inout [UInt8], _ place: Int, _ random: inout SplitMix64) {
        guard let colon = bytes[place...].firstIndex(of: UInt8(ascii: ":")) else { return }
        var end = colon + 1
        var depth = 0
        var isInside = false
        while end < bytes.count {
            let byte = bytes[end]
            if isInside {
                if byte == UInt8(ascii: "\\") { end += 1 } else if byte == UInt8(ascii: "\"") { isInside = false }
            } else if byte == UInt8(ascii: "\"") {
                isInside = true
            } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                depth += 1
            } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
                if depth == 0 { break }
                depth -= 1
            } else if byte == UInt8(ascii: ","), depth == 0 {
                break
            }
            end += 1
        }
        bytes.replaceSubrange(colon + 1..<min(end, bytes.count), with: Self.words[Int.random(in: 0..<12, using: &random)])
    }

    private func pieces(_ bytes: [UInt8], _ random: inout SplitMix64) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var index = 0
        while index < bytes.count {
            let end = min(bytes.count, index + Int.random(in: 1...60, using: &random))
            result.append(Array(bytes[index..<end]))
            index = end
        }
        return result
    }

    // MARK: Streams

    private static let families: [AdaptorID] = [.openai, .openrouter, .anthropic, .gemini, .cohere, .bedrock]

    private func call(_ family: AdaptorID, _ dialect: Endpoint, _ body: String, upstream: String? = "up") throws -> UpstreamCall {
        var call = try Fixture.call(
            body, spec: Fixture.spec(family), endpoint: dialect, upstream: upstream,
            baseURL: family == .bedrock ? "https://bedrock-runtime.us-east-1.amazonaws.com" : nil)
        call.startedAt = 1_700_000_001
        call.answerID = "a"
        return call
    }

    private func stream(_ family: AdaptorID) throws -> [UInt8] {
        if family == .bedrock { return try Bedrock.messages().flatMap { $0 } }
        return Array(try Golden.input("stream.\(family == .openrouter ? "openai" : "\(family)").sse").utf8)
    }

    @Test(.timeLimit(.minutes(60)), arguments: families) func `streams`(_ family: AdaptorID) throws {
        let original = try stream(family)
        let messages = family == .bedrock ? try Golden.input("stream.bedrock.txt").split(separator: "\n").map(String.init) : []
        try fuzz("stream \(family)", rounds: 300) { round, random in
            let dialect = Matrix.dialects[round % Matrix.dialects.count]
            let upstream = round / 4 % 2 == 0 ? "up" : nil
            let call = try call(
                family, dialect, #"{"model":"pub","stream":true,"stream_options":{"include_usage":true}}"#, upstream: upstream)
            var bytes = damaged(original, &random)
            // Frames with right checksums, so that what they hold is read.
            if family == .bedrock, round % 5 > 0 {
                bytes = messages.flatMap { line -> [UInt8] in
                    let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
                    let json = Bool.random(using: &random) ? Array(parts[1].utf8) : damaged(Array(parts[1].utf8), &random)
                    return Bedrock.message(parts[0], String(decoding: json, as: UTF8.self))
                }
            }
            let whole = StreamOutcome([bytes], call: call)
            let cut = StreamOutcome(pieces(bytes, &random), call: call)
            let place: Comment = "seed \(Self.seed), round \(round), \(dialect)\n\(String(decoding: bytes, as: UTF8.self))"
            #expect(cut == whole, place)
            #expect(whole.progress.isDone == (whole.failure == nil), place)
            #expect(whole.failure == nil || whole.trailer.isEmpty, place)
            // Every event that is written has a frame around what came, so a small multiple bounds it.
            #expect(whole.out.utf8.count + whole.trailer.utf8.count < 65_536 + bytes.count * 64, place)
        }
    }

    /// A vendor that never ends its line: refused at the bound, whatever the family.
    @Test(arguments: families) func `an endless event`(_ family: AdaptorID) throws {
        let before = Self.residentBytes ?? 0
        let call = try call(family, .chat, #"{"model":"pub","stream":true}"#)
        var decoder = Fixture.provider(call.channel.provider).streamDecoder(for: call)
        var out = ByteBuffer()
        var taken = 0
        var failed = false
        if family == .bedrock {
            // A frame that says it has two gigabytes.
            var head = ByteBuffer()
            head.writeInteger(UInt32(2_000_000_000))
            head.writeInteger(UInt32(0))
            head.writeInteger(CRC32.of(head, 0..<8))
            failed = failure { () throws(UpstreamFailure) in try decoder.push(head, into: &out) } != nil
        }
        let piece = ByteBuffer(bytes: Array("data: {\"x\":\"".utf8) + [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20))
        let more = ByteBuffer(repeating: UInt8(ascii: "a"), count: 1 << 20)
        while !failed, taken < 64 {
            let next = taken == 0 ? piece : more
            failed = failure { () throws(UpstreamFailure) in try decoder.push(next, into: &out) } != nil
            taken += 1
        }
        #expect(failed && taken <= 18, "\(taken) MB taken")
        #expect(out.readableBytes == 0)
        #expect((Self.residentBytes ?? 0) - before < 192 << 20)
    }

    // MARK: Whole answers and failures

    @Test(.timeLimit(.minutes(60)), arguments: families) func `whole answers`(_ family: AdaptorID) throws {
        let original = Array(try Golden.input("answer.\(family == .openrouter ? "openai" : "\(family)").json").utf8)
        let provider = Fixture.provider(Fixture.spec(family))
        try fuzz("answer \(family)", rounds: 600) { round, random in
            let dialect = Matrix.dialects[round % Matrix.dialects.count]
            let call = try call(family, dialect, #"{"model":"pub"}"#, upstream: round / 4 % 2 == 0 ? "up" : nil)
            let bytes = damaged(original, &random)
            let place: Comment = "seed \(Self.seed), round \(round), \(dialect)\n\(String(decoding: bytes, as: UTF8.self))"
            let body = ByteBuffer(bytes: bytes)
            if let answer = try? provider.decode(body, for: call) {
                #expect((try? JSONScanner.validate(answer.body.readableBytesUInt8Span)) != nil, place)
                #expect(answer.body.readableBytes < 65_536 + bytes.count * 64, place)
            }
            let status = Int.random(in: 300..<600, using: &random)
            let failure = provider.classify(UpstreamHead(status: status, headers: [:]), body: body, now: 0)
            #expect(failure.status == status, place)
            if let shown = failure.clientError {
                #expect((try? JSONScanner.validate(ByteBuffer(string: shown.json.text).readableBytesUInt8Span)) != nil, place)
            }
            _ = provider.models(body)
        }
    }

    // MARK: Requests

    @Test(.timeLimit(.minutes(60)), arguments: Matrix.dialects) func `requests`(_ dialect: Endpoint) throws {
        let original = Array(try Golden.input("request.\(dialect.rawValue).json").utf8)
        var converted = 0
        try fuzz("request \(dialect.rawValue)", rounds: 900) { round, random in
            let family = Self.families[round % Self.families.count]
            let bytes = damaged(original, &random)
            let place: Comment = "seed \(Self.seed), round \(round), \(family)\n\(String(decoding: bytes, as: UTF8.self))"
            let body = ByteBuffer(bytes: bytes)
            let envelope =
                dialect == .gemini
                ? try? RequestEnvelope(gemini: body, model: "pub", isStream: round / 8 % 2 == 0)
                : try? RequestEnvelope(body: body, endpoint: dialect)
            guard let envelope else { return }
            #expect(envelope.prompt.tokens >= 0 && envelope.prompt.tokens <= envelope.prompt.upperBound, place)
            _ = try? envelope.preferences()
            _ = envelope.openingWords
            if let limited = try? envelope.limitingOutput(to: 7) { #expect(limited.maxOutputTokens == 7, place) }
            var call = try call(family, dialect, #"{"model":"pub"}"#)
            call.envelope = envelope
            do throws(UpstreamFailure) {
                let request = try Fixture.provider(call.channel.provider).request(for: call)
                converted += 1
                let body = request.body ?? ByteBuffer()
                #expect((try? JSONScanner.validate(body.readableBytesUInt8Span)) != nil, place)
                #expect(body.readableBytes < 65_536 + bytes.count * 16, place)
            } catch {
                // What cannot be said is told in words.
                #expect(error.kind == .invalidRequest && !error.detail.isEmpty, place)
            }
        }
        #expect(converted > 50)
    }

    // MARK: Forms, frames, sound

    @Test(.timeLimit(.minutes(60))) func `forms`() throws {
        let text =
            "--XyZ\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--XyZ\r\nContent-Disposition: form-data; name=\"file\"; "
            + "filename=\"a \\\"b\\\".mp3\"\r\nContent-Type: audio/mpeg\r\n\r\nRIFF\r\n--Xy\r\n--\r\n--XyZ\r\nContent-Disposition: form-data; "
            + "name=\"stream\"\r\n\r\ntrue\r\n--XyZ--\r\n"
        let provider = Fixture.provider(Fixture.spec(request: RequestRules(drop: ["stream"], defaults: [.init(name: "d", json: "1")])))
        try fuzz("form", rounds: 2_000) { round, random in
            let body = ByteBuffer(bytes: damaged(Array(text.utf8), &random))
            let place: Comment = "seed \(Self.seed), round \(round)\n\(String(buffer: body))"
            if let form = try? MultipartForm(body, boundary: "XyZ") {
                for part in form.parts {
                    #expect(part.value.upperBound <= body.readableBytes && part.whole.upperBound <= form.end, place)
                    #expect(part.whole.lowerBound <= part.value.lowerBound, place)
                }
            }
            guard
                let envelope = try? RequestEnvelope(form: body, contentType: "multipart/form-data; boundary=XyZ", endpoint: .transcriptions)
            else {
                return
            }
            var call = try call(.openai, .chat, #"{"model":"pub"}"#)
            call.envelope = envelope
            call.channel.provider = provider.spec
            guard let changed = try? provider.request(for: call).body else { return }
            #expect((try? MultipartForm(changed, boundary: "XyZ")) != nil, place)
        }
        _ = MultipartForm.boundary(contentType: "multipart/form-data; boundary=\"")
    }

    @Test(.timeLimit(.minutes(60))) func `frames`() throws {
        let original = try Bedrock.messages().flatMap { $0 }
        fuzz("frame", rounds: 3_000) { round, random in
            var buffer = ByteBuffer(bytes: damaged(original, &random))
            let length = buffer.readableBytes
            var handedOut = 0
            do throws(EventStreamMessage.Problem) {
                while let message = try EventStreamMessage.next(&buffer, maximum: 1 << 20) { handedOut += message.payload.readableBytes }
            } catch {
                // Nothing of a frame that cannot be true is handed out.
            }
            #expect(handedOut <= length, "seed \(Self.seed), round \(round)")
        }
    }

    @Test(.timeLimit(.minutes(60))) func `the parser of event streams`() throws {
        let originals = try ["openai", "anthropic", "gemini", "cohere"].map { Array(try Golden.input("stream.\($0).sse").utf8) }
        fuzz("sse", rounds: 1_500) { round, random in
            let bytes = damaged(originals[round % originals.count], &random)
            var parser = SSEParser()
            var handedOut: [UInt8] = []
            for piece in pieces(bytes, &random) {
                parser.append(ByteBuffer(bytes: piece))
                while let range = parser.next() {
                    handedOut += parser.buffer.readableBytesView.dropFirst(range.lowerBound).prefix(range.count)
                }
            }
            let place: Comment = "seed \(Self.seed), round \(round)"
            #expect(handedOut == Array(bytes.dropLast(parser.pendingBytes)), place)
            #expect(parser.examined <= bytes.count, place)
        }
    }

    private static let media: [(body: String, endpoint: Endpoint, events: String)] = [
        (
            #"{"model":"m","prompt":"p","stream":true,"partial_images":1}"#, .images,
            "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"QUJD\"}\n\ndata: {\"type\":\"image_generation.completed\","
                + "\"b64_json\":\"QUJD\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}\n\n"
        ),
        (
            #"{"model":"m","input":"hello","stream_format":"sse"}"#, .speech,
            "data: {\"type\":\"speech.audio.delta\",\"audio\":\"QUJD\"}\n\ndata: {\"type\":\"speech.audio.done\",\"usage\":"
                + "{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}\n\n"
        ),
    ]
    private static let mediaAnswers: [(body: String, endpoint: Endpoint, answer: String)] = [
        (
            #"{"model":"m","prompt":"p","n":2}"#, .images,
            #"{"created":1,"data":[{"b64_json":"AA"}],"usage":{"input_tokens":1,"output_tokens":2}}"#
        ),
        (
            #"{"model":"m","query":"q","documents":["d"]}"#, .rerank,
            #"{"results":[{"index":0}],"meta":{"billed_units":{"search_units":1}}}"#
        ),
        (#"{"model":"m","input":"x"}"#, .moderations, #"{"id":"m","model":"m","results":[{"flagged":false}]}"#),
        (#"{"model":"m","input":"x"}"#, .embeddings, #"{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#),
    ]

    @Test(.timeLimit(.minutes(60))) func `pictures, sound and ranks`() throws {
        var spec = Fixture.spec()
        spec.endpoints = Dictionary(uniqueKeysWithValues: Endpoint.allCases.map { ($0, String?.none) })
        let provider = Fixture.provider(spec)
        try fuzz("media", rounds: 1_000) { round, random in
            let sample = Self.media[round % Self.media.count]
            let call = try Fixture.call(sample.body, spec: spec, endpoint: sample.endpoint, upstream: "up")
            let bytes = damaged(Array(sample.events.utf8), &random)
            let place: Comment = "seed \(Self.seed), round \(round)\n\(String(decoding: bytes, as: UTF8.self))"
            let whole = StreamOutcome([bytes], call: call)
            #expect(StreamOutcome(pieces(bytes, &random), call: call) == whole, place)
            let other = Self.mediaAnswers[round % Self.mediaAnswers.count]
            let answerCall = try Fixture.call(other.body, spec: spec, endpoint: other.endpoint, upstream: "up")
            let answer = damaged(Array(other.answer.utf8), &random)
            if let read = try? provider.decode(ByteBuffer(bytes: answer), for: answerCall) {
                #expect((try? JSONScanner.validate(read.body.readableBytesUInt8Span)) != nil, "\(String(decoding: answer, as: UTF8.self))")
                let usage = read.progress.usage ?? Usage()
                #expect(usage.promptTokens >= 0 && usage.completionTokens >= 0)
            }
        }
    }
}
