import RouterCore
import Testing

@Suite struct MoneyTests {
    @Test(arguments: [
        ("0.28", "per million", 280_000_000), ("0.00000025", "per unit", 250_000_000), ("1e-06", "per unit", 1_000_000_000),
        ("2.5E-7", "per unit", 250_000_000), ("0.01703012", "per million", 17_030_120), ("0", "per unit", 0),
        ("+1.5", "per million", 1_500_000_000),
    ]) func `prices are read exactly`(text: String, unit: String, femtos: Int64) throws {
        let parsed = unit == "per unit" ? try FemtoUSD.parse(usdPerUnit: text) : try FemtoUSD.parse(usdPerMillion: text)
        #expect(parsed.price.femtos == femtos && parsed.isExact)
    }

    @Test func `finer prices are rounded half up and say so`() throws {
        let parsed = try FemtoUSD.parse(usdPerUnit: "0.0000000208333333333333")
        #expect(parsed.price.femtos == 20_833_333 && !parsed.isExact)
        #expect(try FemtoUSD.parse(usdPerUnit: "0.0000000000000005").price.femtos == 1)
        #expect(try FemtoUSD.parse(usdPerUnit: "0.00000000000000049").price.femtos == 0)
    }

    @Test(arguments: ["", "abc", "1.2.3", "1e", "--1", "0x10", "1 ", "NaN", "-"]) func `what is no number is refused`(text: String) {
        #expect(throws: MoneyError.self) { try FemtoUSD.parse(usdPerUnit: text) }
        #expect(throws: MoneyError.self) { try NanoUSD(usd: text) }
    }

    @Test func `limits hold`() {
        #expect(throws: MoneyError.negative("-1")) { try FemtoUSD.parse(usdPerUnit: "-1") }
        #expect(throws: MoneyError.overflow) { try FemtoUSD.parse(usdPerUnit: "9224") }
        #expect(throws: MoneyError.overflow) { try NanoUSD(usd: "9300000000") }
        #expect(throws: MoneyError.overflow) { try NanoUSD.max.adding(NanoUSD(nanos: 1)) }
        #expect(throws: MoneyError.self) { try NanoUSD(usd: "0.0000000001") }
        #expect(throws: MoneyError.overflow) { try DecimalTextProbe.parse(String(repeating: "9", count: 50)) }
    }

    private enum DecimalTextProbe {
        static func parse(_ text: String) throws(MoneyError) { _ = try NanoUSD(usd: text) }
    }

    @Test(arguments: [
        (Int64(0), "0"), (1, "0.000000001"), (-12_500_000_000, "-12.5"), (10_000_000_000, "10"), (.max, "9223372036.854775807"),
        (.min, "-9223372036.854775808"), (1_230, "0.00000123"),
    ]) func `amounts print exactly and read back`(nanos: Int64, text: String) throws {
        #expect(NanoUSD(nanos: nanos).usdText == text)
        #expect(try NanoUSD(usd: text).nanos == nanos)
    }

    @Test func `random amounts survive the round trip`() throws {
        var rng = SplitMix64(seed: 20_261_124)
        for _ in 0..<2_000 {
            let nanos = Int64(bitPattern: rng.next())
            #expect(try NanoUSD(usd: NanoUSD(nanos: nanos).usdText).nanos == nanos, "seed 20261124")
            let price = FemtoUSD(femtos: Int64(rng.next() >> 1))
            #expect(try FemtoUSD.parse(usdPerMillion: price.usdPerMillionText).price == price)
            #expect(try FemtoUSD.parse(usdPerUnit: price.usdText).price == price)
        }
    }

    @Test func `cents are rounded down`() {
        #expect(NanoUSD(nanos: 9_999_985_000).wholeCents == 999)
        #expect(NanoUSD(nanos: -1).wholeCents == -1)
        #expect(NanoUSD(nanos: -10_000_000).wholeCents == -1)
        #expect(NanoUSD(nanos: -10_000_001).wholeCents == -2)
    }

