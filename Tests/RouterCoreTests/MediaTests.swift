import NIOCore
import RouterCore
import Testing

/// Forms, units of pictures and sound, their charges and holds.
@Suite struct MediaTests {
    private static let crlf = "\r\n"

    private func form(_ parts: [(String, String)], boundary: String = "XyZ", ending: String = "--\r\n") -> ByteBuffer {
        var text = ""
        for (head, value) in parts { text += "--\(boundary)\r\nContent-Disposition: form-data; \(head)\r\n\r\n\(value)\r\n" }
        return ByteBuffer(string: text + "--\(boundary)" + ending)
    }

    private let type = "multipart/form-data; boundary=XyZ"

    private func envelope(_ parts: [(String, String)], type: String? = nil) throws -> RequestEnvelope {
        try RequestEnvelope(form: form(parts), contentType: type ?? self.type, endpoint: .transcriptions)
    }

    @Test func `fields of a form are found where they lie`() throws {
        let body = form([
            ("name=\"model\"", "whisper"), ("name=\"file\"; filename=\"a \\\"b\\\".mp3\"\r\nContent-Type: audio/mpeg", "\r\n--Xy\r\n--"),
            ("name=x", ""),
        ])
        let form = try MultipartForm(body, boundary: "XyZ")
        #expect(form.parts.map(\.name) == ["model", "file", "x"])
        #expect(form.parts.map(\.fileName) == [nil, "a \"b\".mp3", nil])
        #expect(form.parts[1].contentType == "audio/mpeg")
        let values = form.parts.map { body.getString(at: $0.value.lowerBound, length: $0.value.count) }
        #expect(values == ["whisper", "\r\n--Xy\r\n--", ""])
        #expect(body.getString(at: form.end, length: 9) == "\r\n--XyZ--")
    }

    @Test(
        arguments: [
            ("multipart/form-data; boundary=abc", "abc"), ("Multipart/Form-Data ; charset=utf-8; BOUNDARY=\"a b\"", nil),
            ("multipart/form-data;boundary=\"a:b\"; x=y", "a:b"), ("multipart/form-data", nil), ("application/json", nil),
            ("multipart/mixed; boundary=abc", nil), ("multipart/form-data; boundary=", nil),
        ] as [(String, String?)])
    func `the boundary is read from the content type`(_ contentType: String, _ expected: String?) {
        #expect(MultipartForm.boundary(contentType: contentType) == expected)
    }

    @Test func `a form cut at any byte is refused and never read past its end`() throws {
        let whole = form([("name=\"model\"", "m"), ("name=\"file\"; filename=\"f\"", "data")], ending: "--")
        _ = try MultipartForm(whole, boundary: "XyZ")
        for length in 0..<whole.readableBytes {
            let cut = try #require(whole.getSlice(at: 0, length: length))
            #expect(throws: RequestEnvelope.Rejection.self, "\(length)") { try MultipartForm(cut, boundary: "XyZ") }
        }
    }

