import Foundation
import HTTPTypes
import PostgresTesting
import RouterCore
import Simulator
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One gateway, one identity: copies of data folders, kills, stops and loops of restarts, with real gateways on a real
/// PostgreSQL.
@Suite(.serialized) struct IdentityTests {
    private static let strict = "metering: { admission: strict, strict_fields: [sim_control], balance_wait: 1s }"

    private func with(_ sections: String, _ body: (World, _ url: String) async throws -> Void) async throws {
        let url = try PostgresServer.shared.get().makeDatabase()
        try await World.with(sections: sections, environment: ["SQL_DSN": url]) { world in try await body(world, url) }
    }

    /// A second gateway on a copy of the first one's data folder, taken as it is now.
    private func copied(_ world: World) async throws -> World {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("apirouter-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for name in ["config", "providers", "data"] {
            try FileManager.default.copyItem(
                at: world.gateway.directory.appendingPathComponent(name), to: directory.appendingPathComponent(name))
        }
        let gateway = GatewayProcess(directory: directory)
        try await gateway.start(environment: world.environment)
        let client = try Client(base: gateway.base)
        return World(
            simulator: world.simulator, gateway: gateway, client: client, admin: Admin(client: client),
            environment: world.environment)
    }

    private func ask(
        _ world: World, _ key: String, _ controls: String = "prompt_tokens=20,completion_tokens=4000",
        maxTokens: Int = 4_000, n: Int = 1
    ) async throws -> Client.Answer {
        let body = JSONValue.object([
            .init("model", "sim/dear"), .init("messages", [["role": "user", "content": "hello"]]),
            .init("n", .integer(n)),
            .init("max_tokens", .integer(maxTokens)), .init("sim_control", .string(controls)),
        ])
        return try await world.client.call(.post, "/v1/chat/completions", key: key, body: body.text)
    }

    private func balance(_ world: World, _ token: String) async throws -> NanoUSD {
        try NanoUSD(
            usd: try await world.client.call(.get, "/api/balance", key: token).json["data"]?["balance"]?.numberText
                ?? "")
    }

    private func settled(_ worlds: [World]) async throws {
        for world in worlds {
            try await eventually("everything is posted") {
                let metrics = try await world.client.call(.get, "/metrics").text
                return metrics.contains("apirouter_unposted_records 0\n")
                    && metrics.contains("apirouter_open_holds 0\n")
            }
        }
    }