    // MARK: Charges

    private static func usd(_ text: String) -> FemtoUSD { (try? FemtoUSD.parse(usdPerMillion: text).price) ?? .zero }
    private static let plain = ModelPrice(rates: .init(input: usd("3"), output: usd("15"), cacheRead: usd("0.3")))
    private static let rich = ModelPrice(
        rates: .init(
            input: usd("2"), output: usd("8"), cacheRead: usd("0.5"), cacheWrite5m: usd("2.5"), cacheWrite1h: usd("4"),
            reasoning: usd("10"), audioInput: usd("40"), audioOutput: usd("80")),
        tiers: [.init(abovePromptTokens: 1_000, rates: .init(input: usd("4"), output: usd("16")))],
        image: FemtoUSD(femtos: 3_613_000_000_000), request: FemtoUSD(femtos: 5_000_000_000_000),
        search: FemtoUSD(femtos: 10_000_000_000_000))

    /// Each expectation in nano-dollars, worked out in the comment.
    @Test(arguments: [
        // 100 × 3000 n + 10 × 15000 n
        (plain, Usage(uncachedInput: 100, output: 10), "1", 450_000),
        // 10 × 3000 + 90 × 300 + 0
        (plain, Usage(uncachedInput: 10, cacheRead: 90), "1", 57_000),
        // cache writes without a price cost like input: 7 × 3000
        (plain, Usage(cacheWrite5m: 4, cacheWrite1h: 3), "1", 21_000),
        // reasoning without a price costs like output: 5 × 15000
        (plain, Usage(output: 5, reasoning: 4), "1", 75_000),
        // 450000 × 0.85
        (plain, Usage(uncachedInput: 100, output: 10), "0.85", 382_500),
        (plain, Usage(uncachedInput: 100, output: 10), "0", 0),
        (plain, Usage(), "1", 0),
        // 1 × 2000 + 2 × 500 + 3 × 2500 + 4 × 4000 + (9−5) × 8000 + 5 × 10000 + 5000000 for the request
        (rich, Usage(uncachedInput: 1, cacheRead: 2, cacheWrite5m: 3, cacheWrite1h: 4, output: 9, reasoning: 5), "1", 5_108_500),
        // 2 × 40000 + 3 × 80000 + 5000000
        (rich, Usage(audioInput: 2, audioOutput: 3), "1", 5_320_000),
        // 2 images, 3 searches, no request: 2 × 3613000 + 3 × 10000000
        (rich, Usage(images: 2, searches: 3, requests: 0), "1", 37_226_000),
        // the tier reprices the whole request: 1001 × 4000 + 10 × 16000 + 5000000
        (rich, Usage(uncachedInput: 1_001, output: 10), "1", 9_164_000),
        // exactly at the bound the tier does not apply: 1000 × 2000 + 5000000
        (rich, Usage(uncachedInput: 1_000), "1", 7_000_000),
        // cached tokens count for the tier: 1 × 4000 + 1000 × 4000 (no cache price in the tier) + 5000000
        (rich, Usage(uncachedInput: 1, cacheRead: 1_000), "1", 9_004_000),
    ]) func `charges`(price: ModelPrice, usage: Usage, ratio: String, nanos: Int64) throws {
        let quote = PriceQuote(price: price, ratio: try PriceRatio(text: ratio), version: 1)
        #expect(try quote.charge(for: usage) == NanoUSD(nanos: nanos))
    }

    @Test(arguments: [(499_999, 0), (500_000, 1), (1_499_999, 1), (1_500_000, 2)])
    func `half a nano-dollar is rounded up, once`(femtos: Int64, nanos: Int64) throws {
        let price = ModelPrice(rates: .init(input: FemtoUSD(femtos: femtos), output: .zero))
        #expect(try PriceQuote(price: price, ratio: .one, version: 1).charge(for: Usage(uncachedInput: 1)).nanos == nanos)
    }