    @Test func `random bytes are no form and do no harm`() {
        var rng = SplitMix64(seed: 7)
        let pieces = ["--XyZ", "\r\n", "--", "Content-Disposition: form-data; name=\"a\"", "\r\n\r\n", "x", ";", "\"", "\\", ":"]
        for _ in 0..<5_000 {
            let text = "--XyZ\r\n" + (0..<Int(rng.below(12))).map { _ in pieces[Int(rng.below(UInt64(pieces.count)))] }.joined()
            guard let form = try? MultipartForm(ByteBuffer(string: text), boundary: "XyZ") else { continue }
            for part in form.parts { #expect(part.value.upperBound <= text.utf8.count && part.whole.upperBound <= form.end) }
        }
    }

    @Test(
        arguments: [
            ([("name=file; filename=a", "x")], "you must provide a model parameter", "model"),
            ([("name=model", "m")], "you must provide a file to transcribe", "file"),
            ([("name=model", "m"), ("name=model", "n"), ("name=file; filename=a", "x")], "field 'model' is given twice", "model"),
            ([("name=model; filename=m", "m"), ("name=file; filename=a", "x")], "'model' must be a plain field, not a file", "model"),
            ([("name=model", "m"), ("name=file", "x")], "'file' must be a file with a filename, not a plain field", "file"),
            ([("name=model", "m"), ("name=file; filename=a", "")], "the uploaded file is empty", "file"),
            ([("name=model", "m"), ("name=file; filename=a", "x"), ("name=stream", "maybe")], "'stream' must be true or false", "stream"),
            ([("name=model", "a b"), ("name=file; filename=a", "x")], "'model' must not contain spaces or control characters", "model"),
        ] as [([(String, String)], String, String)])
    func `a form that cannot be served is refused in words`(_ parts: [(String, String)], _ message: String, _ param: String) {
        #expect(throws: RequestEnvelope.Rejection(message, param: param)) { try envelope(parts) }
    }

    private func edit(_ parts: [(String, String)]) throws -> RequestEnvelope {
        try RequestEnvelope(form: form([("name=model", "m")] + parts), contentType: type, endpoint: .imageEdits)
    }

    @Test func `a form with pictures to edit is read`() throws {
        let request = try edit([
            ("name=\"image[]\"; filename=a", "x"), ("name=\"image[]\"; filename=b", "y"), ("name=mask; filename=c", "z"),
            ("name=prompt", "a hat!"), ("name=n", "3"), ("name=size", "1024x1536"), ("name=quality", "low"), ("name=partial_images", "2"),
            ("name=input_fidelity", "low"), ("name=stream", "true"),
        ])
        #expect(request.choices == 3 && request.isStream && request.media.size == "1024x1536" && request.media.quality == "low")
        #expect(request.media.partialImages == 2 && request.media.pictureTokens == 2 * MediaEstimate.pictureTokens)
        #expect(request.prompt.tokens == 2 * MediaEstimate.pictureTokens + 2)
        var price = ModelPrice(rates: .init(input: FemtoUSD(femtos: 5), output: FemtoUSD(femtos: 40)))
        price.pictures = PicturePrices(input: FemtoUSD(femtos: 10))
        let usage = request.estimatedUsage(AnswerProgress(), price: price, share: AnswerShare(images: 3))
        #expect(usage.imageInput == request.media.pictureTokens && usage.uncachedInput == 2 && usage.output == 3 * 408)
        #expect(usage.promptTokens == request.prompt.tokens)
        let plain = try edit([("name=image; filename=a", "x"), ("name=prompt", "p"), ("name=n", "")])
        #expect(plain.choices == 1 && plain.media.pictureTokens == MediaEstimate.pictureTokens + MediaEstimate.fidelityTokens)
    }

    @Test(
        arguments: [
            ([("name=prompt", "p")], "you must provide an image to edit", "image"),
            ([("name=image; filename=a", "x")], "you must provide a prompt", "prompt"),
            ([("name=image", "x"), ("name=prompt", "p")], "'image' must be a file with a filename, not a plain field", "image"),
            ([("name=image; filename=a", ""), ("name=prompt", "p")], "the uploaded file of 'image' is empty", "image"),
            (
                [("name=image; filename=a", "x"), ("name=mask", "m"), ("name=prompt", "p")],
                "'mask' must be a file with a filename, not a plain field", "mask"
            ),
            ([("name=image; filename=a", "x"), ("name=prompt", "p"), ("name=n", "0")], "'n' must be a whole number from 1 to 100", "n"),
            ([("name=image; filename=a", "x"), ("name=prompt", "p"), ("name=n", "2.5")], "'n' must be a whole number from 1 to 100", "n"),
            ([("name=image; filename=a", "x"), ("name=prompt", "p"), ("name=prompt", "q")], "field 'prompt' is given twice", "prompt"),
            (
                Array(repeating: ("name=\"image[]\"; filename=a", "x"), count: 17) + [("name=prompt", "p")],
                "at most 16 images can be edited at a time", "image"
            ),
        ] as [([(String, String)], String, String)])
    func `a form with pictures that cannot be served is refused in words`(_ parts: [(String, String)], _ message: String, _ param: String) {
        #expect(throws: RequestEnvelope.Rejection(message, param: param)) { try edit(parts) }
    }

    @Test(
        arguments: [
            (nil, nil, 4), ("1024x1024", nil, 4), ("1792x1024", nil, 8), (nil, "hd", 9), (nil, "standard", 5), ("1792x1024", "hd", 12),
            ("1024x1024", "hd", 9), ("1792x1024", "standard", 8), ("auto", nil, 12), (nil, "auto", 12), ("1x1", "hd", 12),
            ("1792x1024", "low", 12),
        ] as [(String?, String?, Int64)])
    func `an image costs what its size and quality do, and never less than an unknown one could`(
        _ size: String?, _ quality: String?, _ expected: Int64
    ) {
        let pictures = PicturePrices(sizes: [
            .init(size: "1024x1024", quality: nil, price: FemtoUSD(femtos: 4)),
            .init(size: "1792x1024", quality: nil, price: FemtoUSD(femtos: 8)),
            .init(size: nil, quality: "standard", price: FemtoUSD(femtos: 5)), .init(size: nil, quality: "hd", price: FemtoUSD(femtos: 9)),
            .init(size: "1792x1024", quality: "hd", price: FemtoUSD(femtos: 12)),
        ])
        let price = ModelPrice(rates: .init(input: .zero, output: .zero), image: FemtoUSD(femtos: 4), pictures: pictures)
        #expect(price.ofPicture(size: size, quality: quality).image.femtos == expected && price.isCharged)
    }

    private func words(_ error: any Error) -> String { (error as? RequestEnvelope.Rejection)?.message ?? "" }

    @Test(arguments: [#"name="x"; name="model""#, #"name=x; name*=utf-8''model"#, "name=x\r\nContent-Disposition: form-data; name=model"])
    func `a field has one name for everybody`(_ head: String) {
        #expect { try envelope([("name=model", "m"), ("name=file; filename=a", "x"), (head, "n")]) } throws: {
            words($0).contains("more than one")
        }
    }

    @Test func `a body that is no form is refused in words`() {
        #expect { try envelope([("name=model", "m")], type: "application/json") } throws: {
            words($0).contains("must be multipart/form-data, not 'application/json'")
        }
        #expect { try envelope([("name=model", "m")], type: "multipart/form-data") } throws: { words($0).contains("must name a boundary") }
        #expect { try envelope([("name=model", "m")], type: "multipart/form-data; boundary=other") } throws: {
            words($0).contains("does not begin with the boundary")
        }
    }

