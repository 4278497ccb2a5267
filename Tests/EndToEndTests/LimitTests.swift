import Foundation
import HTTPTypes
import NIOCore
import PostgresTesting
import RouterCore
import Simulator
import Testing

/// Requests and tokens per minute and concurrency of keys, users and groups, with the real binary.
@Suite(.serialized) struct LimitTests {
    private func ask(
        _ world: World, _ key: String, _ controls: String = "prompt_tokens=5,completion_tokens=5", maxTokens: Int? = 10,
        stream: Bool = false, leaveAfter: Int? = nil
    ) async throws -> Client.Answer {
        var members: [JSONValue.Member] = [
            .init("model", "sim/cheap"), .init("messages", [["role": "user", "content": "hello"]]), .init("sim_control", .string(controls)),
        ]
        if let maxTokens { members.append(.init("max_tokens", .integer(maxTokens))) }
        if stream { members.append(.init("stream", true)) }
        return try await world.client.call(
            .post, "/v1/chat/completions", key: key, body: JSONValue.object(members).text, leaveAfter: leaveAfter)
    }

    private func makeKey(_ world: World, _ token: String, _ limits: String) async throws -> (id: Int64, key: String) {
        let created = try await world.client.call(.post, "/api/token", key: token, body: "{\"name\":\"k\",\"limits\":\(limits)}").json
        guard let id = created["data"]?["id"]?.integerValue, let key = created["data"]?["key"]?.stringValue else {
            throw StringError(created.text)
        }
        return (id, key)
    }

    private func header(_ answer: Client.Answer, _ name: String) -> String? { HTTPField.Name(name).flatMap { answer.headers[$0] } }

    private func remaining(_ answer: Client.Answer, _ what: String = "requests") -> Int64? {
        header(answer, "x-ratelimit-remaining-\(what)").flatMap { Int64($0) }
    }

    /// Asks until the limit says no. - Returns: how many were served, and the refusal.
    private func exhaust(_ world: World, _ key: String, atMost: Int = 2_000) async throws -> (served: Int, refusal: Client.Answer) {
        for served in 0..<atMost {
            let answer = try await ask(world, key)
            if answer.status == 429 { return (served, answer) }
            guard answer.status == 200 else { throw StringError("\(answer.status): \(answer.text)") }
        }
        throw StringError("no limit after \(atMost) requests")
    }

    // MARK: Requests

