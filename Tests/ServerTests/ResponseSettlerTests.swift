import HTTPTypes
import NIOCore
import RouterCore
import Storage
import Testing

@testable import Metering
@testable import Server
@testable import Vendors

/// The ends of background responses that vendors make, whose price nobody knows any more.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ResponseSettlerTests {
    @Test(arguments: [
        (#""status":"failed","usage":null"#, nil), (#""status":"failed""#, nil),
        (#""status":"failed","usage":{"input_tokens":5,"output_tokens":1,"total_tokens":6}"#, Int64(1_000)),
        (#""status":"completed","output":[],"usage":{"input_tokens":5,"output_tokens":1,"total_tokens":6}"#, Int64(1_000)),
    ])
    func `a failure without figures is free, and everything else costs what was held`(_ members: String, _ charge: Int64?) async throws {
        try await TestGateway.with { gateway, client in
            _ = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":1,"amount":1}"#)
            let (parts, settler) = (gateway.gateway.parts, gateway.gateway.responseSettler)
            // The file's channel of a vendor without a price for every model, and a version of the price table that was lost.
            let id = RequestID(bits: 7)
            try await parts.meter.holdLong(
                LongHold(
                    requestID: id, kind: .response, userID: 1, tokenID: nil, channelID: 1010, keyMark: "", provider: "openai",
                    model: "openai/x", upstreamModel: "x", endpoint: .responses, amount: NanoUSD(nanos: 1_000), ratio: .one,
                    pricingVersion: 999_999_999, clientIP: "", nextAt: 1, deadline: 2, createdAt: 1))
            #expect(try await parts.meter.bindLong(id, objectID: "resp_1", nextAt: 1))
            let hold = try #require(try await parts.store.longHold(id))
            let body = #"{"id":"resp_1","object":"response","model":"x",\#(members)}"#
            #expect(try await settler.seen(ByteBuffer(string: body), hold))
            let balance = try #require(try await parts.store.user(id: 1)?.balance)
            #expect(balance.nanos == 1_000_000_000 - (charge ?? 0))
            try await parts.poster.drainOnce()
            var query = LogQuery()
            query.requestID = id
            let row = try #require(try await parts.store.logs(query).items.first)
            #expect(row.record.charge?.nanos == charge)
        }
    }
}