    @Test func `the sum is rounded, not its parts`() throws {
        // Three parts of 0.4 nano are 1.2, not 0.
        let price = ModelPrice(
            rates: .init(input: FemtoUSD(femtos: 400_000), output: FemtoUSD(femtos: 400_000), cacheRead: FemtoUSD(femtos: 400_000)))
        let usage = Usage(uncachedInput: 1, cacheRead: 1, output: 1)
        #expect(try PriceQuote(price: price, ratio: .one, version: 1).charge(for: usage).nanos == 1)
    }

    @Test func `models charged by the vendor's cost`() throws {
        let quote = PriceQuote(price: .upstreamCost, ratio: try PriceRatio(text: "1.1"), version: 1)
        let cost = try FemtoUSD.parse(usdPerUnit: "0.00123").price
        #expect(try quote.charge(for: Usage(upstreamCost: cost)).usdText == "0.001353")
        #expect(throws: MeteringError.upstreamCostMissing) { try quote.charge(for: Usage(uncachedInput: 5)) }
    }

    @Test("audit 6: where hosts may be dearer than the list, the charge is not below the vendor's cost")
    func reportedCost() throws {
        let rates = ModelPrice.Rates(input: FemtoUSD(femtos: 1_000_000_000), output: .zero)
        var quote = PriceQuote(price: ModelPrice(rates: rates), ratio: PriceRatio(millionths: 1_500_000), version: 1)
        func charge(_ cost: Int64) throws -> Int64 {
            try quote.charge(for: Usage(uncachedInput: 10, output: 0, upstreamCost: FemtoUSD(femtos: cost))).nanos
        }
        #expect(try charge(100_000_000_000) == 15_000)
        quote.coversReportedCost = true
        #expect(try charge(100_000_000_000) == 150_000)
        #expect(try charge(1_000_000_000) == 15_000)
        quote.ceiling = NanoUSD(nanos: 20_000)
        let bill = try quote.bill(for: Usage(uncachedInput: 10, output: 0, upstreamCost: FemtoUSD(femtos: 100_000_000_000)))
        #expect(bill.charge.nanos == 20_000 && bill.uncharged.nanos == 130_000)
        // A free model stays free.
        quote.price = .free
        #expect(try charge(100_000_000_000) == 0)
    }

    @Test func `impossible figures throw`() {
        let quote = PriceQuote(price: Self.plain, ratio: .one, version: 1)
        #expect(throws: MeteringError.negativeUsage) { try quote.charge(for: Usage(uncachedInput: -1)) }
        #expect(throws: MeteringError.negativeUsage) { try quote.charge(for: Usage(output: 1, reasoning: 2)) }
        #expect(throws: MeteringError.overflow) { try quote.charge(for: Usage(uncachedInput: .max)) }
    }

    @Test func `the worst case is never below a charge within its bound`() throws {
        var rng = SplitMix64(seed: 7)
        let quote = PriceQuote(price: Self.rich, ratio: try PriceRatio(text: "0.85"), version: 1)
        for _ in 0..<2_000 {
            let bound = UsageBound(
                promptTokens: Int64(rng.below(3_000)), outputTokens: Int64(rng.below(500)), choices: Int64(rng.below(3) + 1))
            let cached = Int64(rng.below(UInt64(bound.promptTokens + 1)))
            let output = Int64(rng.below(UInt64(bound.outputTokens * bound.choices + 1)))
            let usage = Usage(
                uncachedInput: bound.promptTokens - cached, cacheRead: cached, output: output,
                reasoning: Int64(rng.below(UInt64(output + 1))))
            let most = try quote.worstCase(bound, upstreamCostFallback: .zero)
            #expect(try quote.charge(for: usage) <= most, "seed 7: \(usage)")
        }
    }
}
