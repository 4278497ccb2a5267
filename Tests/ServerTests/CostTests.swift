import Config
import Foundation
import RouterCore
import Storage
import Testing

@testable import GatewayState
@testable import Metering
@testable import Server

/// The list price that is a channel's cost, what a crash leaves of a cost, and the questions for margins.
@Suite struct CostTests {
    private func usd(_ perMillion: String) throws -> FemtoUSD { try FemtoUSD.parse(usdPerMillion: perMillion).price }

    private func price(_ input: String) throws -> ModelPrice { ModelPrice(rates: .init(input: try usd(input), output: try usd(input))) }

    /// Two channels of one vendor, whose file prices `m` at 1 and `other` at 5 dollars.
    private func snapshot(_ rows: [PricingRow]) throws -> GatewaySnapshot {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("costs-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("providers"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String, _ text: String) throws {
            try text.write(to: folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        try write("gateway.yaml", "providers_dir: providers\ngroups: { default: { ratio: 1 }, half: { ratio: \"0.5\" } }\n")
        try write(
            "channels.yaml",
            """
            channels:
              - { id: 1, name: one, provider: v, models: ["*"] }
              - { id: 2, name: two, provider: v, models: ["*"], cost: { ratio: "0.5" } }
            """)
        try write(
            "providers/v.yaml",
            """
            name: v
            adaptor: openai
            base_url: http://127.0.0.1:1/v1
            auth: { type: none }
            models: [{ id: m, price: { input: 1, output: 1 } }, { id: other, price: { input: 5, output: 5 } }]
            """)
        let configuration = try ConfigLoader(environment: [:]).load(path: folder.appendingPathComponent("gateway.yaml").path)
        return GatewaySnapshot(configuration, builtinBaseURL: nil, catalogue: Catalogue(), prices: PriceTable(rows))
    }

    private func row(_ model: String, _ input: String, provider: String = "v", isEdited: Bool = false) throws -> PricingRow {
        PricingRow(modelName: model, provider: provider, price: try price(input), isEdited: isEdited, version: 1)
    }

    @Test func `the vendor's newest list is the cost, an admin's price and another vendor's are not`() throws {
        func cost(_ rows: [PricingRow], _ channel: Int = 0, _ model: String = "m") throws -> CostPrice? {
            let snapshot = try snapshot(rows)
            return snapshot.cost(snapshot.configuration.routes.channels[channel], upstream: model)
        }
        #expect(try cost([]) == CostPrice(try price("1")))
        #expect(try cost([try row("m", "2")]) == CostPrice(try price("2")), "a sync has read a newer list")
        #expect(try cost([try row("m", "2")], 1) == CostPrice(try price("2"), ratio: try PriceRatio(text: "0.5")))
        #expect(try cost([try row("m", "9", isEdited: true)]) == CostPrice(try price("1")))
        #expect(try cost([try row("m", "9", provider: "w")]) == CostPrice(try price("1")))
        #expect(try cost([], 0, "unlisted") == nil)
    }

    @Test func `the guard compares what a group pays with what a channel costs`() throws {
        let snapshot = try snapshot([try row("m", "1"), try row("other", "4", isEdited: true)])
        let channels = snapshot.configuration.routes.channels
        func unit(_ channel: Int, _ model: String, _ group: String) -> String? {
            snapshot.unitBelowCost(channels[channel], model: model, upstream: model, group: group, promptTokens: 1)
        }
        #expect(unit(0, "m", "default") == nil && unit(0, "m", "half") == "input")
        #expect(unit(1, "m", "half") == nil, "half of the price for half of the cost")
        #expect(unit(0, "other", "default") == "input" && unit(1, "other", "default") == nil)
        #expect(unit(0, "unlisted", "default") == nil, "no price, no cost")
    }

    @Test func `a request that a crash has ended has the cost of its last progress`() {
        let id = RequestID(bits: 7)
        let hold = HoldRecord(
            requestID: id, userID: 1, tokenID: nil, amount: NanoUSD(nanos: 50), model: "m", endpoint: .chat, isStream: true,
            promptTokens: 3, promptCharge: NanoUSD(nanos: 3), pricingVersion: 0, clientIP: "", createdAt: 100)
        var progress = ProgressRecord(
            requestID: id, channelID: 1, provider: "p", model: "m", upstreamModel: "m", generationID: nil, promptTokens: 3,
            completionTokens: 1, charge: NanoUSD(nanos: 4), pricingVersion: 0, cost: NanoUSD(nanos: 6))
        #expect(Recovery.record(hold, progress).vendorCost == VendorCost(NanoUSD(nanos: 6), .computed))
        #expect(Recovery.record(hold, progress).margin?.nanos == -2)
        progress.cost = nil
        #expect(Recovery.record(hold, progress).vendorCost == nil && Recovery.record(hold, nil).vendorCost == nil)
    }

    @Test func `a question for margins has bounds`() throws {
        let day: Int64 = 86_400
        #expect(throws: TimeBuckets.Problem.order) { try MarginQuery(by: .model, from: 2, to: 1) }
        #expect(throws: TimeBuckets.Problem.tooMany) { try MarginQuery(by: .day, from: 0, to: 3_000 * day) }
        #expect(throws: Never.self) {
            _ = try MarginQuery(by: .day, from: 0, to: MarginQuery.mostDays * day)
            _ = try MarginQuery(by: .channel, from: 0, to: 3_000 * day)
        }
    }
}
