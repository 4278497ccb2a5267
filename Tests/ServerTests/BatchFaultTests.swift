import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import Platform
import RouterCore
import Storage
import Testing

@testable import Metering
@testable import Server
@testable import Vendors

/// The settling of batches while any single call to the database fails, and what a stranger gets at each route.
@Suite(.serialized, .timeLimit(.minutes(10))) struct BatchFaultTests {
    @Test(arguments: [false, true])
    func `whatever call fails, a batch is settled once, and its files are the user's`(_ afterwards: Bool) async throws {
        try await TestGateway.with { gateway, client in
            let parts = gateway.gateway.parts
            _ = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":1,"amount":10,"reference_id":"r"}"#)
            let file = try await TestGateway.file(client)
            var call = 1
            var isOver = false
            while !isOver {
                let batch = try await TestGateway.batch(client, file: file).batch
                let hold = try #require(try await parts.store.longHold(.batch, objectID: batch, channelID: 1))
                let faults = Faults(call: call, failsAfterwards: afterwards)
                func settler(_ store: any Store) -> BatchSettler {
                    BatchSettler(
                        snapshots: parts.snapshots, store: store, meter: parts.meter, client: parts.vendors, clock: .system,
                        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
                }
                // As a process that dies at this call, and two that find the batch later.
                await settler(FaultyStore(store: parts.store, faults: faults)).attend(hold)
                for _ in 0..<2 {
                    let found = try #require(try await parts.store.longHold(hold.requestID))
                    if found.state == .open { await settler(parts.store).attend(found) }
                }
                let label = "call \(call) fails \(afterwards ? "after" : "before") its work"
                // 6 tokens in and 3 out, three times, at half a dollar and one dollar per million.
                let row = try await parts.store.entry(kind: .usage, referenceID: hold.requestID.description)
                #expect(row?.amount == NanoUSD(nanos: -3 * (6 * 500 + 3 * 1_000)), "\(label): \(String(describing: row))")
                let seen = try await client.call(.get, "/v1/batches/\(batch)", token: TestGateway.rootKey).json
                let output = try #require(seen["output_file_id"]?.stringValue, "\(label): \(seen.text)")
                let object = try await parts.store.vendorObject(.file, id: output, userID: 1)
                #expect(object?.purpose == "batch_output" && object?.requestID == hold.requestID, "\(label)")
                isOver = !faults.hasFailed
                call += 1
            }
            #expect(call > 4, "settling makes \(call) calls")
            try await parts.poster.drainOnce()
            #expect(try await parts.store.verify().differences == [])
        }
    }

    @Test func `a hold past its deadline is settled by what is known`() async throws {
        try await TestGateway.with { gateway, client in
            let parts = gateway.gateway.parts
            _ = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":1,"amount":10,"reference_id":"r"}"#)
            let batch = try await TestGateway.batch(client).batch
            let hold = try #require(try await parts.store.longHold(.batch, objectID: batch, channelID: 1))
            var lost = hold
            // The channel's key is another one now.
            lost.keyMark = "another"
            // Each hold has a deadline of its own: the second batch may be made in a later second than the first.
            func late(_ hold: LongHold) -> ServerClock {
                ServerClock(wall: { (hold.deadline, 0) }, monotonic: { ServerClock.system.monotonic })
            }
            func settler(_ clock: ServerClock) -> BatchSettler {
                BatchSettler(
                    snapshots: parts.snapshots, store: parts.store, meter: parts.meter, client: parts.vendors, clock: clock,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            }
            await settler(.system).attend(lost)
            #expect(try await parts.store.longHold(hold.requestID)?.state == .open, "until the deadline it is asked again")
            await settler(late(hold)).attend(lost)
            let row = try #require(try await parts.store.entry(kind: .usage, referenceID: hold.requestID.description))
            #expect(row.amount == (try hold.amount.negated()), "what the vendor bills can be as much as was held")
            let open = try await parts.store.reconciliations(nil, open: true, PageRequest(page: 1, size: 10)).items
            #expect(open.map(\.requestID) == [hold.requestID], "it is marked as estimated")

            let second = try await TestGateway.batch(client).batch
            var unbound = try #require(try await parts.store.longHold(.batch, objectID: second, channelID: 1))
            unbound.objectID = nil
            unbound.keyMark = "another"
            await settler(late(unbound)).attend(unbound)
            #expect(
                try await parts.store.entry(kind: .usage, referenceID: unbound.requestID.description) == nil, "never made, never charged")
            #expect(try await parts.store.longHold(unbound.requestID)?.state == .ended)
            #expect(try await parts.store.verify().differences == [])
        }
    }

    @Test func `a stranger gets the same 404 at every route`() async throws {
        try await TestGateway.with { _, client in
            _ = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":1,"amount":10,"reference_id":"r"}"#)
            _ = try await client.call(
                .post, "/api/user", token: TestGateway.adminToken, body: #"{"username":"eve","password":"the-password-of-eve"}"#)
            let login = try await client.call(.post, "/api/user/login", body: #"{"username":"eve","password":"the-password-of-eve"}"#)
            let token = try #require(login.json["data"]?["access_token"]?.stringValue)
            let made = try await client.call(.post, "/api/token", token: token, body: #"{"name":"k"}"#)
            let eve = try #require(made.json["data"]?["key"]?.stringValue)
            let (file, batch) = try await TestGateway.batch(client)
            for prefix in ["/v1", "/api/v1"] {
                for route in GatewayRoutes.all
                where route.path.hasPrefix("\(prefix)/files/{id}") || route.path.hasPrefix("\(prefix)/batches/{id}") {
                    let own = route.path.contains("/files/") ? file : batch
                    var texts: Set<String> = []
                    for id in [own, "never-was"] {
                        let path = route.path.replacingOccurrences(of: "{id}", with: id)
                        let answer = try await client.call(route.method, path, token: eve)
                        #expect(answer.status == 404, "\(route.method) \(path)")
                        texts.insert((answer.json["error"]?["message"]?.stringValue ?? "").replacingOccurrences(of: id, with: "X"))
                    }
                    #expect(texts.count == 1 && texts.first?.contains("'X'") == true, "\(route.path): \(texts)")
                }
                let create = try await client.call(
                    .post, "\(prefix)/batches", token: eve,
                    body: #"{"input_file_id":"\#(file)","endpoint":"/v1/chat/completions","completion_window":"24h"}"#)
                #expect(create.status == 404)
                for path in ["files", "batches"] {
                    let list = try await client.call(.get, "\(prefix)/\(path)", token: eve)
                    #expect(list.json["data"] == .array([]), "\(list.json.text)")
                }
            }
            #expect(try await client.call(.get, "/v1/files/\(file)", token: TestGateway.rootKey).status == 200)
        }
    }
}
