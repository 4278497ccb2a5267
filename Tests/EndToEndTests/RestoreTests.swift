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

/// Disks that fail, backups that come back, and who may read what lies on the disk, with the real binary.
@Suite(.serialized) struct RestoreTests {
    private func ask(_ world: World, _ key: String) async throws {
        let body =
            #"{"model":"sim/dear","messages":[{"role":"user","content":"hi"}],"sim_control":"prompt_tokens=100,completion_tokens=100"}"#
        let answer = try await world.client.call(.post, "/v1/chat/completions", key: key, body: body)
        guard answer.status == 200 else { throw StringError(answer.text) }
    }

    private func balance(_ world: World, _ token: String) async throws -> String? {
        try await world.client.call(.get, "/api/balance", key: token).json["data"]?["balance"]?.numberText
    }

    // MARK: Backup and restore

    /// How a backup is made and put back, while the gateway is stopped.
    private struct Backup: Sendable {
        var make: @Sendable (World) throws -> Void
        /// - Returns: the environment with which the restored ledger is used.
        var restore: @Sendable (World) throws -> [String: String]
    }

    private static let sqlite = Backup { world in
        // The log may hold what the file itself does not have yet.
        for ending in ["", "-wal"] {
            let path = world.gateway.directory.path + "/data/apirouter.db" + ending
            guard FileManager.default.fileExists(atPath: path) else { continue }
            try FileManager.default.copyItem(atPath: path, toPath: world.gateway.directory.path + "/backup.db" + ending)
        }
    } restore: { world in
        let ledger = world.gateway.directory.path + "/data/apirouter.db"
        for ending in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: ledger + ending)
            let copy = world.gateway.directory.path + "/backup.db" + ending
            if FileManager.default.fileExists(atPath: copy) { try FileManager.default.copyItem(atPath: copy, toPath: ledger + ending) }
        }
        return [:]
    }

    private static func postgres(_ url: String) throws -> Backup {
        let server = try PostgresServer.shared.get()
        let name = url.split(separator: "/").last.map(String.init) ?? ""
        let base = url.dropLast(name.count)
        return Backup { _ in
            try server.query(base + "postgres", "CREATE DATABASE backup_of_\(name) TEMPLATE \(name)")
        } restore: { _ in
            ["SQL_DSN": base + "backup_of_\(name)"]
        }
    }

    @Test(
        "audit 8: a ledger restored from a backup gets every charge back, once, and a list of the credits it lacks",
        .timeLimit(.minutes(10)),
        arguments: [false, true])
    func restore(_ isPostgres: Bool) async throws {
        let url = isPostgres ? try PostgresServer.shared.get().makeDatabase() : ""
        let backup = isPostgres ? try Self.postgres(url) : Self.sqlite
        // A journal this small is written in files of 8 kB.
        try await World.with(sections: "journal: { max_bytes: 65536 }", environment: isPostgres ? ["SQL_DSN": url] : [:]) { first in
            let user = try await first.admin.makeUser("insured", usd: "10")
            for _ in 0..<10 { try await ask(first, user.key) }
            await first.client.shutdown()
            try await first.gateway.stop()
            try backup.make(first)

            let second = try await first.restarted()
            for _ in 0..<60 { try await ask(second, user.key) }
            try await second.admin.addBalance(user.id, usd: "7")
            try await eventually("all is posted") { try await second.admin.transactions(token: user.token).count == 70 }
            let running = try await second.command(["ledger", "replay", "--from", "data"])
            #expect(running.status != 0 && running.output.contains("is using"), "\(running.output)")
            // Sums are made anew beside running gateways only where the database is made for several.
            let beside = try await second.command(["ledger", "rebuild-usage"])
            #expect(
                isPostgres ? beside.output.contains("from 70 rows") : beside.status != 0 && beside.output.contains("must be stopped"),
                "\(beside.output)")
            await second.client.shutdown()
            try await second.gateway.stop()
            let files = try FileManager.default.contentsOfDirectory(atPath: first.gateway.directory.appendingPathComponent("data").path)
            #expect(files.contains { $0.hasSuffix(".kept") }, "\(files)")

            var restored = second
            restored.environment.merge(try backup.restore(second)) { _, new in new }
            let replay = try await restored.command(["ledger", "replay", "--from", "data"])
            #expect(
                replay.status == 1 && replay.output.contains("posted 60 (0.108 USD), there already 10, set aside 0"), "\(replay.output)")
            #expect(replay.output.contains("recharge,\(user.id),7,"), "\(replay.output)")
            let again = try await restored.command(["ledger", "replay", "--from", "data"])
            #expect(again.output.contains("posted 0 (0 USD), there already 70, set aside 0"), "\(again.output)")
            let rebuilt = try await restored.command(["ledger", "rebuild-usage"])
            #expect(rebuilt.status == 0 && rebuilt.output.contains("from 70 rows of the log"), "\(rebuilt.output)")
            let books = try await restored.verifyLedger()
            #expect(books.status == 0, "\(books.output)")

            let third = try await restored.restarted()
            #expect(try await balance(third, user.token) == "9.874")
            try await ask(third, user.key)
            #expect(try await balance(third, user.token) == "9.8722")
            await third.client.shutdown()
        }
    }

    // MARK: Power

    @Test("audit 3: with power the gateway does not start on a PostgreSQL server without fsync, and says why", .timeLimit(.minutes(10)))
    func powerNeedsFsync() async throws {
        let environment = ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()]
        let world = try await World.make(sections: "journal: { durability: power }", start: false, environment: environment)
        let result = try await world.command(["serve"], environment: ["PORT": "0"])
        #expect(result.status == 1 && result.output.contains("fsync is off"), "\(result.output)")
        try await world.tearDown()
    }

    // MARK: Modes

    private func mode(_ url: URL) -> mode_t {
        var status = stat()
        return stat(url.path, &status) == 0 ? status.st_mode & 0o7777 : .max
    }

    /// Everything in the data directory, with the directory itself.
    private func modes(_ world: World) throws -> [String: mode_t] {
        let data = world.gateway.directory.appendingPathComponent("data")
        var found = ["data": mode(data)]
        for name in try FileManager.default.contentsOfDirectory(atPath: data.path) { found[name] = mode(data.appendingPathComponent(name)) }
        return found
    }

    private func expectPrivate(_ world: World, _ when: String) throws {
        let found = try modes(world)
        #expect(found["data"] == 0o700, "\(when): \(String(found["data"] ?? 0, radix: 8))")
        for (name, mode) in found where name != "data" { #expect(mode == 0o600, "\(when): \(name) is \(String(mode, radix: 8))") }
        for name in ["apirouter.db", "apirouter.db.lock", "journal.id", "journal.lock", "journal-00000001.log", "initial_root_password"] {
            #expect(found[name] != nil, "\(when): no \(name) among \(found.keys.sorted())")
        }
    }

    @Test("audit 18: the data directory and its files are their owner's alone, whatever the umask, old ones too", .timeLimit(.minutes(10)))
    func privateFiles() async throws {
        let world = try await World.make(start: false)
        let data = world.gateway.directory.appendingPathComponent("data")
        do {
            try FileManager.default.removeItem(at: data)
            try await world.gateway.start(environment: ["INITIAL_ROOT_PASSWORD": ""], shell: "umask 000")
            try expectPrivate(world, "made anew")
            #expect(try modes(world)["apirouter.db-wal"] == 0o600)
            try await world.gateway.kill9()
            // As an earlier program left them.
            for name in try modes(world).keys where name != "data" { chmod(data.appendingPathComponent(name).path, 0o644) }
            chmod(data.path, 0o755)
            try await world.gateway.start(environment: ["INITIAL_ROOT_PASSWORD": ""], shell: "umask 000")
            try expectPrivate(world, "mended")
            for name in ["data", "apirouter.db", "apirouter.db-wal", "journal-00000001.log"] {
                #expect(world.gateway.log.contains("\(name) could be read by others"), "\(name): \(world.gateway.log)")
            }
            try await world.gateway.stop()
        } catch {
            let log = world.gateway.log.suffix(3_000)
            try? await world.tearDown()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        try await world.tearDown()
    }
}
