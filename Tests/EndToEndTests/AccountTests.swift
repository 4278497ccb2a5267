import Foundation
import HTTPTypes
import PostgresTesting
import RouterCore
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Root's ways in, through the real program: tokens of the environment, the first password, a lost password.
@Suite(.serialized) struct AccountTests {
    private func status(_ world: World, _ token: String, _ path: String = "/api/user/self") async throws -> Int {
        try await world.client.call(.get, path, key: token).status
    }

    private func login(_ world: World, _ name: String, _ password: String) async throws -> (status: Int, token: String) {
        let body = JSONValue.object([.init("username", .string(name)), .init("password", .string(password))]).text
        let answer = try await world.client.call(.post, "/api/user/login", body: body)
        return (answer.status, try answer.json["data"]?["access_token"]?.stringValue ?? "")
    }

    /// The same world after a restart with other variables.
    private func restart(_ world: World, _ environment: [String: String]) async throws -> World {
        try await world.gateway.stop()
        var changed = world
        changed.environment.merge(environment) { _, new in new }
        return try await changed.restarted()
    }

    @Test("audit 14: a replaced bootstrap token ends the old one, a removed one ends", .timeLimit(.minutes(10)))
    func rotation() async throws {
        try await World.with { first in
            let oldToken = GatewayProcess.rootToken
            let oldKey = GatewayProcess.rootKey
            #expect(try await status(first, oldToken) == 200)
            #expect(try await status(first, oldKey, "/v1/models") == 200)
            let newToken = "at-another-root-token-0123456789"
            let newKey = "sk-another-root-key-0123456789"
            let second = try await restart(
                first, ["INITIAL_ROOT_ACCESS_TOKEN": newToken, "INITIAL_ROOT_TOKEN": newKey])
            #expect(try await status(second, oldToken) == 401)
            #expect(try await status(second, newToken) == 200)
            #expect(try await status(second, oldKey, "/v1/models") == 401)
            #expect(try await status(second, newKey, "/v1/models") == 200)
            let third = try await restart(second, ["INITIAL_ROOT_ACCESS_TOKEN": "", "INITIAL_ROOT_TOKEN": ""])
            #expect(try await status(third, newToken) == 401)
            #expect(try await status(third, newKey, "/v1/models") == 401)
            #expect(third.gateway.log.contains("INITIAL_ROOT_ACCESS_TOKEN is not set any more"))
            await third.client.shutdown()
        }
    }

    @Test(
        "audit 14: a change of root's password ends the bootstrap token, also over a restart", .timeLimit(.minutes(10)))
    func passwordChange() async throws {
        try await World.with { world in
            let session = try await login(world, "root", GatewayProcess.rootPassword)
            let other = try await login(world, "root", GatewayProcess.rootPassword)
            #expect(session.status == 200 && other.status == 200)
            let changed = try await world.client.call(
                .put, "/api/user/1", key: session.token, body: #"{"password":"another-root-password"}"#)
            #expect(changed.status == 200, "\(changed.text)")
            #expect(try await status(world, session.token) == 200, "the session that has changed it goes on")
            #expect(try await status(world, other.token) == 401)
            #expect(try await status(world, GatewayProcess.rootToken) == 401)
            #expect(try await status(world, GatewayProcess.rootKey, "/v1/models") == 200, "keys stay")
            let again = try await restart(world, [:])
            #expect(try await status(again, GatewayProcess.rootToken) == 401)
            #expect(again.gateway.log.contains("has been ended since it was set here"))
            #expect(try await login(again, "root", "another-root-password").status == 200)
            await again.client.shutdown()
        }
    }

    @Test(
        "audit 14: reset-password lets whoever has locked root out in again, beside a running gateway",
        .timeLimit(.minutes(10)),
        arguments: [false, true])
    func reset(isPostgres: Bool) async throws {
        let environment = isPostgres ? ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()] : [:]
        try await World.with(environment: environment) { world in
            let session = try await login(world, "root", GatewayProcess.rootPassword)
            let done = try await world.command(["user", "reset-password", "Root", "--generate"])
            #expect(done.status == 0, "\(done.output)")
            let line = try #require(done.output.split(separator: "\n").first { $0.hasPrefix("new password: ") })
            let password = String(line.dropFirst("new password: ".count))
            #expect(password.count == 24)
            #expect(try await status(world, session.token) == 401)
            #expect(try await status(world, GatewayProcess.rootToken) == 401)
            #expect(try await status(world, GatewayProcess.rootKey, "/v1/models") == 200, "keys stay")
            #expect(try await login(world, "root", GatewayProcess.rootPassword).status == 401)
            #expect(try await login(world, "root", password).status == 200)
            let unknown = try await world.command(["user", "reset-password", "nobody", "--generate"])
            #expect(unknown.status != 0 && unknown.output.contains("there is no user 'nobody'"), "\(unknown.output)")
            let silent = try await world.command(["user", "reset-password", "root"])
            #expect(silent.status != 0 && silent.output.contains("standard input has no password"), "\(silent.output)")
            // Without a gateway as well.
            try await world.gateway.stop()
            #expect(try await world.command(["user", "reset-password", "root", "--generate"]).status == 0)
        }
    }

    // MARK: Money

