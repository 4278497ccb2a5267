import HTTPTypes
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// Pictures, sound, moderation and ranking: what goes upstream, what the client gets, what is charged.
@Suite struct MediaTests {
    private func perMillion(_ text: String) -> FemtoUSD { (try? FemtoUSD.parse(usdPerMillion: text).price) ?? .zero }
    private func each(_ text: String) -> FemtoUSD { (try? FemtoUSD.parse(usdPerUnit: text).price) ?? .zero }

    private var free: ModelPrice.Rates { .init(input: .zero, output: .zero) }
    private var byPicture: ModelPrice { ModelPrice(rates: free, image: each("0.04")) }
    private var byToken: ModelPrice {
        ModelPrice(
            rates: .init(input: perMillion("5"), output: perMillion("40"), audioInput: perMillion("6"), audioOutput: perMillion("12")))
    }
    private var byCharacter: ModelPrice { ModelPrice(rates: free, character: perMillion("15")) }
    private var bySecond: ModelPrice { ModelPrice(rates: free, audioSecond: each("0.0001")) }
    private var bySearch: ModelPrice { ModelPrice(rates: free, search: each("0.002")) }

    private func spec(_ request: RequestRules = RequestRules(), family: AdaptorID = .openai) -> ProviderSpec {
        var spec = Fixture.spec(family, request: request)
        for endpoint in [Endpoint.images, .speech, .transcriptions, .moderations, .rerank] { spec.endpoints[endpoint] = .some(nil) }
        return spec
    }

    private func answer(
        _ body: String, to request: String, _ endpoint: Endpoint, _ price: ModelPrice, upstream: String? = nil, family: AdaptorID = .openai
    ) throws -> WholeAnswer {
        let call = try Fixture.call(request, spec: spec(family: family), endpoint: endpoint, upstream: upstream, price: price)
        return try Fixture.provider(call.channel.provider).decode(ByteBuffer(string: body), for: call)
    }

    private func nanos(_ answer: WholeAnswer, _ price: ModelPrice) throws -> Int64 {
        let usage = try #require(answer.progress.usage)
        return try PriceQuote(price: price, ratio: .one, version: 1).charge(for: usage).nanos
    }

    private let picture = #"{"model":"m","prompt":"a cat","n":2}"#

    @Test func `pictures are charged by the picture that came`() throws {
        let body = #"{"created":1,"data":[{"b64_json":"QUJD"},{"url":"u"}]}"#
        let answer = try answer(body, to: picture, .images, byPicture)
        #expect(String(buffer: answer.body) == body)
        // 2 × 0.04 USD
        #expect(try nanos(answer, byPicture) == 80_000_000)
        #expect(!answer.progress.isUsageEstimated)
    }

