import RouterCore
import Testing

@testable import Server

/// Sums, budgets and records in OpenRouter's form, without a gateway around them.
@Suite struct RouterFiguresTests {
    private let scope = BudgetScope.key(7)

    private func spent(_ sums: [(Int64, Int64)]) -> [BudgetCounter: NanoUSD] {
        Dictionary(uniqueKeysWithValues: sums.map { (BudgetCounter(scope: scope, window: $0.0), NanoUSD(nanos: $0.1)) })
    }

    /// Sunday, 29 November 2026, 12:00 UTC; its week began on Monday, the 23rd.
    private let sunday: Int64 = 1_795_953_600

    @Test func `a week begins on Monday, in UTC`() {
        let sums = spent([
            (0, 1_000), (202_611, 500), (20_261_122, 64), (20_261_123, 1), (20_261_125, 2), (20_261_129, 4), (20_261_130, 128),
        ])
        let windows = SpendingWindows(scope, at: sunday, sums)
        #expect(windows.total.nanos == 1_000 && windows.month.nanos == 500 && windows.day.nanos == 4 && windows.week.nanos == 7)
        let monday = SpendingWindows(scope, at: sunday + 12 * 3_600, sums)
        #expect(monday.day.nanos == 128 && monday.week.nanos == 128)
        #expect(SpendingWindows.counters(scope, at: sunday).count == 9 && SpendingWindows.counters(scope, at: sunday + 43_200).count == 3)
        // Every counter that the sums are read from is asked for.
        let asked = Set(SpendingWindows.counters(scope, at: sunday).map(\.window))
        #expect(asked.isSuperset(of: [0, 202_611, 20_261_123, 20_261_129]) && !asked.contains(20_261_122))
    }

    /// A week over the end of a year.
    @Test func `a week reaches into the month before`() {
        // Friday, 1 January 2027.
        let friday: Int64 = 1_798_761_600
        let windows = SpendingWindows(scope, at: friday, spent([(20_261_227, 1), (20_261_228, 2), (20_261_231, 4), (20_270_101, 8)]))
        #expect(windows.week.nanos == 14 && windows.day.nanos == 8)
    }

    @Test func `the tightest budget is told, with what is left of it`() throws {
        let limits = [
            BudgetLimit(scope: scope, window: .total, amount: NanoUSD(nanos: 10_000_000_000)),
            BudgetLimit(scope: scope, window: .day, amount: NanoUSD(nanos: 2_000_000_000)),
        ]
        let sums = spent([(0, 3_000_000_001), (20_261_129, 1_999_999_999)])
        let standings = limits.map { BudgetStanding($0, at: sunday, sums) }
        #expect(
            JSONValue.object(BudgetStanding.members(ofKey: standings)).text
                == #"{"limit":2,"limit_remaining":0.000000001,"limit_reset":"daily"}"#)
        #expect(
            JSONValue.object(BudgetStanding.members(ofKey: [])).text == #"{"limit":null,"limit_remaining":null,"limit_reset":null}"#)
        let over = BudgetStanding(limits[1], at: sunday, spent([(20_261_129, 2_000_000_001)]))
        #expect(over.remaining.usdText == "-0.000000001")
        let json = standings[1].json(at: sunday)
        #expect(json["scope"] == "key_limit" && json["reset_interval"] == "daily" && json["resets_at"] == "2026-11-30T00:00:00Z")
        #expect(standings[0].json(at: sunday)["resets_at"] == .null && standings[0].json(at: sunday)["spend_usd"]?.text == "3.000000001")
    }

    @Test(
        arguments: [
            ("2026-11-29T12:00:00Z", 1_795_953_600), ("2026-11-29T12:00:00.250Z", 1_795_953_600),
            ("2026-11-29T13:00:00+01:00", 1_795_953_600),
            ("2026-11-29T12:00:00+00:00", 1_795_953_600), ("2026-11-29T12:00:00.000000+00:00", 1_795_953_600), ("soon", nil), ("", nil),
            ("2026-13-29T12:00:00Z", nil), ("1795953600", nil),
        ] as [(String, Int64?)])
    func `times are read as clients write them`(_ text: String, _ seconds: Int64?) {
        #expect(ISOTime.seconds(text) == seconds)
    }

    // MARK: Records

    private func record(_ outcome: RequestRecord.Outcome = .completed, isStream: Bool = true) -> RequestRecord {
        RequestRecord(
            requestID: RequestID(bits: 5), userID: 1, tokenID: 2, channelID: 3, provider: "p", model: "a/m", upstreamModel: "m",
            endpoint: .chat,
            usage: Usage(uncachedInput: 10, cacheRead: 4, output: 7, reasoning: 2, upstreamCost: FemtoUSD(femtos: 5_000_000)),
            usageSource: .upstream, charge: NanoUSD(nanos: 1_234_567_891), pricingVersion: 1, outcome: outcome, status: 200,
            isStream: isStream, attempts: 1, generationID: "gen-1", finish: .length, latencyMilliseconds: 900, firstTokenMilliseconds: 250,
            clientIP: "", createdAt: 1_795_953_600)
    }

    @Test func `a record tells what was used, to the last digit`() {
        let json = GenerationAnswer(id: "x", record: record(), channels: []).json
        #expect(json["total_cost"]?.text == "1.234567891" && json["usage"]?.text == "1.234567891")
        #expect(json["tokens_prompt"]?.text == "14" && json["tokens_completion"]?.text == "7" && json["native_tokens_cached"]?.text == "4")
        #expect(json["native_tokens_reasoning"]?.text == "2" && json["upstream_inference_cost"]?.text == "0.000000005")
        #expect(json["latency"]?.text == "900" && json["generation_time"]?.text == "650" && json["finish_reason"] == "length")
        #expect(json["upstream_id"] == "gen-1" && json["request_id"] == "00000000-0000-0000-0000-000000000005" && json["id"] == "x")
        #expect(json["created_at"] == "2026-11-29T12:00:00Z" && json["cancelled"] == false && json["provider_name"] == "p")
        #expect(json["provider_responses"]?.text == #"[{"status":200,"latency":250,"model_permaslug":"m","is_byok":false}]"#)
        let whole = GenerationAnswer(id: "x", record: record(isStream: false), channels: []).json
        #expect(whole["generation_time"]?.text == "250" && whole["streamed"] == false)
    }

    @Test func `an answer that broke ended in an error, and one whose client left was cancelled`() {
        #expect(GenerationAnswer(id: "x", record: record(.truncated), channels: []).json["finish_reason"] == "error")
        let gone = GenerationAnswer(id: "x", record: record(.clientGone), channels: []).json
        #expect(gone["cancelled"] == true && gone["finish_reason"] == "length")
    }

    @Test func `a converted answer is found by the vendor's id behind its prefix`() {
        #expect(GenerationAnswer.names(of: "gen-1") == ["gen-1"])
        #expect(GenerationAnswer.names(of: "msg_gen-1") == ["msg_gen-1", "gen-1"])
        #expect(GenerationAnswer.names(of: "resp_x") == ["resp_x", "x"] && GenerationAnswer.names(of: "msg_") == ["msg_"])
    }
}