    @Test("audit 15: an admin neither takes from root nor gives to itself or a peer", .timeLimit(.minutes(10)))
    func authority() async throws {
        try await World.with { world in
            for name in ["boss", "peer"] {
                let made = try await world.admin.post(
                    "/api/user", ["username": .string(name), "password": "password-of-an-admin", "role": .integer(10)])
                #expect(made["success"]?.boolValue == true, "\(made.text)")
            }
            try await world.admin.addBalance(1, usd: "5")
            let boss = try await login(world, "boss", "password-of-an-admin").token
            func add(_ user: Int, _ usd: String) async throws -> Int {
                try await world.client.call(
                    .post, "/api/balance/admin/add", key: boss, body: "{\"user_id\":\(user),\"amount\":\(usd)}"
                ).status
            }
            for user in 1...3 {
                #expect(try await add(user, "1000000") == 403, "\(user)")
                #expect(try await add(user, "-5") == 403, "\(user)")
            }
            let users = try await world.admin.get("/api/user")
            let balances = users["data"]?["items"]?.arrayValue?.map { $0["balance"]?.numberText }
            #expect(balances == ["0", "0", "5"])
        }
    }

    @Test("audit 7: a credit that is sent again after a lost answer is one credit", .timeLimit(.minutes(10)))
    func lostAnswer() async throws {
        try await World.with { world in
            func add(_ usd: String) async throws -> Client.Answer {
                try await world.client.call(
                    .post, "/api/balance/admin/add", key: GatewayProcess.rootToken, body: "{\"user_id\":1,\"amount\":\(usd)}",
                    headers: [("Idempotency-Key", "invoice-7")])
            }
            let first = try await add("5")
            // Over a restart as well.
            try await world.gateway.kill9()
            let again = try await world.restarted()
            let repeated = try await again.client.call(
                .post, "/api/balance/admin/add", key: GatewayProcess.rootToken, body: #"{"user_id":1,"amount":5}"#,
                headers: [("Idempotency-Key", "invoice-7")])
            #expect(first.status == 200 && repeated.status == 200, "\(repeated.text)")
            #expect(try repeated.json["data"]?["id"] == first.json["data"]?["id"])
            let other = try await again.client.call(
                .post, "/api/balance/admin/add", key: GatewayProcess.rootToken, body: #"{"user_id":1,"amount":6}"#,
                headers: [("Idempotency-Key", "invoice-7")])
            #expect(other.status == 409 && other.text.contains("the amount ($5, now $6) differs"), "\(other.text)")
            #expect(try await again.admin.get("/api/balance")["data"]?["balance"]?.numberText == "5")
            await again.client.shutdown()
        }
    }

    // MARK: The first password

    private static let firstPassword = "initial_root_password"

    private func passwordFile(_ world: World) throws -> (password: String, mode: Int) {
        let path = world.gateway.directory.appendingPathComponent("data/\(Self.firstPassword)").path
        let text = try String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        return (text, mode ?? 0)
    }

    @Test("audit 18: root's first password is in its file and in no log", .timeLimit(.minutes(10)))
    func notInTheLog() async throws {
        try await World.with(environment: ["INITIAL_ROOT_PASSWORD": ""]) { world in
            let file = try passwordFile(world)
            #expect(file.password.count == 20 && file.mode == 0o600)
            #expect(world.gateway.log.contains(Self.firstPassword) && !world.gateway.log.contains(file.password))
            #expect(try await login(world, "root", file.password).status == 200)
        }
    }

    /// A terminal without a screen: the descriptor to read what is shown, and the path to write to. By the kernel's
    /// own calls, because Swift's modules of the C library have no `posix_openpt`.
    private func pseudoTerminal() throws -> (descriptor: Int32, path: String) {
        let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        var unlock: Int32 = 0
        var number: Int32 = -1
        // TIOCSPTLCK and TIOCGPTN.
        guard terminal >= 0, ioctl(terminal, 0x4004_5431, &unlock) == 0, ioctl(terminal, 0x8004_5430, &number) == 0
        else {
            throw StringError("no pseudo-terminal: \(String(cString: strerror(errno)))")
        }
        return (terminal, "/dev/pts/\(number)")
    }

    @Test("audit 18: root's first password is shown once at a terminal", .timeLimit(.minutes(10)))
    func atATerminal() async throws {
        let world = try await World.make(start: false)
        // A file of an earlier ledger is no way in, and no obstacle.
        try world.write("data/\(Self.firstPassword)", "an old one\n")
        let (terminal, name) = try pseudoTerminal()
        let process = Process()
        process.executableURL = GatewayProcess.binary
        process.arguments = ["serve", "--config", "config/gateway.yaml"]
        process.currentDirectoryURL = world.gateway.directory
        process.environment = ProcessInfo.processInfo.environment.merging([
            "PORT": "0", "APIROUTER_SQL_DIR": GatewayProcess.migrations, "INITIAL_ROOT_PASSWORD": "",
        ]) { _, new in new }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        let screen = open(name, O_RDWR | O_NOCTTY)
        #expect(screen >= 0)
        process.standardError = FileHandle(fileDescriptor: screen, closeOnDealloc: true)
        try process.run()
        var shown = ""
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while !shown.contains("address=") {
            let count = read(terminal, &buffer, buffer.count)
            guard count > 0 else { break }
            shown += String(decoding: buffer[..<count], as: UTF8.self)
        }
        kill(process.processIdentifier, SIGTERM)
        process.waitUntilExit()
        close(terminal)
        let file = try passwordFile(world)
        #expect(file.password.count == 20 && file.mode == 0o600)
        #expect(shown.components(separatedBy: file.password).count == 2, "\(shown)")
        try await world.tearDown()
    }
}
