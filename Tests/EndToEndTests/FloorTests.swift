import Foundation
import HTTPTypes
import NIOCore
import PostgresTesting
import RouterCore
import Testing

/// `metering.overdraft_floor` with the real binary: where a key stops, and when it goes on.
@Suite(.serialized) struct FloorTests {
    /// One request of `sim/dear` holds about 0.0016 and costs what the controls say, at 3 and 15 dollars per million tokens.
    private func ask(_ world: World, _ key: String, _ model: String = "sim/dear", _ controls: String = "ok") async throws -> Client.Answer {
        let body = JSONValue.object([
            .init("model", .string(model)), .init("messages", [["role": "user", "content": "hello"]]), .init("max_tokens", .integer(100)),
            .init("sim_control", .string(controls)),
        ])
        return try await world.client.call(.post, "/v1/chat/completions", key: key, body: body.text)
    }

    private func balance(_ world: World, _ token: String) async throws -> NanoUSD {
        let data = try await world.client.call(.get, "/api/balance", key: token).json["data"]
        return try NanoUSD(usd: data?["balance"]?.numberText ?? "")
    }

    @Test("audit 5: a bill above its hold is booked in full and stops the key until its balance covers it", .timeLimit(.minutes(10)))
    func stopsAfterAnOverdraft() async throws {
        try await World.with(sections: "metering: { balance_wait: 0s }") { world in
            let user = try await world.admin.makeUser("overdrawn", usd: "0.002")
            #expect(try await ask(world, user.key, "sim/dear", "prompt_tokens=10,completion_tokens=1000").status == 200)
            #expect(try await balance(world, user.token) == NanoUSD(usd: "-0.01303"))
            // Nothing goes on, not even what costs nothing.
            let refused = try await ask(world, user.key)
            #expect(refused.status == 402 && refused.text.contains("insufficient_balance"), "\(refused.text)")
            #expect(try await ask(world, user.key, "sim/free").status == 402)
            // Back to zero: free models may be used, others still not.
            try await world.admin.addBalance(user.id, usd: "0.01303")
            #expect(try await ask(world, user.key, "sim/free").status == 200)
            #expect(try await ask(world, user.key).status == 402)
            try await world.admin.addBalance(user.id, usd: "0.01")
            #expect(try await ask(world, user.key).status == 200)
        }
    }

    @Test("audit 5: a negative floor is credit, and strict admission ends at it", .timeLimit(.minutes(10)), arguments: [false, true])
    func credit(_ isShared: Bool) async throws {
        let environment = isShared ? ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()] : [:]
        let sections = "metering: { admission: strict, strict_fields: [sim_control], overdraft_floor: \"-0.01\", balance_wait: 0s }"
        try await World.with(sections: sections, environment: environment) { world in
            let user = try await world.admin.makeUser("debtor", usd: nil)
            var last = try await ask(world, user.key, "sim/dear", "prompt_tokens=20,completion_tokens=100")
            #expect(last.status == 200, "\(last.text)")
            for _ in 0..<100 where last.status == 200 {
                last = try await ask(world, user.key, "sim/dear", "prompt_tokens=20,completion_tokens=100")
            }
            #expect(last.status == 402, "\(last.text)")
            let left = try await balance(world, user.token)
            let floor = try NanoUSD(usd: "-0.01")
            #expect(left >= floor && left < NanoUSD(nanos: floor.nanos + 1_000_000), "\(left)")
            // Above the floor, so what costs nothing goes on.
            #expect(try await ask(world, user.key, "sim/free").status == 200)
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        }
    }

    @Test("audit 5: a positive floor keeps a reserve", .timeLimit(.minutes(10)))
    func reserve() async throws {
        try await World.with(sections: "metering: { overdraft_floor: 0.01, balance_wait: 0s }") { world in
            let user = try await world.admin.makeUser("saver", usd: "0.012")
            #expect(try await ask(world, user.key, "sim/dear", "prompt_tokens=10,completion_tokens=100").status == 200)
            let refused = try await ask(world, user.key)
            #expect(refused.status == 402, "\(refused.text)")
            #expect(try await balance(world, user.token) == NanoUSD(usd: "0.01047"))
            // The reserve can be given free without a restart.
            try world.write("config/gateway.yaml", World.gatewayYAML("metering: { overdraft_floor: 0, balance_wait: 0s }"))
            _ = try await world.admin.post("/api/config/reload", .object([]))
            // The ledger is not asked again at once for who had no money a moment ago.
            try await eventually("the reserve can be spent") { try await ask(world, user.key).status == 200 }
        }
    }

    @Test("audit 5: several gateways share the credit down to the floor", .timeLimit(.minutes(10)))
    func sharedCredit() async throws {
        let url = try PostgresServer.shared.get().makeDatabase()
        let sections = "metering: { admission: strict, strict_fields: [sim_control], overdraft_floor: \"-0.05\", balance_wait: 2s }"
        try await World.with(sections: sections, environment: ["SQL_DSN": url]) { one in
            let two = try await one.another()
            do {
                let user = try await one.admin.makeUser("debtor", usd: "0.01")
                try await eventually("both know the key") {
                    try await two.client.call(.get, "/v1/models", key: user.key).status == 200
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for world in [one, two, one, two] {
                        group.addTask {
                            var answer = try await ask(world, user.key, "sim/dear", "prompt_tokens=20,completion_tokens=100")
                            while answer.status == 200 {
                                answer = try await ask(world, user.key, "sim/dear", "prompt_tokens=20,completion_tokens=100")
                            }
                            #expect(answer.status == 402, "\(answer.text)")
                        }
                    }
                    try await group.waitForAll()
                }
                for world in [one, two] {
                    try await eventually("everything is posted") {
                        try await world.client.call(.get, "/metrics").text.contains("apirouter_unposted_records 0\n")
                    }
                }
                let left = try await balance(one, user.token)
                #expect(left >= NanoUSD(nanos: -50_000_000) && left < NanoUSD(nanos: -49_000_000), "\(left)")
            } catch {
                try? await two.stopGateway()
                throw error
            }
            try await two.stopGateway()
        }
    }
}
