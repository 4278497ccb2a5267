import Foundation
import HTTPTypes
import PostgresTesting
import RouterCore
import Testing

/// Who gets into the real program: sessions, the shared secret, proxies.
@Suite(.serialized) struct DoorsTests {
    private let rootLogin = "{\"username\":\"root\",\"password\":\"\(GatewayProcess.rootPassword)\"}"

    private func login(_ client: Client, _ headers: [(String, String)] = []) async throws -> Client.Answer {
        try await client.call(.post, "/api/user/login", body: rootLogin, headers: headers)
    }

    @Test("audit 17: gateways on one database share a secret or refuse to start", .timeLimit(.minutes(10)))
    func sharedSecret() async throws {
        let url = try PostgresServer.shared.get().makeDatabase()
        let none = ["SESSION_SECRET": ""]
        try await World.with(environment: ["SQL_DSN": url].merging(none) { $1 }) { first in
            let path = first.gateway.directory.appendingPathComponent("data/session_secret")
            let mode = try FileManager.default.attributesOfItem(atPath: path.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let secret = try String(contentsOf: path, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
            func refusal(_ environment: [String: String]) async throws -> String {
                do {
                    let other = try await first.another(environment: environment)
                    try await other.stopGateway()
                    return ""
                } catch {
                    return "\(error)"
                }
            }
            let without = try await refusal([:])
            #expect(without.contains("there is no SESSION_SECRET") && without.contains("Give this one the SESSION_SECRET"), "\(without)")
            let wrong = try await refusal(["SESSION_SECRET": "another-secret-of-these-tests"])
            #expect(wrong.contains("not the one that this ledger knows"), "\(wrong)")
            #expect(!(without + wrong).contains(secret))

            // With the same secret a session that one has begun is good at the other, and ends at both.
            let second = try await first.another(environment: ["SESSION_SECRET": secret])
            let answer = try await login(first.client)
            let token = try #require(try answer.json["data"]?["access_token"]?.stringValue)
            let cookie = [("Cookie", "apirouter_session=\(token)")]
            #expect(try await second.client.call(.get, "/api/user/self", headers: cookie).status == 200)
            #expect(try await second.client.call(.post, "/api/user/logout", body: "{}", headers: cookie).status == 200)
            #expect(try await first.client.call(.get, "/api/user/self", headers: cookie).status == 401)
            try await second.stopGateway()
        }
    }

    @Test("audit 17: sessions survive a restart, a changed secret is refused until it is adopted", .timeLimit(.minutes(10)))
    func restart() async throws {
        var world = try await World.make()
        do {
            let answer = try await login(world.client)
            let token = try #require(try answer.json["data"]?["access_token"]?.stringValue)
            #expect(answer.headers[values: .setCookie].first?.contains("SameSite=Strict") == true)
            try await world.gateway.stop()
            world = try await world.restarted()
            #expect(try await world.client.call(.get, "/api/user/self", key: token).status == 200)

            try await world.gateway.stop()
            let changed = ["SESSION_SECRET": "a-changed-secret-of-these-tests"]
            do {
                try await world.gateway.start(environment: changed)
                Issue.record("a changed secret was taken")
            } catch {
                #expect("\(error)".contains("apirouter secret adopt"), "\(error)")
            }
            let adopted = try await world.command(["secret", "adopt"], environment: changed)
            #expect(adopted.status == 0 && adopted.output.contains("SESSION_SECRET"), "\(adopted.output)")
            try await world.gateway.start(environment: changed)
            let client = try Client(base: world.gateway.base)
            #expect(try await client.call(.get, "/api/user/self", key: token).status == 200)
            await client.shutdown()
        } catch {
            try? await world.tearDown()
            throw error
        }
        try await world.tearDown()
    }

    @Test("audit 16 and 17: doors of the program as its operator sets them", .timeLimit(.minutes(10)))
    func configured() async throws {
        let world = try await World.make(start: false)
        let text = World.gatewayYAML("").replacingOccurrences(
            of: "max_lag: 0s", with: "max_lag: 0s, trusted_proxies: [127.0.0.1], public_url: \"https://gateway.example.org\"")
        try world.write("config/gateway.yaml", text)
        try await world.gateway.start()
        let client = try Client(base: world.gateway.base)
        func behind(_ address: String) -> [(String, String)] { [("X-Forwarded-For", address)] }
        let forged = try await login(client, [("Origin", "https://evil.example"), ("Content-Type", "text/plain")])
        #expect(forged.status == 403 && forged.headers[.setCookie] == nil)
        let plain = try await login(client, [("Content-Type", "text/plain")])
        #expect(plain.status == 415 && plain.text.contains("application/json"), "\(plain.text)")
        let answer = try await login(client, [("Origin", "https://gateway.example.org")] + behind("192.0.2.7"))
        #expect(answer.status == 200, "\(answer.text)")
        #expect(answer.headers[values: .setCookie].allSatisfy { $0.hasPrefix("__Host-apirouter_") && $0.hasSuffix("Secure") })
        #expect(answer.headers[.strictTransportSecurity] != nil && answer.headers[.xContentTypeOptions] == "nosniff")
        // The line comes through a pipe, perhaps after the answer.
        try await eventually("the log names the client's address") { world.gateway.log.contains("ip=192.0.2.7") }
        #expect(try await client.call(.get, "/metrics").status == 200)
        #expect(try await client.call(.get, "/metrics", headers: behind("192.0.2.7")).status == 401)
        // A guesser is slowed down; root, who comes from elsewhere through the same proxy, is not.
        var last = 401
        for _ in 0..<30 where last == 401 {
            last = try await client.call(
                .post, "/api/user/login", body: #"{"username":"root","password":"wrong-password"}"#, headers: behind("203.0.113.9")
            ).status
        }
        #expect(last == 429)
        #expect(try await login(client, behind("192.0.2.7")).status == 200)
        #expect(try await login(client, behind("198.51.100.3")).status == 200)
        await client.shutdown()
        try await world.tearDown()
    }
}