    /// Every gateway spends as long as anything but 402 comes, several clients at each.
    private func spendAll(_ worlds: [World], _ key: String) async throws -> Int {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for client in 0..<6 {
                let world = worlds[client % worlds.count]
                group.addTask {
                    for served in 0..<200 {
                        let answer = try await self.ask(world, key)
                        if answer.status == 402 { return served }
                        #expect(answer.status == 200, "\(answer.text)")
                        if answer.status != 200 { return served }
                    }
                    return 200
                }
            }
            return try await group.reduce(0, +)
        }
    }

    @Test("audit 4: two copies of one data folder cannot overdraw a balance in strict mode", .timeLimit(.minutes(10)))
    func copies() async throws {
        try await with("metering: { admission: strict, strict_fields: [sim_control], balance_wait: 5s }") { world, _ in
            let user = try await world.admin.makeUser("copied", usd: "5")
            #expect(try await ask(world, user.key).status == 200)
            try await settled([world])
            // Cleanly stopped, copied, and both started.
            try await world.gateway.stop()
            var first = world
            let second = try await copied(world)
            do {
                first = try await world.restarted()
                let served = try await spendAll([first, second], user.key)
                try await settled([first, second])
                let left = try await balance(first, user.token)
                #expect(
                    !left.isNegative && left < NanoUSD(nanos: 70_000_000),
                    "\(left) left after \(served) answers of $0.06")
                let books = try await first.verifyLedger()
                #expect(books.status == 0, "\(books.output)")
                #expect((first.gateway.log + second.gateway.log).contains("an identity of its own"))
            } catch {
                try? await second.stopGateway()
                try? await first.stopGateway()
                throw error
            }
            try await second.stopGateway()
            try await first.stopGateway()
        }
    }

    @Test(
        "audit 4: a copy of a running gateway is fenced: not ready, no calls, and says why; later it goes on",
        .timeLimit(.minutes(10)))
    func fenced() async throws {
        try await with("") { world, _ in
            let user = try await world.admin.makeUser("runner", usd: "5")
            let long = Task { try await ask(world, user.key, "first_byte=60s") }
            try await eventually("the hold stands") {
                try await world.client.call(.get, "/metrics").text.contains("apirouter_open_holds 1\n")
            }
            let copy = try await copied(world)
            do {
                let ready = try await copy.client.call(.get, "/health/ready")
                #expect(
                    ready.status == 503 && ready.text.contains("fenced: another gateway runs with this one's identity"),
                    "\(ready.text)")
                #expect(try await copy.client.call(.get, "/health/live").status == 200)
                let refused = try await ask(copy, user.key)
                #expect(refused.status == 503 && refused.text.contains("takes no calls"), "\(refused.text)")
                #expect(try await copy.client.call(.get, "/metrics").text.contains("apirouter_fenced 1\n"))
                #expect(copy.gateway.log.contains("fenced: another gateway runs with"))
                #expect(try await world.client.call(.get, "/health/ready").status == 200)
                // The original dies in the middle of its request; the copy settles it and goes on.
                try await world.gateway.kill9()
                _ = try? await long.value
                try await eventually("the copy serves", within: .seconds(60)) {
                    try await copy.client.call(.get, "/health/ready").status == 200
                }
                #expect(try await ask(copy, user.key).status == 200)
                #expect(try await copy.admin.transactions(token: user.token).count >= 1)
            } catch {
                try? await copy.stopGateway()
                throw error
            }
            try await copy.stopGateway()
        }
    }

    @Test(
        "audit 4: after a kill -9 the next start takes the leases over at once, in a loop of restarts too",
        .timeLimit(.minutes(10)))
    func restarts() async throws {
        try await with(Self.strict) { world, url in
            let server = try PostgresServer.shared.get()
            var world = world
            let user = try await world.admin.makeUser("phoenix", usd: "1")
            for _ in 0..<5 {
                // Nearly all of it is leased for one request, which the kill cuts.
                let long = Task { [world] in try await ask(world, user.key, "first_byte=60s", n: 14) }
                try await eventually("the hold stands") {
                    try await world.client.call(.get, "/metrics").text.contains("apirouter_open_holds 1\n")
                }
                try await world.gateway.kill9()
                _ = try? await long.value
                world = try await world.restarted()
                #expect(try server.query(url, "SELECT count(*) FROM gateways") == "1")
                // Not after the lease_lifetime of two minutes, but now.
                let all = try await ask(world, user.key, "completion_tokens=1", n: 14)
                #expect(all.status == 200, "\(all.text)")
                let sums = try server.query(
                    url,
                    """
                    SELECT u.balance_nanos >= coalesce(sum(l.amount_nanos), 0) AND u.balance_nanos >= 0 FROM users u
                    LEFT JOIN balance_leases l ON l.user_id = u.id WHERE u.id = \(user.id) GROUP BY u.balance_nanos
                    """)
                #expect(sums == "t")
            }
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
            try await world.gateway.stop()
        }
    }

    @Test(
        "audit 4: a gateway that is stopped for longer than its leases last spends nothing of what others got",
        .timeLimit(.minutes(10)))
    func stopped() async throws {
        try await with("metering: { admission: strict, strict_fields: [sim_control], lease_lifetime: 10s, balance_wait: 60s }") {
            world, url in
            let other = try await world.another()
            do {
                let user = try await world.admin.makeUser("sleeper", usd: "1")
                try await eventually("both know the key") {
                    try await other.client.call(.get, "/v1/models", key: user.key).status == 200
                }
                // All of it is leased, little of it spent.
                #expect(try await ask(world, user.key, "completion_tokens=1", n: 16).status == 200)
                try await settled([world])
                world.gateway.signal(SIGSTOP)
                // Waits for the leases of the one that sleeps, and spends nearly everything.
                let all = try await ask(other, user.key, "prompt_tokens=20,completion_tokens=64000", n: 16)
                #expect(all.status == 200, "\(all.text)")
                try await settled([other])
                world.gateway.signal(SIGCONT)
                let after = try await withThrowingTaskGroup(of: Int.self) { group in
                    // Strict admission may lower what is asked for to the few cents that are left.
                    for _ in 0..<12 { group.addTask { try await self.ask(world, user.key, n: 4).status } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                try await settled([world, other])
                #expect(try await !balance(other, user.token).isNegative, "\(after)")
                try await eventually("it takes calls again") {
                    try await world.client.call(.get, "/health/ready").status == 200
                }
                try await world.admin.addBalance(user.id, usd: "1")
                #expect(try await ask(world, user.key).status == 200)
                try await settled([world, other])
                #expect(try await !balance(other, user.token).isNegative)
                #expect(world.gateway.log.contains("in another life"))
            } catch {
                world.gateway.signal(SIGCONT)
                try? await other.stopGateway()
                throw error
            }
            try await other.stopGateway()
        }
    }

    @Test(
        "audit 9: slow questions of others do not keep leases waiting, and readiness costs no question",
        .timeLimit(.minutes(10)))
    func starvedPool() async throws {
        try await with("") { world, url in
            let server = try PostgresServer.shared.get()
            let user = try await world.admin.makeUser("patient", usd: "5")
            let lock = Task.detached {
                try server.query(
                    url, "BEGIN; LOCK TABLE access_tokens IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(9); COMMIT")
            }
            let isLocked =
                "SELECT count(*) FROM pg_locks WHERE relation = 'access_tokens'::regclass AND mode = 'AccessExclusiveLock' AND granted"
            try await eventually("the table is locked") { try server.query(url, isLocked) == "1" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<12 {
                    let token = number < 6 ? GatewayProcess.rootToken : "at-nobody-\(number)"
                    group.addTask { _ = try? await world.client.call(.get, "/api/user/self", key: token) }
                }
                try await eventually("all ordinary connections wait") {
                    try Int(
                        server.query(
                            url,
                            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%access_tokens%'"
                        )) ?? 0 >= 4
                }
                // The first call of this user: it needs a lease.
                let answer = try await ask(world, user.key)
                #expect(answer.status == 200, "\(answer.text)")
                #expect(try await world.client.call(.get, "/health/ready").status == 200)
                #expect(try server.query(url, isLocked) == "1", "it was over before the lock was")
                try await group.waitForAll()
            }
            _ = try await lock.value
        }
    }
}