    @Test func `token-priced pictures are charged by the vendor's tokens, else by the table of sizes`() throws {
        let body =
            #"{"data":[{"b64_json":"QUJD"}],"usage":{"input_tokens":13,"output_tokens":4160,"total_tokens":4173,"input_tokens_details":{"text_tokens":13,"image_tokens":0}}}"#
        let told = try answer(body, to: picture, .images, byToken)
        // 13 × 5 + 4,160 × 40 per million
        #expect(try nanos(told, byToken) == 166_465_000)
        #expect(String(buffer: told.body).contains(#""cost":0.166465"#))
        let silent = try answer(
            #"{"data":[{"b64_json":"QUJD"}]}"#, to: #"{"model":"m","prompt":"a cat","size":"1024x1024","quality":"low"}"#, .images, byToken)
        #expect(silent.progress.isUsageEstimated)
        #expect(silent.progress.usage?.output == 272)
    }

    @Test(arguments: [
        (#"{"created":1,"data":[]}"#, Endpoint.images), (#"{"created":1}"#, .images), ("<html>", .images),
        (#"{"error":{"message":"no","code":503}}"#, .images), (#"{"id":"x"}"#, .moderations), (#"{"meta":{}}"#, .rerank),
    ])
    func `an answer without its main part is a failure before content`(_ body: String, _ endpoint: Endpoint) throws {
        let request = #"{"model":"m","prompt":"p","query":"q","documents":["d"],"input":"i"}"#
        #expect(throws: UpstreamFailure.self) { try answer(body, to: request, endpoint, byPicture) }
    }

    @Test func `moderation is free where its price is, and rank units are the vendor's`() throws {
        let moderation = try answer(
            #"{"id":"m","model":"up","results":[{"flagged":false}]}"#, to: #"{"model":"m","input":"i"}"#, .moderations, .free,
            upstream: "up")
        #expect(moderation.progress.usage == Usage() && !moderation.progress.isUsageEstimated)
        #expect(String(buffer: moderation.body).contains(#""model":"m""#))
        let request = #"{"model":"m","query":"q","documents":["a","b"]}"#
        let told = try answer(#"{"results":[],"meta":{"billed_units":{"search_units":3}}}"#, to: request, .rerank, bySearch)
        // 3 × 0.002 USD
        #expect(try nanos(told, bySearch) == 6_000_000)
        let silent = try answer(#"{"results":[]}"#, to: request, .rerank, bySearch)
        #expect(try nanos(silent, bySearch) == 2_000_000)
        #expect(silent.progress.isUsageEstimated)
        let tokens = try answer(#"{"model":"m","results":[],"usage":{"total_tokens":100}}"#, to: request, .rerank, byToken)
        // 100 × 5 per million
        #expect(try nanos(tokens, byToken) == 500_000)
    }

    @Test func `Cohere's own rerank goes to its own path`() throws {
        let call = try Fixture.call(
            #"{"model":"m","query":"q","documents":["a"]}"#, spec: spec(family: .cohere), endpoint: .rerank, upstream: "rerank-v3.5",
            price: bySearch)
        let provider = Fixture.provider(call.channel.provider)
        let request = try provider.request(for: call)
        #expect(request.url.hasSuffix("/v2/rerank"))
        #expect(request.body.map { String(buffer: $0) } == #"{"model":"rerank-v3.5","query":"q","documents":["a"]}"#)
    }

    // MARK: Transcriptions

    private func sound(
        _ fields: [(String, String)] = [], bytes: Int = 16_000, rules: RequestRules = RequestRules(), upstream: String? = nil,
        price: ModelPrice
    ) throws -> UpstreamCall {
        var text = ""
        for (name, value) in fields + [("model", "m")] {
            text += "--B\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n"
        }
        text += "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n"
        text += String(repeating: "x", count: bytes) + "\r\n--B--\r\n"
        let envelope = try RequestEnvelope(
            form: ByteBuffer(string: text), contentType: "multipart/form-data; boundary=B", endpoint: .transcriptions)
        let spec = spec(rules)
        let channel = Channel(id: 1, name: "c", provider: spec, keys: [], models: [Channel.Model(pattern: "*")], headers: [])
        return UpstreamCall(
            envelope: envelope, channel: SharedChannel(channel), key: Secret("key-123"), model: "m", upstreamModel: upstream ?? "m",
            quote: PriceQuote(price: price, ratio: .one, version: 1))
    }

    private func sent(_ call: UpstreamCall) throws -> (body: ByteBuffer, form: MultipartForm, type: String) {
        let request = try Fixture.provider(call.channel.provider).request(for: call)
        let body = try #require(request.body)
        let type = try #require(request.headers[.contentType])
        let boundary = try #require(MultipartForm.boundary(contentType: type))
        return (body, try MultipartForm(body, boundary: boundary), type)
    }

    @Test func `a form goes upstream as it came, in the client's own bytes`() throws {
        let call = try sound([("language", "de"), ("x_unknown", "1")], price: bySecond)
        let sent = try sent(call)
        #expect(sent.body == call.envelope.body)
        #expect(sent.type == "multipart/form-data; boundary=B")
    }

    @Test func `a form is changed where the channel and the provider file say so, and nowhere else`() throws {
        let rules = RequestRules(
            rename: [.init(from: "language", to: "lang")], drop: ["prompt"], defaults: [.init(name: "temperature", json: "0.5")],
            set: [.init(name: "response_format", json: "\"verbose_json\"")])
        let call = try sound(
            [("provider", "{}"), ("prompt", "words"), ("language", "de"), ("response_format", "json")], rules: rules,
            upstream: "theirs/model", price: bySecond)
        let sent = try sent(call)
        let fields = sent.form.parts.filter { $0.fileName == nil }.map { part in
            part.name + "=" + (sent.body.getString(at: sent.body.readerIndex + part.value.lowerBound, length: part.value.count) ?? "")
        }
        #expect(fields == ["lang=de", "response_format=verbose_json", "model=theirs/model", "temperature=0.5"])
        let file = try #require(sent.form.all("file").first)
        #expect(file.value.count == 16_000 && file.contentType == "audio/mpeg")
        // A file is never rewritten, so it keeps its name.
        let renamed = try self.sent(try sound(rules: RequestRules(rename: [.init(from: "file", to: "audio")]), price: bySecond))
        #expect(renamed.form.all("file").count == 1 && renamed.form.all("audio").isEmpty)
    }

    private func transcript(_ body: String, _ call: UpstreamCall) throws -> (usage: Usage, isEstimated: Bool, nanos: Int64, text: String) {
        let answer = try Fixture.provider(call.channel.provider).decode(ByteBuffer(string: body), for: call)
        let usage = try #require(answer.progress.usage)
        return (usage, answer.progress.isUsageEstimated, try call.quote.charge(for: usage).nanos, String(buffer: answer.body))
    }

    @Test func `a transcription is charged by the vendor's seconds, exactly`() throws {
        let call = try sound(price: bySecond)
        // 9 s × 0.0001
        #expect(try transcript(#"{"text":"hi","usage":{"type":"duration","seconds":9}}"#, call).nanos == 900_000)
        // Mistral's, beside tokens that cost nothing.
        let tokens = #"{"text":"hi","usage":{"prompt_audio_seconds":203,"prompt_tokens":4,"total_tokens":3264,"completion_tokens":635}}"#
        #expect(try transcript(tokens, call).nanos == 20_300_000)
        // 8.470000267… s is 8,470 ms
        let verbose = try transcript(#"{"task":"transcribe","duration":8.470000267028809,"text":"hi"}"#, call)
        #expect(verbose.usage.audioMilliseconds == 8_470 && verbose.nanos == 847_000 && !verbose.isEstimated)
        #expect(try transcript(#"{"text":"hi","duration":"2.0005"}"#, call).usage.audioMilliseconds == 2_001)
    }

    @Test func `without a word on the length the size of the upload decides, marked as an estimate`() throws {
        for (format, body) in [
            ("json", #"{"text":"hi"}"#), ("text", "hi there\n"), ("vtt", "WEBVTT\n"), ("json", #"{"text":"hi","duration":-3}"#),
        ] {
            let result = try transcript(body, try sound([("response_format", format)], price: bySecond))
            // 16,000 bytes are a second
            #expect(result.isEstimated && result.usage.audioMilliseconds == 1_000 && result.nanos == 100_000, "\(format)")
        }
        #expect(throws: UpstreamFailure.self) { try transcript("no json", try sound(price: bySecond)) }
    }

    @Test func `token-priced transcriptions are charged by tokens, sound apart`() throws {
        let body =
            #"{"text":"hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":10,"audio_tokens":4},"output_tokens":101,"total_tokens":115}}"#
        let result = try transcript(body, try sound(price: byToken))
        // 10 × 5 + 4 × 6 + 101 × 40 per million
        #expect(result.nanos == 4_114_000)
        #expect(result.text.contains(#""cost":0.004114"#))
    }

    private func stream(_ text: String, _ call: UpstreamCall) throws -> StreamOutcome {
        let whole = StreamOutcome(text, call: call)
        for cut in 0..<text.utf8.count { #expect(StreamOutcome(Array(text.utf8), cuts: [cut], call: call) == whole, "cut at \(cut)") }
        return whole
    }

    @Test func `a streamed transcription is held back at its end and carries our charge`() throws {
        let call = try sound([("stream", "true")], price: byToken)
        let events =
            "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":2,\"total_tokens\":16}}\n\n"
        let result = try stream(events, call)
        #expect(result.failure == nil && result.progress.isDone && !result.progress.isUsageEstimated)
        #expect(result.out == "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\n")
        // 14 × 5 + 2 × 40 per million
        #expect(result.trailer.contains("\"cost\":0.00015}"))
        let cut = StreamOutcome(String(events.prefix(60)), call: call)
        #expect(cut.failure == .truncated && cut.progress.isUsageEstimated)
    }

    @Test func `the picture that is edited is charged at its own price, as far as the vendor tells it apart`() throws {
        var price = byToken
        price.pictures = PicturePrices(input: perMillion("10"))
        let boundary = "XyZ"
        func part(_ head: String, _ value: String) -> String {
            "--\(boundary)\r\nContent-Disposition: form-data; \(head)\r\n\r\n\(value)\r\n"
        }
        let form = part("name=model", "m") + part("name=image; filename=a.png", "x") + part("name=prompt", "a hat") + "--\(boundary)--\r\n"
        let envelope = try RequestEnvelope(
            form: ByteBuffer(string: form), contentType: "multipart/form-data; boundary=\(boundary)", endpoint: .imageEdits)
        var call = try Fixture.call(picture, spec: spec(), endpoint: .images, price: price)
        call.envelope = envelope
        func usage(_ usage: String) throws -> (usage: Usage, nanos: Int64) {
            let answer = try Fixture.provider(call.channel.provider)
                .decode(ByteBuffer(string: #"{"data":[{"b64_json":"QUJD"}]\#(usage)}"#), for: call)
            return (try #require(answer.progress.usage), try nanos(answer, price))
        }
        // 13 × 5 + 323 × 10 + 272 × 40 per million
        let told = try usage(
            #","usage":{"input_tokens":336,"output_tokens":272,"input_tokens_details":{"text_tokens":13,"image_tokens":323}}"#)
        #expect(told.nanos == 14_175_000 && told.usage.imageInput == 323 && told.usage.promptTokens == 336)
        // More than there is cannot be true.
        #expect(try usage(#","usage":{"input_tokens":3,"output_tokens":0,"input_tokens_details":{"image_tokens":9}}"#).nanos == 30_000)
        #expect(try usage(#","usage":{"input_tokens":3,"output_tokens":0}"#).nanos == 15_000)
        // Our own count: 2 tokens of words, those of a picture at high fidelity, and one image of unknown size.
        let own = try usage("")
        #expect(own.nanos == 2 * 5_000 + (323 + 6_240) * 10_000 + 6_240 * 40_000)
    }

    @Test func `a streamed picture counts its previews until it is complete`() throws {
        let call = try Fixture.call(
            #"{"model":"m","prompt":"p","stream":true,"partial_images":1}"#, spec: spec(), endpoint: .images, price: byPicture)
        let preview = "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"QUJD\"}\n\n"
        let done =
            "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"QUJD\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}\n\n"
        let whole = try stream(preview + done, call)
        #expect(whole.progress.usage?.images == 1 && whole.out == preview)
        let cut = StreamOutcome(preview, call: call)
        #expect(cut.failure == .truncated && cut.progress.usage?.images == 0)
        let broken = StreamOutcome(preview + "data: {\"type\":\"error\",\"error\":{\"message\":\"x\"}}\n\n", call: call)
        #expect(broken.failure == .midStream)
    }

    // MARK: Speech

    private func spoken(_ chunks: [Int], length: Int64?, _ price: ModelPrice, ends: Bool = true) throws -> (usage: Usage, isEstimated: Bool)
    {
        let text = String(repeating: "a", count: 100)
        let call = try Fixture.call("{\"model\":\"m\",\"input\":\"\(text)\"}", spec: spec(), endpoint: .speech, price: price)
        var headers = HTTPFields()
        if let length { headers[.contentLength] = String(length) }
        var decoder = Fixture.provider(call.channel.provider).streamDecoder(for: call, head: UpstreamHead(status: 200, headers: headers))
        for chunk in chunks {
            var out = ByteBuffer()
            try decoder.push(ByteBuffer(repeating: 1, count: chunk), into: &out)
            #expect(out.readableBytes == chunk)
        }
        var out = ByteBuffer()
        if ends { try decoder.finish(into: &out) }
        #expect(out.readableBytes == 0)
        return (try #require(decoder.progress.usage), decoder.progress.isUsageEstimated)
    }

    @Test func `speech is charged by the character, and by what came when it breaks`() throws {
        let whole = try spoken([10, 20], length: nil, byCharacter)
        #expect(whole.usage.characters == 100 && !whole.isEstimated)
        // half of the announced bytes: half of the text
        let half = try spoken([500], length: 1_000, byCharacter, ends: false)
        #expect(half.usage.characters == 50 && half.isEstimated)
        // 2,000 bytes at 16,000 a second and 15 characters a second: 1.875, rounded up
        let cut = try spoken([1_000, 1_000], length: nil, byCharacter, ends: false)
        #expect(cut.usage.characters == 2 && cut.isEstimated)
        // never more than the text
        #expect(try spoken([10_000_000], length: nil, byCharacter, ends: false).usage.characters == 100)
        #expect(throws: UpstreamFailure.self) { try spoken([], length: nil, byCharacter) }
    }

    @Test func `token-priced speech without usage is our own count`() throws {
        let whole = try spoken([10], length: nil, byToken)
        // 100 letters: (100 × 4 + 2) / 3 tokens of sound
        #expect(whole.usage.audioOutput == 134 && whole.isEstimated)
        // Slowly said, or numbers: 240,000 bytes of MP3 are ten seconds at the least, twenty tokens each.
        #expect(try spoken([240_000], length: nil, byToken).usage.audioOutput == 200)
        #expect(try spoken([240_000], length: nil, byCharacter).usage.audioOutput == 0)
    }

    @Test func `speech as events is charged by the vendor's tokens`() throws {
        let call = try Fixture.call(
            #"{"model":"m","input":"hello","stream_format":"sse"}"#, spec: spec(), endpoint: .speech, price: byToken)
        #expect(call.envelope.isStream)
        let events =
            "data: {\"type\":\"speech.audio.delta\",\"audio\":\"QUJD\"}\n\ndata: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}\n\n"
        let result = try stream(events, call)
        let usage = try #require(result.progress.usage)
        // 14 × 5 + 101 × 12 per million
        #expect(try call.quote.charge(for: usage).nanos == 1_282_000)
    }
}
