import NIOCore
import RouterCore
import Testing

@Suite struct BatchTests {
    private static let chat = #"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[]}}"#

    private func message(_ line: String) -> String? {
        do throws(RequestEnvelope.Rejection) {
            _ = try BatchLine(ByteBuffer(string: line))
            return nil
        } catch {
            return error.message
        }
    }

    @Test func `a line is one request, whatever the order of its members`() throws {
        let line = try BatchLine(ByteBuffer(string: Self.chat))
        #expect(line.customID == "a" && line.url == "/v1/chat/completions" && line.envelope.endpoint == .chat && line.envelope.model == "m")
        #expect(String(buffer: line.envelope.body) == #"{"model":"m","messages":[]}"#)
        let other = #" {"body" : {"model":"e","input":"hi"}, "url":"/v1/embeddings","method":"POST","custom_id":"\u0061"} "#
        let embeddings = try BatchLine(ByteBuffer(string: other))
        #expect(embeddings.customID == "a" && embeddings.envelope.endpoint == .embeddings)
    }

    private static let refused: [(line: String, word: String)] = [
        ("", "empty"), ("[]", "object"), ("{", "valid JSON"), (#"{"method":"POST","url":"/v1/embeddings","body":{}}"#, "custom_id"),
        (chat.replacing("\"a\"", with: "\"\""), "custom_id"), (chat.replacing("\"a\"", with: "1"), "custom_id"),
        (chat.replacing("POST", with: "GET"), "method"), (chat.replacing("/v1/chat/completions", with: "/v1/files"), "/v1/embeddings"),
        (chat.replacing("\"url\"", with: "\"uri\""), "nothing else"),
        (chat.replacing("{\"model\":\"m\",\"messages\":[]}", with: "3"), "body"),
        (chat.dropLast() + #","custom_id":"b"}"#, "twice"), (chat.replacing("\"messages\":[]", with: "\"stream\":true"), "stream"),
        (chat.replacing("\"messages\":[]", with: "\"models\":[\"x\"]"), "models"),
        (chat.replacing("\"messages\":[]", with: "\"provider\":{}"), "provider"),
        (chat.replacing("\"messages\":[]", with: "\"service_tier\":\"priority\""), "service_tier"),
        (chat.replacing("\"messages\":[]", with: "\"web_search_options\":{}"), "web_search_options"),
        (chat.replacing("\"model\":\"m\",", with: ""), "model"),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"m","previous_response_id":"r"}}"#,
            "previous_response_id"
        ),
        (#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"m","background":true}}"#, "background"),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"m","tools":[{"type":"code_interpreter"}]}}"#,
            "code_interpreter"
        ),
    ].map { (String($0.0), $0.1) }

    @Test(arguments: refused.indices) func `what a batch cannot have is refused with its name`(_ index: Int) {
        let (line, word) = Self.refused[index]
        #expect(message(line)?.contains(word) == true, "\(line): \(message(line) ?? "accepted")")
    }

    @Test func `what changes nothing is taken`() {
        #expect(message(Self.chat.replacing("\"messages\":[]", with: "\"stream\":false,\"service_tier\":\"auto\"")) == nil)
        let response =
            #"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"m","input":"x","previous_response_id":null}}"#
        #expect(message(response) == nil)
    }

    // MARK: Lines that come in pieces

    @Test func `lines are the same wherever their bytes are cut`() {
        let text = "one\n\ntwo\r\nthree\n" + String(repeating: "x", count: 40) + "\nlast"
        for cut in 0...text.utf8.count {
            var splitter = LineSplitter(maximum: 30)
            var lines: [String] = []
            for piece in [text.utf8.prefix(cut), text.utf8.dropFirst(cut)] {
                splitter.push(ByteBuffer(bytes: Array(piece)))
                while let line = splitter.next() { lines.append(String(buffer: line)) }
            }
            if let line = splitter.last() { lines.append(String(buffer: line)) }
            #expect(lines == ["one", "", "two", "three", "last"], "cut at \(cut)")
            #expect(splitter.dropped == 1)
        }
    }

    @Test func `a line without an end takes no more memory than its bound`() {
        var splitter = LineSplitter(maximum: 10)
        for _ in 0..<1_000 {
            splitter.push(ByteBuffer(repeating: 0x78, count: 8))
            #expect(splitter.next() == nil)
        }
        splitter.push(ByteBuffer(string: "\nok"))
        #expect(splitter.next() == nil && splitter.dropped == 1)
        #expect(splitter.last().map { String(buffer: $0) } == "ok")
    }

    // MARK: Money

    private static let price = ModelPrice(
        rates: .init(input: FemtoUSD(femtos: 2_000_000_000), output: FemtoUSD(femtos: 8_000_000_000)),
        serviceTiers: [
            .init(
                name: "batch", rates: .init(input: FemtoUSD(femtos: 1_000_000_000), output: FemtoUSD(femtos: 4_000_000_000)),
                tiers: [
                    .init(
                        abovePromptTokens: 100,
                        rates: .init(input: FemtoUSD(femtos: 3_000_000_000), output: FemtoUSD(femtos: 9_000_000_000)))
                ]),
            .init(name: "priority", rates: .init(input: FemtoUSD(femtos: 9_000_000_000), output: FemtoUSD(femtos: 9_000_000_000))),
        ], request: FemtoUSD(femtos: 5_000_000))

    @Test func `a batch has prices of its own, or none`() throws {
        let batch = try #require(Self.price.ofBatch)
        #expect(batch.serviceTiers.isEmpty && batch.rates.input == FemtoUSD(femtos: 1_000_000_000) && batch.tiers.count == 1)
        #expect(ModelPrice(rates: Self.price.rates).ofBatch == nil)
        #expect(ModelPrice.upstreamCost.ofBatch == nil)
        #expect(ModelPrice.free.ofBatch == .free)
    }

    @Test func `each answer is priced by its own size, and the sum is rounded once`() throws {
        let quote = PriceQuote(price: try #require(Self.price.ofBatch), ratio: PriceRatio(millionths: 1_500_001), version: 7)
        var bill = BatchBill(quote)
        try bill.add(Usage(uncachedInput: 100, output: 10))
        try bill.add(Usage(uncachedInput: 101, output: 10, reasoning: 4))
        // 100 × 1 + 10 × 4 and 101 × 3 + 10 × 9 micro-dollars and 5 nano-dollars for each are 533,010 nano-dollars, times 1.500001.
        let total = try bill.total()
        #expect(total.charge == NanoUSD(nanos: 799_516) && total.uncharged == .zero && total.serviceTier == "batch")
        #expect(bill.usage.promptTokens == 201 && bill.usage.output == 20 && bill.usage.reasoning == 4 && bill.usage.requests == 2)
        #expect(bill.usage.serviceTier == "batch" && bill.estimated == 0)
        #expect(throws: MeteringError.negativeUsage) { try bill.add(Usage(uncachedInput: -1)) }
        #expect(try bill.total() == total, "what cannot be added changes nothing")
        var capped = quote
        capped.ceiling = NanoUSD(nanos: 500_000)
        var other = BatchBill(capped)
        try other.add(Usage(uncachedInput: 100_000))
        #expect(try other.total().charge == NanoUSD(nanos: 500_000) && other.total().uncharged.isPositive)
    }

    @Test func `no batch costs more than its worst case`() throws {
        let quote = PriceQuote(price: try #require(Self.price.ofBatch), ratio: .one, version: 7)
        var summary = BatchSummary()
        var bill = BatchBill(quote)
        for prompt in [10, 99, 100, 150, 3] as [Int64] {
            try summary.add(UsageBound(promptTokens: prompt, outputTokens: 20, choices: 2))
            try bill.add(Usage(uncachedInput: prompt, output: 40))
        }
        #expect(summary.lines == 5 && summary.promptTokens == 362 && summary.largestPrompt == 150 && summary.outputTokens == 200)
        let worst = try quote.worstCase(of: summary)
        #expect(worst >= (try bill.total().charge))
        // 362 × 3 + 200 × 9 micro-dollars and five requests.
        #expect(worst == NanoUSD(nanos: 2_886_025))
        #expect(BatchSummary(summary.json) == summary)
        #expect(BatchSummary(.object([])) == nil)
        #expect(throws: MeteringError.overflow) { try summary.add(UsageBound(promptTokens: .max, outputTokens: 1)) }
    }
}