    @Test(arguments: [
        (#"{"model":"m"}"#, Endpoint.speech, "input"), (#"{"model":"m","input":["a"]}"#, .speech, "input"),
        (#"{"model":"m","query":"q"}"#, .rerank, "documents"), (#"{"model":"m","query":"q","documents":"d"}"#, .rerank, "documents"),
        (#"{"model":"m","documents":[]}"#, .rerank, "query"), (#"{"model":"m","prompt":"p","n":0}"#, .images, "n"),
        (#"{"input":"x"}"#, .moderations, "model"),
    ])
    func `JSON requests that cannot be priced are refused`(_ body: String, _ endpoint: Endpoint, _ param: String) {
        #expect { try RequestEnvelope(body: ByteBuffer(string: body), endpoint: endpoint) } throws: {
            ($0 as? RequestEnvelope.Rejection)?.param == param
        }
    }

    @Test func `the length of sound is read from a WAV file and guessed for others`() {
        var wave = ByteBuffer(string: "RIFF")
        wave.writeInteger(UInt32(36 + 96_000), endianness: .little)
        wave.writeString("WAVEfmt ")
        wave.writeInteger(UInt32(16), endianness: .little)
        wave.writeInteger(UInt16(1), endianness: .little)
        wave.writeInteger(UInt16(1), endianness: .little)
        wave.writeInteger(UInt32(24_000), endianness: .little)
        wave.writeInteger(UInt32(48_000), endianness: .little)
        wave.writeInteger(UInt16(2), endianness: .little)
        wave.writeInteger(UInt16(16), endianness: .little)
        // 96,000 bytes at 48,000 a second
        #expect(AudioLength(bytes: 96_000, head: wave).milliseconds == 2_000)
        #expect(AudioLength(bytes: 96_000, head: wave).upperBound == 2_000)
        // A rate that is not that of its parts: no decoder would believe it either.
        var forged = wave
        forged.setInteger(UInt32.max, at: 28, endianness: .little)
        #expect(AudioLength(bytes: 96_000, head: forged).milliseconds == 6_000)
        #expect(AudioLength(bytes: 96_000, head: forged).upperBound == 128_000)
        // 128 kbit/s, and 6 kbit/s at the thinnest
        #expect(AudioLength(bytes: 48_000, head: ByteBuffer(string: "ID3")).milliseconds == 3_000)
        #expect(AudioLength(bytes: 48_000, head: ByteBuffer(string: "ID3")).upperBound == 64_000)
        #expect(AudioLength(bytes: 48_000, head: ByteBuffer(string: "OggS")).milliseconds == 12_000)
    }

    @Test func `in strict admission a question counts by its bytes`() throws {
        let ranked = try RequestEnvelope(
            body: ByteBuffer(string: #"{"model":"m","query":"123456789????","documents":["a","b"]}"#), endpoint: .rerank)
        // 15 bytes of a question for each of two documents.
        #expect(ranked.bound(strict: try StrictBound(ranked), outputTokens: 0).promptTokens >= 30)
        #expect(ranked.media.queryTokens == 4)
    }

    // MARK: Charges

    private static func usd(_ text: String) -> FemtoUSD { (try? FemtoUSD.parse(usdPerUnit: text).price) ?? .zero }
    private static let none = ModelPrice.Rates(input: .zero, output: .zero)

    private func charge(_ usage: Usage, _ price: ModelPrice, ratio: String = "1") throws -> Int64 {
        try PriceQuote(price: price, ratio: PriceRatio(text: ratio), version: 1).charge(for: usage).nanos
    }

    @Test func `each unit is charged at its own price`() throws {
        // 4,096 characters at 15 USD per million = 0.06144 USD
        let voice = ModelPrice(rates: Self.none, character: Self.usd("0.000015"))
        #expect(try charge(Usage(characters: 4_096), voice) == 61_440_000)
        // 8.47 s at 0.006 USD a minute = 0.0001 a second: 0.000847 USD
        let listen = ModelPrice(rates: Self.none, audioSecond: Self.usd("0.0001"))
        #expect(try charge(Usage(audioMilliseconds: 8_470), listen) == 847_000)
        // 3 pictures at 0.04 USD, times 1.5
        let picture = ModelPrice(rates: Self.none, image: Self.usd("0.04"))
        #expect(try charge(Usage(images: 3), picture, ratio: "1.5") == 180_000_000)
        // 2 search units at 0.002 USD
        #expect(try charge(Usage(searches: 2), ModelPrice(rates: Self.none, search: Self.usd("0.002"))) == 4_000_000)
        // 13 tokens at 5 and 4,160 at 40 USD per million: 0.000065 + 0.1664
        let tokens = ModelPrice(rates: .init(input: Self.usd("0.000005"), output: Self.usd("0.00004")), image: Self.usd("0"))
        #expect(try charge(Usage(uncachedInput: 13, output: 4_160, images: 1), tokens) == 166_465_000)
    }

    @Test func `milliseconds are rounded once, at the end`() throws {
        // 1 ms at a nano-dollar a second is a thousandth of one: half a nano-dollar needs 500 of them.
        let price = ModelPrice(rates: Self.none, audioSecond: Self.usd("0.000000001"))
        #expect(try charge(Usage(audioMilliseconds: 499), price) == 0)
        #expect(try charge(Usage(audioMilliseconds: 500), price) == 1)
        // 1 femto-dollar a second: 1,500 ms are 1.5 femto-dollars, and with 499,998.5 more it is half a nano-dollar.
        let fine = ModelPrice(rates: Self.none, request: FemtoUSD(femtos: 499_998), audioSecond: FemtoUSD(femtos: 1))
        #expect(try charge(Usage(audioMilliseconds: 1_500), fine) == 0)
        #expect(try charge(Usage(audioMilliseconds: 2_000), fine) == 1)
    }

    @Test func `the hold of a unit covers its charge to the last part`() throws {
        for seed in 0..<2_000 as Range<UInt64> {
            var rng = SplitMix64(seed: seed)
            func price() -> FemtoUSD { FemtoUSD(femtos: Int64(rng.below(90_000_000_000))) }
            let model = ModelPrice(
                rates: Self.none, image: price(), request: price(), search: price(), character: price(), audioSecond: price())
            let quote = PriceQuote(price: model, ratio: try PriceRatio(text: ["1", "0.333333", "1.7"][Int(rng.below(3))]), version: 1)
            let bound = UsageBound(
                promptTokens: 0, outputTokens: 0, images: Int64(rng.below(9)), searches: Int64(rng.below(9)),
                characters: Int64(rng.below(5_000)),
                audioMilliseconds: Int64(rng.below(500_000)))
            let usage = Usage(
                images: bound.images, searches: bound.searches, characters: bound.characters,
                audioMilliseconds: Int64(rng.below(UInt64(bound.audioMilliseconds + 1))))
            #expect(try quote.charge(for: usage) <= (try quote.worstCase(bound, upstreamCostFallback: .zero)), "seed \(seed)")
        }
    }

    @Test func `holds ask for what the request names`() throws {
        func bound(_ body: String, _ endpoint: Endpoint) throws -> UsageBound {
            try RequestEnvelope(body: ByteBuffer(string: body), endpoint: endpoint).bound(strict: nil, outputTokens: 999)
        }
        let image = try bound(#"{"model":"m","prompt":"p","n":3,"size":"1024x1024","quality":"low","partial_images":2}"#, .images)
        #expect(image.images == 3 && image.choices == 3)
        // 272 for the picture and 100 for each preview
        #expect(image.outputTokens == 472)
        #expect(try bound(#"{"model":"m","prompt":"p"}"#, .images).outputTokens == 6_240)
        // 6 letters, 2 others: (6 × 4 + 2) / 3 + 2 × 5
        let speech = try bound(#"{"model":"m","input":"abcdef你好"}"#, .speech)
        #expect(speech.characters == 8 && speech.outputTokens == 18)
        #expect(try bound(#"{"model":"m","input":"x"}"#, .moderations).outputTokens == 0)
        let documents = Array(repeating: "\"d\"", count: 101).joined(separator: ",")
        #expect(try bound("{\"model\":\"m\",\"query\":\"q\",\"documents\":[\(documents)]}", .rerank).searches == 2)
        let sound = try envelope([("name=model", "m"), ("name=file; filename=a", String(repeating: "x", count: 16_000))])
        // a second at 128 kbit/s; of which nobody knows the true length
        #expect(sound.bound(strict: nil, outputTokens: 0).audioMilliseconds == 1_000)
        #expect(throws: RequestEnvelope.Rejection.self) { try StrictBound(sound) }
        #expect(sound.prompt.tokens == 10)
    }
}
