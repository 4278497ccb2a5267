import Foundation
import HTTPTypes
import PostgresTesting
import RouterCore
import Simulator
import Testing

/// Channels of the console on the real binary: over restarts, with other gateways and with a new secret.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ConsoleChannelTests {
    private static let unset = World.ChannelSpec(id: 1, key: "${FILE_KEY}", models: ["sim/cheap"])

    private func chat(_ world: World, _ model: String) async throws -> Client.Answer {
        try await world.client.call(
            .post, "/v1/chat/completions", key: GatewayProcess.rootKey,
            body: #"{"model":"\#(model)","messages":[{"role":"user","content":"hello"}]}"#)
    }

    private func makeChannel(_ world: World) async throws {
        let made = try await world.admin.post(
            "/api/channel", ["name": "mine", "provider": "sim", "keys": ["sk-mine-0123456789"], "models": ["sim/dear"]])
        #expect(made["data"]?["id"]?.integerValue == 1_000_000, "\(made.text)")
    }

    private func put(_ world: World, _ path: String, _ body: String) async throws -> Client.Answer {
        try await world.client.call(.put, path, key: GatewayProcess.rootToken, body: body)
    }

    @Test func `a channel and a secret of the console serve at once and after a restart`() async throws {
        try await World.with(channels: [Self.unset]) { first in
            try await first.admin.addBalance(1, usd: "10")
            #expect(try await chat(first, "sim/cheap").status == 503)
            let secret = try await put(first, "/api/secret/FILE_KEY", #"{"value":"sk-file-key"}"#)
            #expect(secret.status == 200, "\(secret.text)")
            try await makeChannel(first)
            let models = try await first.admin.post("/api/channel/models", ["provider": "sim", "channel_id": .integer(1_000_000)])
            #expect(models["data"]?.arrayValue?.isEmpty == false, "\(models.text)")
            let test = try await first.admin.post("/api/channel/1000000/test", ["model": "sim/dear"])["data"]
            #expect(test?["ok"]?.boolValue == true && test?["first_content_ms"]?.integerValue != nil)
            #expect(test?["charge"]?.numberText == "0.000027" && test?["completion_tokens"]?.integerValue == 1, "\(test?.text ?? "")")
            #expect(try await chat(first, "sim/cheap").status == 200)
            #expect(try await chat(first, "sim/dear").status == 200)
            #expect(first.calls(key: "-key") == 1 && first.calls(key: "6789") == 2)

            try await first.gateway.stop()
            try await first.gateway.start()
            #expect(!first.gateway.log.contains("0123456789") && !first.gateway.log.contains("sk-file-key"))
            let client = try Client(base: first.gateway.base)
            let world = World(simulator: first.simulator, gateway: first.gateway, client: client, admin: Admin(client: client))
            #expect(try await chat(world, "sim/dear").status == 200)
            #expect(try await chat(world, "sim/cheap").status == 200)
            #expect(world.calls(key: "-key") == 2 && world.calls(key: "6789") == 3)
            let rows = try await world.admin.get("/api/log?channel_id=1000000")["data"]?["items"]?.arrayValue ?? []
            #expect(rows.first?["channel_id"]?.integerValue == 1_000_000)
            // The database has neither.
            let database = try Data(contentsOf: first.gateway.directory.appendingPathComponent("data/apirouter.db"))
            for text in ["sk-mine-0123456789", "sk-file-key"] { #expect(database.firstRange(of: Data(text.utf8)) == nil) }
            await client.shutdown()
        }
    }

    @Test func `a channel of a file uses a provider of the console, also at the next start`() async throws {
        try await World.with { first in
            try await first.admin.addBalance(1, usd: "10")
            let provider = try await first.admin.post(
                "/api/provider",
                [
                    "name": "mylab", "base_url": .string("http://127.0.0.1:\(first.simulator.port)/v1"),
                    "models": [["name": "lab/one", "free": true]],
                ])
            #expect(provider["data"]?["name"] == "mylab", "\(provider.text)")
            let lab = World.ChannelSpec(id: 2, provider: "mylab", models: ["lab/one"])
            try first.write("config/channels.yaml", World.channelsYAML([World.ChannelSpec(id: 1), lab]))
            try await eventually("the channel serves") { try await chat(first, "lab/one").status == 200 }
            try await first.gateway.stop()

            // Without the database a check does not know it, unless it is told; commands that need no channels go on.
            let strict = try await first.command(["check"])
            #expect(strict.status == 1 && strict.output.contains("found \"mylab\""), "\(strict.output)")
            let told = try await first.command(["check", "--console-provider", "mylab"])
            #expect(told.status == 0 && told.output.contains("warning") && told.output.contains("ok:"), "\(told.output)")
            let books = try await first.verifyLedger()
            #expect(books.status == 0, "\(books.output)")

            try await first.gateway.start()
            #expect(!first.gateway.log.contains("no file declares"), "\(first.gateway.log)")
            let client = try Client(base: first.gateway.base)
            let world = World(simulator: first.simulator, gateway: first.gateway, client: client, admin: Admin(client: client))
            #expect(try await chat(world, "lab/one").status == 200)
            await client.shutdown()

            // A provider that nobody has still keeps the gateway from starting, and the mistake has its place.
            try await first.gateway.stop()
            let wrong = World.ChannelSpec(id: 3, provider: "nobody", models: ["lab/two"])
            try first.write("config/channels.yaml", World.channelsYAML([World.ChannelSpec(id: 1), lab, wrong]))
            await #expect(throws: GatewayProcess.StartFailed.self) { try await first.gateway.start() }
            try await eventually("the mistake is named") {
                first.gateway.log.contains("channels[2].provider: found \"nobody\"") && first.gateway.log.contains("channels.yaml:")
            }
        }
    }

    @Test func `commands that call vendors know the channels of the console, with the secret that opens them`() async throws {
        try await World.with { world in
            let provider = try await world.admin.post(
                "/api/provider",
                [
                    "name": "mylab", "base_url": .string("http://127.0.0.1:\(world.simulator.port)/v1"),
                    "headers": ["X-Lab-Token": "token-of-the-lab"], "models": [["name": "sim/dear", "free": true]],
                ])
            #expect(provider["data"]?["name"] == "mylab" && !provider.text.contains("token-of-the-lab"), "\(provider.text)")
            let made = try await world.admin.post(
                "/api/channel", ["name": "lab", "provider": "mylab", "keys": ["sk-lab-0123456789"], "models": ["sim/dear"]])
            #expect(made["success"]?.boolValue == true, "\(made.text)")

            let own = ["SESSION_SECRET": "the-session-secret-of-end-to-end-tests"]
            let before = world.calls(key: "6789")
            let tried = try await world.command(["provider", "test", "mylab"], environment: own)
            #expect(tried.output.contains("ok      whole answer"), "\(tried.output)")
            #expect(world.calls(key: "6789") > before)
            let synced = try await world.command(["models", "sync", "--dry-run", "--provider", "mylab"], environment: own)
            #expect(synced.output.contains("mylab: "), "\(synced.output)")
            for output in [tried.output, synced.output] {
                for secret in ["sk-lab-0123456789", "token-of-the-lab"] { #expect(!output.contains(secret)) }
            }

            // With another secret nothing is opened, and the command says so instead of calling without a key.
            let calls = world.calls(key: "6789")
            let other = ["SESSION_SECRET": "another-session-secret-of-end-to-end-tests"]
            let closed = try await world.command(["provider", "test", "mylab"], environment: other)
            #expect(closed.status != 0 && closed.output.contains("keys of the console cannot be opened"), "\(closed.output)")
            let left = try await world.command(["models", "sync", "--dry-run", "--provider", "mylab"], environment: other)
            #expect(left.status != 0 && left.output.contains("no enabled channel uses the provider 'mylab'"), "\(left.output)")
            #expect(world.calls(key: "6789") == calls)
        }
    }

    @Test func `a new secret needs the keys sealed anew`() async throws {
        try await World.with(channels: [Self.unset]) { world in
            try await world.admin.addBalance(1, usd: "10")
            try await makeChannel(world)
            try await world.gateway.stop()
            let new = ["SESSION_SECRET": "another-session-secret-of-end-to-end-tests"]
            let refused = try await world.command(
                ["secret", "reseal", "--old-secret-env", "OLD"], environment: new.merging(["OLD": "a-wrong-secret-0123"]) { $1 })
            #expect(refused.status != 0 && refused.output.contains("channel 1000000"), "\(refused.output)")
            let done = try await world.command(
                ["secret", "reseal", "--old-secret-env", "OLD"],
                environment: new.merging(["OLD": "the-session-secret-of-end-to-end-tests"]) { $1 })
            #expect(done.status == 0 && done.output.contains("1 values are sealed anew"), "\(done.output)")
            try await world.gateway.start(environment: new)
            let client = try Client(base: world.gateway.base)
            let after = World(simulator: world.simulator, gateway: world.gateway, client: client, admin: Admin(client: client))
            #expect(try await chat(after, "sim/dear").status == 200)

            // Adopted instead of sealed anew: the gateway starts, and the channel says what is wrong with it.
            try await world.gateway.stop()
            let adopted = try await world.command(
                ["secret", "adopt"], environment: ["SESSION_SECRET": "a-third-session-secret-of-the-tests"])
            #expect(adopted.status == 0)
            try await world.gateway.start(environment: ["SESSION_SECRET": "a-third-session-secret-of-the-tests"])
            let third = try Client(base: world.gateway.base)
            let channels = try await Admin(client: third).get("/api/channel")["data"]?.arrayValue ?? []
            let mine = channels.first { $0["id"]?.integerValue == 1_000_000 }
            #expect(mine?["status"] == "off" && mine?["disabled_reason"]?.stringValue?.contains("reseal") == true, "\(mine?.text ?? "")")
            await client.shutdown()
            await third.shutdown()
        }
    }

    @Test func `gateways on one PostgreSQL share the console, and one with another secret does not start`() async throws {
        let url = try PostgresServer.shared.get().makeDatabase()
        try await World.with(channels: [Self.unset], environment: ["SQL_DSN": url]) { first in
            try await first.admin.addBalance(1, usd: "10")
            let second = try await first.another()
            do {
                try await makeChannel(first)
                try await eventually("the second gateway has the channel") { try await chat(second, "sim/dear").status == 200 }
                #expect(try await put(second, "/api/secret/FILE_KEY", #"{"value":"sk-file-key"}"#).status == 200)
                try await eventually("the first gateway has the key") { try await chat(first, "sim/cheap").status == 200 }
                #expect(try await put(second, "/api/channel/1000000", #"{"enabled":false}"#).status == 200)
                try await eventually("the first gateway has turned it off") { try await chat(first, "sim/dear").status == 503 }
                _ = try await second.client.call(.delete, "/api/channel/1000000", key: GatewayProcess.rootToken)
                try await eventually("the first gateway has lost it") {
                    try await first.client.call(.get, "/api/channel/1000000", key: GatewayProcess.rootToken).status == 404
                }
                await #expect(throws: GatewayProcess.StartFailed.self) {
                    _ = try await first.another(environment: ["SESSION_SECRET": "the-secret-of-somebody-else"])
                }
            } catch {
                try? await second.stopGateway()
                throw error
            }
            try await second.stopGateway()
        }
    }
}