    @Test("audit 5: rpm of a key: headers on every answer, 429 with Retry-After, then it goes on", .timeLimit(.minutes(10)))
    func requestsPerMinute() async throws {
        try await World.with { world in
            let user = try await world.admin.makeUser("limited", usd: "5")
            let key = try await makeKey(world, user.token, #"{"rpm":30,"tpm":1000000}"#)
            let first = try await ask(world, key.key)
            #expect(
                first.status == 200 && header(first, "x-ratelimit-limit-requests") == "30" && remaining(first) == 29, "\(first.headers)")
            #expect(header(first, "x-ratelimit-reset-requests") == "2s")
            #expect(header(first, "x-ratelimit-limit-tokens") == "1000000" && (remaining(first, "tokens") ?? 0) > 999_900)
            let reset = header(first, "x-ratelimit-reset-tokens") ?? ""
            #expect(reset.hasSuffix("ms"), "\(reset)")
            let stream = try await ask(world, key.key, stream: true)
            #expect(stream.status == 200 && stream.text.contains("[DONE]") && header(stream, "x-ratelimit-limit-requests") == "30")
            #expect((28...29).contains(remaining(stream) ?? 0))

            let (_, refused) = try await exhaust(world, key.key)
            let error = try refused.json["error"]
            #expect(
                error?["type"]?.stringValue == "rate_limit_error" && error?["code"]?.stringValue == "rate_limit_exceeded", "\(refused.text)"
            )
            #expect(refused.text.contains("limit of this key, 30 requests per minute (rpm)"))
            #expect(["1", "2"].contains(refused.headers[.retryAfter] ?? ""), "\(refused.headers)")
            #expect(remaining(refused) == 0 && header(refused, "x-ratelimit-limit-requests") == "30")
            // Two seconds bring one request; what is refused meanwhile takes nothing away.
            try await eventually("it goes on") { try await ask(world, key.key).status == 200 }
            // Other keys of the user have no limit, and say nothing of one.
            let free = try await ask(world, user.key)
            #expect(free.status == 200 && header(free, "x-ratelimit-limit-requests") == nil)
            // Looking at models is no model call.
            #expect(try await world.client.call(.get, "/v1/models", key: key.key).status == 200)
        }
    }

    @Test("audit 5: limits of user and group hold for all keys, the tightest is shown", .timeLimit(.minutes(10)))
    func userAndGroup() async throws {
        try await World.with(sections: #"groups: { default: { ratio: "1.0", limits: { rpm: 20 } } }"#) { world in
            let user = try await world.admin.makeUser("member", usd: "5")
            let own = try await makeKey(world, user.token, #"{"rpm":1000}"#)
            #expect(header(try await ask(world, own.key), "x-ratelimit-limit-requests") == "20")
            let (_, refused) = try await exhaust(world, user.key)
            #expect(refused.text.contains("limit of this user, 20 requests per minute"), "\(refused.text)")
            // The group's limit is each user's own.
            let other = try await world.admin.makeUser("neighbour", usd: "5")
            #expect(remaining(try await ask(world, other.key)) == 19)
            // A user with a limit of their own does not have the group's.
            _ = try await world.admin.put("/api/user/\(other.id)", ["limits": ["rpm": .integer(500)]])
            #expect(header(try await ask(world, other.key), "x-ratelimit-limit-requests") == "500")
            // A tighter key is what is shown.
            let tight = try await makeKey(world, other.token, #"{"rpm":2}"#)
            #expect(header(try await ask(world, tight.key), "x-ratelimit-limit-requests") == "2")
            // Nobody changes their own limits.
            let selfService = try await world.client.call(
                .put, "/api/user/\(other.id)", key: other.token, body: #"{"limits":{"rpm":100000}}"#)
            #expect(selfService.status == 403)
            // A reload takes the group's limit away.
            try world.write("config/gateway.yaml", World.gatewayYAML(""))
            _ = try await world.admin.post("/api/config/reload", .object([]))
            #expect(header(try await ask(world, user.key), "x-ratelimit-limit-requests") == nil)
        }
    }

    // MARK: Tokens

    @Test("audit 5: tpm counts prompt and bounded output at admission, and what was used at the end", .timeLimit(.minutes(10)))
    func tokensPerMinute() async throws {
        try await World.with { world in
            let user = try await world.admin.makeUser("talker", usd: "5")
            let key = try await makeKey(world, user.token, #"{"tpm":1000}"#)
            let slow = Task { try await ask(world, key.key, "first_byte=2s,prompt_tokens=20,completion_tokens=30", maxTokens: 900) }
            try await eventually("it is at work") { world.simulator.statistics.openConnections >= 1 }
            let second = try await ask(world, key.key, maxTokens: 900)
            #expect(second.status == 429 && second.text.contains("1000 tokens per minute (tpm)"), "\(second.text)")
            #expect((remaining(second, "tokens") ?? 1_000) < 200 && Int64(second.headers[.retryAfter] ?? "") ?? 0 > 30)
            let first = try await slow.value
            #expect(first.status == 200 && header(first, "x-ratelimit-limit-tokens") == "1000")
            // It used fifty.
            let third = try await ask(world, key.key, "prompt_tokens=20,completion_tokens=5000", maxTokens: 900)
            #expect(third.status == 200, "\(third.text)")
            // And this one more than it was taken for: four minutes' worth is owed.
            let fourth = try await ask(world, key.key)
            #expect(fourth.status == 429 && (200...320).contains(Int64(fourth.headers[.retryAfter] ?? "") ?? 0), "\(fourth.headers)")
            // Without a bound of the client's own, one after the other is no problem.
            let open = try await makeKey(world, user.token, #"{"tpm":1000}"#)
            for _ in 0..<5 { #expect(try await ask(world, open.key, maxTokens: nil).status == 200) }
        }
    }

    // MARK: Concurrency

    @Test("audit 5: concurrency is given back on every way out", .timeLimit(.minutes(10)))
    func concurrency() async throws {
        try await World.with(sections: "metering: { balance_wait: 0s }") { world in
            let user = try await world.admin.makeUser("single", usd: "5")
            let key = try await makeKey(world, user.token, #"{"concurrency":1}"#)
            let slow = Task { try await ask(world, key.key, "chunks=3000,pace=10ms", stream: true, leaveAfter: 300) }
            try await eventually("it is at work") { world.simulator.statistics.openConnections >= 1 }
            let second = try await ask(world, key.key)
            #expect(second.status == 429 && second.text.contains("1 requests at the same time (concurrency)"), "\(second.text)")
            #expect(second.headers[.retryAfter] == "1" && header(second, "x-ratelimit-limit-requests") == nil)
            _ = try await slow.value
            try await eventually("the client that left is gone") { try await ask(world, key.key).status == 200 }
            // Whatever goes wrong, the place is free afterwards.
            let controls = ["status=500", "status=400", "close_before_head", "body_error", "status=429", "malformed_after=1"]
            for control in controls {
                for stream in [false, true] {
                    let answer = try await ask(world, key.key, control, stream: stream)
                    #expect(answer.status != 429 || !answer.text.contains("concurrency"), "\(control): \(answer.text)")
                    _ = try await world.admin.post("/api/channel/1/enable", .object([]))
                }
            }
            try await eventually("it still works") { try await ask(world, key.key).status == 200 }
            // Refused before anything is asked of the vendor: no price, no money.
            let poor = try await world.admin.makeUser("poor", usd: nil)
            let empty = try await makeKey(world, poor.token, #"{"concurrency":1,"tpm":100000}"#)
            for _ in 0..<5 { #expect(try await ask(world, empty.key).status == 402) }
            // Every one of many at once is served or told why.
            let answers = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 { group.addTask { try await ask(world, key.key, "first_byte=30ms").status } }
                return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(Set(answers.keys).isSubset(of: [200, 429]) && (answers[200] ?? 0) >= 1, "\(answers)")
            #expect(try await ask(world, key.key).status == 200)
        }
    }

    // MARK: Who may set them

    @Test("audit 10: an administrator's limits of a key can be lowered by its owner, not raised", .timeLimit(.minutes(10)))
    func caps() async throws {
        try await World.with { world in
            let user = try await world.admin.makeUser("capped", usd: "5")
            let key = try await makeKey(world, user.token, #"{"budget":{"day":3}}"#)
            let path = "/api/token/\(key.id)"
            let set = try await world.admin.put(path, ["limits": ["rpm": .integer(40), "budget": ["total": .integer(4)]]])
            #expect(
                set["data"]?["limits"]?["rpm"]?.integerValue == 40 && set["data"]?["admin_limits"]?["rpm"]?.integerValue == 40,
                "\(set.text)")
            #expect(
                set["data"]?["limits"]?["budget"]?["day"]?.numberText == "3"
                    && set["data"]?["limits"]?["budget"]?["total"]?.numberText == "4")
            func own(_ limits: String) async throws -> Client.Answer {
                try await world.client.call(.put, path, key: user.token, body: "{\"limits\":\(limits)}")
            }
            let raised = try await own(#"{"rpm":41}"#)
            #expect(raised.status == 403 && raised.text.contains("has set 'rpm' of this key to 40"), "\(raised.text)")
            #expect(try await own(#"{"budget":{"total":5}}"#).status == 403)
            #expect(try await own(#"{"admin":{"rpm":99}}"#).status == 400)
            // Lower is fine, and without any of its own the administrator's are left.
            #expect(try await own(#"{"rpm":7}"#).json["data"]?["limits"]?["rpm"]?.integerValue == 7)
            #expect(header(try await ask(world, key.key), "x-ratelimit-limit-requests") == "7")
            #expect(try await own("{}").json["data"]?["limits"]?["rpm"]?.integerValue == 40)
            #expect(header(try await ask(world, key.key), "x-ratelimit-limit-requests") == "40")
            // What is left of seven a minute does not become forty at once.
            #expect((remaining(try await ask(world, key.key)) ?? 40) < 30)
            // The administrator takes them away again.
            let lifted = try await world.admin.put(path, ["limits": .object([])])
            #expect(lifted["data"]?["admin_limits"]?.isNull == true, "\(lifted.text)")
            #expect(try await own(#"{"rpm":500}"#).status == 200)
        }
    }

    private static let senseless = [
        (#"{"rpm":0}"#, "'limits.rpm' must be a whole number from 1 to 1000000000, or null for none"),
        (#"{"tpm":1.5}"#, "'limits.tpm' must be a whole number"), (#"{"concurrency":"4"}"#, "'limits.concurrency' must be a whole number"),
        (#"{"rpm":-3}"#, "from 1 to"), (#"{"rpm":10000000000}"#, "from 1 to"),
        (#"{"rps":3}"#, "allowed: allowed_ips, budget, rpm, tpm, concurrency"),
        (#"{"rpm":3,"rpm":9}"#, "'limits.rpm' is given twice"),
    ]

    @Test("audit 10: limits that make no sense are refused with what is allowed", .timeLimit(.minutes(10)))
    func refusedValues() async throws {
        try await World.with { world in
            for (limits, says) in Self.senseless {
                let answer = try await world.client.call(
                    .post, "/api/token", key: GatewayProcess.rootToken, body: "{\"name\":\"k\",\"limits\":\(limits)}")
                #expect(answer.status == 400 && answer.text.contains(says), "\(limits): \(answer.text)")
            }
            let user = try await world.admin.makeUser("plain", usd: nil)
            let answer = try await world.client.call(
                .put, "/api/user/\(user.id)", key: GatewayProcess.rootToken, body: #"{"limits":{"allowed_ips":[]}}"#)
            #expect(answer.status == 400 && answer.text.contains("allowed: budget, rpm, tpm, concurrency"), "\(answer.text)")
        }
    }

    @Test(
        "audit 10: stored limits that cannot be read deny", .timeLimit(.minutes(10)),
        arguments: ["no json", #"{"rmp":5}"#, #"{"rpm":"5"}"#, "[]"])
    func unreadable(_ garbage: String) async throws {
        let server = try PostgresServer.shared.get()
        let url = try server.makeDatabase()
        try await World.with(environment: ["SQL_DSN": url]) { world in
            let user = try await world.admin.makeUser("broken", usd: "5")
            let key = try await makeKey(world, user.token, "{}")
            #expect(try await ask(world, key.key).status == 200)
            _ = try server.query(url, "UPDATE tokens SET limits = '\(garbage)' WHERE id = \(key.id)")
            try await eventually("the key is not served") { try await ask(world, key.key).status == 403 }
            let refused = try await ask(world, key.key)
            #expect(try refused.json["error"]?["code"]?.stringValue == "limits_unreadable", "\(refused.text)")
            #expect(try await ask(world, user.key).status == 200)
            #expect(world.gateway.log.contains("stored limits cannot be read"))
            // Its owner cannot mend it, an administrator can.
            let path = "/api/token/\(key.id)"
            #expect(try await world.client.call(.put, path, key: user.token, body: #"{"limits":{}}"#).status == 403)
            #expect(try await world.admin.put(path, ["limits": ["rpm": .integer(50)]])["success"]?.boolValue == true)
            try await eventually("the key is served again") { try await ask(world, key.key).status == 200 }
            _ = try server.query(url, "UPDATE users SET limits = '\(garbage)' WHERE id = \(user.id)")
            try await eventually("no key of the user is served") { try await ask(world, user.key).status == 403 }
            #expect(try await ask(world, user.key).text.contains("limits of this user"))
            _ = try await world.admin.put("/api/user/\(user.id)", ["limits": .object([])])
            try await eventually("the user is served again") { try await ask(world, user.key).status == 200 }
        }
    }

    // MARK: Several gateways

    @Test("audit 5: two gateways on one PostgreSQL share a limit, and it follows the demand", .timeLimit(.minutes(10)))
    func shared() async throws {
        let url = try PostgresServer.shared.get().makeDatabase()
        try await World.with(environment: ["SQL_DSN": url]) { one in
            let two = try await one.another()
            do {
                let user = try await one.admin.makeUser("spread", usd: "5")
                let key = try await makeKey(one, user.token, #"{"rpm":240}"#)
                let single = try await makeKey(one, user.token, #"{"concurrency":1}"#)
                for world in [one, two] {
                    try await eventually("the keys are known") {
                        for key in [key.key, single.key] where try await world.client.call(.get, "/v1/models", key: key).status != 200 {
                            return false
                        }
                        return true
                    }
                }
                try await eventually("both know of each other") { try self.gateways(url) == 2 }
                // Whoever is asked gets nearly all of it: 240 less the other's minimum of fifteen.
                let start = ContinuousClock.now
                try await eventually("the first has nearly all of it") { (remaining(try await ask(one, key.key)) ?? 0) > 150 }
                var (served, _) = try await exhaust(one, key.key)
                let subject = "key:\(key.id)"
                let first = try self.query(
                    url, "SELECT gateway FROM limit_shares WHERE subject = '\(subject)' AND gateway <> '' ORDER BY taken_rpm DESC LIMIT 1")
                let (more, refused) = try await exhaust(two, key.key)
                #expect(header(refused, "x-ratelimit-limit-requests") == "240" && more < 60, "\(more) at the other")
                served += more
                // Together no more than one bucket and what time has brought, four a second; and the minimum of the gateway that came last,
                // where the first one still had all of the limit (docs/limits.md).
                let seconds = (ContinuousClock.now - start).components.seconds + 1
                #expect(Int64(served) <= 240 + 15 + 4 * seconds, "\(served) in \(seconds) s")
                #expect(served >= 150)
                // The clients go to the other gateway, and its share follows them.
                try await eventually("the share has moved", within: .seconds(60)) {
                    _ = try await ask(two, key.key)
                    let moved =
                        "SELECT coalesce(max(taken_rpm), 0) FROM limit_shares WHERE subject = '\(subject)' AND gateway NOT IN ('', '\(first)')"
                    return try self.number(url, moved) > 150
                }
                let sum = "SELECT sum(taken_rpm) FROM limit_shares WHERE subject = '\(subject)' AND gateway <> ''"
                #expect(try self.number(url, sum) <= 240)
                // A concurrency limit of one goes to one of the two, always the same.
                let places = [try await ask(one, single.key).status, try await ask(two, single.key).status]
                #expect(places.sorted() == [200, 429], "\(places)")
                // When the other one stops, all of it is here again.
                let left = places[0] == 200 ? two : one
                let stays = places[0] == 200 ? one : two
                try await left.gateway.stop()
                try await eventually("the one that stays has all of it") { try self.gateways(url) == 1 }
                try await eventually("it is served where it was") { try await ask(stays, single.key).status == 200 }
            } catch {
                try? await two.stopGateway()
                throw error
            }
            try await two.stopGateway()
        }
    }

    private func query(_ url: String, _ sql: String) throws -> String {
        try PostgresServer.shared.get().query(url, sql).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func number(_ url: String, _ sql: String) throws -> Int64 { Int64(try query(url, sql)) ?? 0 }

    private func gateways(_ url: String) throws -> Int64 { try number(url, "SELECT count(*) FROM limit_shares WHERE subject = ''") }
}
