import Config
import Foundation
import HTTPTypes
import HummingbirdTesting
import RouterCore
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server
@testable import Storage

/// The files of the configuration over the API: which they are, that no other is reached, and that a mistake is not saved.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ConfigurationTests {
    /// A configuration of its own, with a file beside it that is none of its files.
    private struct Folder {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("configuration-\(UUID().uuidString)")
        var config: String { root.appendingPathComponent("config/gateway.yaml").path }

        init() throws {
            for name in ["config", "providers"] {
                try FileManager.default.createDirectory(at: root.appendingPathComponent(name), withIntermediateDirectories: true)
            }
            try write(
                "config/gateway.yaml",
                "data_dir: ../data\nstorage: { url: \"sqlite:../data/a.db\" }\nproviders_dir: ../providers\nchannels: channels.yaml\n")
            try write("config/channels.yaml", Self.channels("demo"))
            for name in ["demo", "other"] { try write("providers/\(name).yaml", Self.provider(name)) }
            try write("providers/.hidden.yaml", "secret")
            try write("secret.txt", "nobody's business")
        }

        static func provider(_ name: String) -> String {
            "name: \(name)\nadaptor: openai\nbase_url: http://127.0.0.1:9/v1\nauth: { type: none }\nmodels:\n"
                + "  - { id: m, price: { input: \"1\", output: \"1\" } }\n"
        }

        static func channels(_ provider: String) -> String {
            "channels:\n  - { id: 1, name: one, provider: \(provider), models: [m] }\n"
        }

        func write(_ path: String, _ text: String) throws {
            try text.write(to: root.appendingPathComponent(path), atomically: false, encoding: .utf8)
        }

        func read(_ path: String) throws -> String { try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8) }

        func files() throws -> ConfigurationFiles {
            let configuration = try ConfigLoader(environment: [:]).load(path: config)
            return ConfigurationFiles(path: config, environment: [:], snapshots: SnapshotHolder(GatewaySnapshot(configuration))) {
                ConsoleConfiguration()
            }
        }

        func remove() { try? FileManager.default.removeItem(at: root) }
    }

    private func problem(_ body: () async throws -> Void) async -> ConfigurationFiles.Problem? {
        do {
            try await body()
            return nil
        } catch {
            return error as? ConfigurationFiles.Problem
        }
    }

    @Test func `the files are those of the configuration, and every other name is that of none`() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let files = try folder.files()
        #expect(files.all().map(\.name) == ["gateway.yaml", "channels.yaml", "providers/demo.yaml", "providers/other.yaml"])
        for name in [
            "", "secret.txt", "../secret.txt", "/etc/passwd", folder.config, "providers/../gateway.yaml", "providers/.hidden.yaml",
            "providers/../../secret.txt", "./gateway.yaml", "providers//demo.yaml", "providers/new.yaml", "gateway.yaml\u{0}",
        ] {
            #expect(await problem { _ = try files.file(name) } == .unknown, "\(name)")
        }
        let text = try files.read(try files.file("gateway.yaml")).text
        #expect(text == (try folder.read("config/gateway.yaml")))
    }

    @Test func `a file is replaced at once with its mode, by who has seen its text`() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let files = try folder.files()
        let file = try files.file("channels.yaml")
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: file.location)
        let etag = try files.read(file).etag
        let new = try await files.write(file, Folder.channels("other"), replacing: etag)
        #expect(try folder.read("config/channels.yaml") == Folder.channels("other"))
        #expect(try FileManager.default.attributesOfItem(atPath: file.location)[.posixPermissions] as? Int == 0o640)
        #expect(try files.read(file).etag == new && new != etag)
        #expect(await problem { _ = try await files.write(file, "x", replacing: etag) } == .changed)
        // Among those that have seen the same text, one comes first.
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<8 {
                group.addTask { (try? await files.write(file, Folder.channels("demo") + "# \(number)\n", replacing: new)) != nil }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(outcomes == 1)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.root.appendingPathComponent("config").path).sorted()
        #expect(names == ["channels.yaml", "gateway.yaml"], "nothing is left behind")
    }

    @Test func `a file changes only after it is written down who does it`() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let files = try folder.files()
        let file = try files.file("channels.yaml")
        let etag = try files.read(file).etag
        await #expect(throws: StoreError.self) {
            _ = try await files.write(file, Folder.channels("other"), replacing: etag) { throw StoreError.database("away") }
        }
        #expect(try folder.read("config/channels.yaml") == Folder.channels("demo"))
        // Nobody is written down for a change that is refused.
        let refused = await problem {
            _ = try await files.write(file, "x", replacing: "0123") { Issue.record("a refused change is on record") }
        }
        #expect(refused == .changed)
        let before = try folder.read("config/channels.yaml")
        let new = try await files.write(file, Folder.channels("other"), replacing: etag) {
            let meanwhile = try folder.read("config/channels.yaml")
            #expect(meanwhile == before)
        }
        #expect(try files.read(file).etag == new && new != etag)
        // The answer says which of two reasons keeps the new text from being in force.
        let wrong = ConfigErrors(diagnostics: [Diagnostic(.error, file: "channels.yaml", line: 7, message: "the id 1 is used twice")])
        let mistaken = ConfigurationHandlers.waiting(wrong, "gateway.yaml").message
        #expect(mistaken.contains("channels.yaml:7:1: error: the id 1 is used twice") && !mistaken.contains("ledger"))
        #expect(ConfigurationHandlers.waiting(StoreError.database("away"), "x").message.contains("the ledger cannot be reached"))
    }

    @Test func `links, pipes and what is too large are left alone`() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let files = try folder.files()
        let target = folder.root.appendingPathComponent("secret.txt").path
        func place(_ name: String) -> String { folder.root.appendingPathComponent("providers/\(name).yaml").path }
        try FileManager.default.createSymbolicLink(atPath: place("soft"), withDestinationPath: target)
        try FileManager.default.linkItem(atPath: target, toPath: place("hard"))
        #expect(mkfifo(place("pipe"), 0o600) == 0)
        try folder.write("providers/large.yaml", String(repeating: "#", count: ConfigurationFiles.largest + 1))
        try folder.write("providers/bytes.yaml", "")
        try Data([0x61, 0xFF, 0xFE]).write(to: URL(fileURLWithPath: place("bytes")))
        for name in ["soft", "hard"] {
            let file = try files.file("providers/\(name).yaml")
            let etag = try files.read(file).etag
            guard case .readOnly = await problem({ _ = try await files.write(file, "x", replacing: etag) }) else {
                Issue.record("\(name) was written")
                continue
            }
        }
        for name in ["pipe", "large", "bytes"] {
            guard case .unreadable = await problem({ _ = try files.read(try files.file("providers/\(name).yaml")) }) else {
                Issue.record("\(name) was read")
                continue
            }
        }
        #expect(try folder.read("secret.txt") == "nobody's business")
    }

    @Test func `a draft is checked with everything else, and cannot have other files read`() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let files = try folder.files()
        let channels = try files.file("channels.yaml")
        #expect(try await files.diagnostics().isEmpty)
        #expect(try await files.diagnostics(channels, text: Folder.channels("other")).isEmpty)
        let wrong = try await files.diagnostics(channels, text: "channels:\n  - { id: 1, name: one, provider: nobody, models: [m] }\n")
        #expect(wrong.contains { $0.severity == .error && $0.file == "channels.yaml" && $0.line == 2 }, "\(wrong)")
        #expect(try await !files.obstacles(channels, wrong).isEmpty)
        #expect(try folder.read("config/channels.yaml") == Folder.channels("demo"))
        let gateway = try files.file("gateway.yaml")
        for moved in ["channels: ../secret.txt\nproviders_dir: ../providers\n", "channels: channels.yaml\nproviders_dir: /etc\n"] {
            let found = try await files.diagnostics(gateway, text: "data_dir: ../data\n" + moved)
            #expect(found.count == 1 && found[0].message.contains("can be changed in the file itself only"), "\(found)")
            #expect(!"\(found)".contains("business"))
        }
        // One broken provider file does not keep another from being mended.
        for name in ["demo", "other"] { try folder.write("providers/\(name).yaml", "name: \(name)\nadaptor: nothing\n") }
        let demo = try files.file("providers/demo.yaml")
        let mended = try await files.diagnostics(demo, text: Folder.provider("demo"))
        #expect(mended.contains { $0.severity == .error && $0.file == "providers/other.yaml" })
        let obstacles = try await files.obstacles(demo, mended)
        #expect(obstacles.isEmpty, "\(obstacles)")
        let more = try await files.diagnostics(demo, text: "name: demo\n")
        #expect(try await !files.obstacles(demo, more).isEmpty)
    }

    @Test func `what is saved is in force, on record, and never a mistake`() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        try await TestGateway.with(at: folder.config) { gateway, client in
            func call(
                _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil, etag: String? = nil
            ) async throws -> (status: Int, json: JSONValue) {
                var headers = HTTPFields()
                if let etag { headers[.ifMatch] = "\"\(etag)\"" }
                let answer = try await client.call(method, path, token: TestGateway.adminToken, body: body?.text, headers: headers)
                return (answer.status, answer.json)
            }
            let list = try await call(.get, "/api/config").json["data"]
            #expect(list?["files"]?.arrayValue?.count == 4 && list?["read_only"] == false && list?["diagnostics"] == [])
            #expect(try await call(.get, "/api/config/file?path=../secret.txt").status == 404)
            let file = try await call(.get, "/api/config/file?path=channels.yaml").json["data"]
            let etag = try #require(file?["etag"]?.stringValue)
            func save(_ text: String, _ etag: String?) async throws -> (status: Int, json: JSONValue) {
                try await call(.put, "/api/config/file", ["path": "channels.yaml", "text": .string(text)], etag: etag)
            }
            let two = Folder.channels("demo") + "  - { id: 2, name: two, provider: other, models: [m] }\n"
            #expect(try await save(two, nil).status == 400)
            let stale = try await save(two, "0123")
            #expect(stale.status == 412 && stale.json["code"] == "etag_mismatch", "\(stale.json.text)")
            let wrong = try await save(two.replacingOccurrences(of: "id: 2", with: "id: 1"), etag)
            #expect(wrong.status == 400 && wrong.json["code"] == "config_invalid", "\(wrong.json.text)")
            #expect(wrong.json["details"]?["diagnostics"]?.arrayValue?.first?["file"] == "channels.yaml")
            #expect(try folder.read("config/channels.yaml") == Folder.channels("demo"))
            // While the ledger takes no record, the file stays.
            let ledger = try #require(gateway.gateway.parts.store as? any SQLStore).database
            try await ledger.write {
                try $0.execute("CREATE TRIGGER full BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'no room'); END")
            }
            let unrecorded = try await save(two, etag)
            #expect(unrecorded.status >= 500, "\(unrecorded.json.text)")
            #expect(try folder.read("config/channels.yaml") == Folder.channels("demo"))
            try await ledger.write { try $0.execute("DROP TRIGGER full") }
            let saved = try await save(two, etag)
            #expect(saved.status == 200, "\(saved.json.text)")
            #expect(try folder.read("config/channels.yaml") == two)
            #expect(gateway.gateway.parts.snapshots.snapshot.configuration.routes.channels.map(\.id) == [1, 2])
            let audit = try await call(.get, "/api/audit?before_id=0&action=config").json["data"]
            let row = try #require(audit?["items"]?.arrayValue?.first)
            #expect(row["action"] == "config.change" && row["detail"]?["path"] == "channels.yaml" && row["actor_name"] == "root")
            #expect(audit?["next_before_id"] == .null)
            let actions = audit?["items"]?.arrayValue?.compactMap { $0["action"]?.stringValue }.filter { $0 != "config.check" }
            #expect(actions == ["config.change"], "one row for one change")
        }
    }

    @Test func `a console's channel with a file's id goes without the switch of the file's`() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        try await TestGateway.with(at: folder.config) { gateway, client in
            func call(_ method: HTTPRequest.Method, _ path: String, _ body: String? = nil) async throws -> JSONValue {
                let answer = try await client.call(method, path, token: TestGateway.adminToken, body: body)
                #expect(answer.status == 200, "\(path): \(answer.json.text)")
                return answer.json["data"] ?? .null
            }
            _ = try await call(.post, "/api/channel", #"{"id":7,"name":"mine","provider":"demo","models":["m"]}"#)
            let seven = "  - { id: 7, name: seven, provider: other, models: [m] }\n"
            try folder.write("config/channels.yaml", Folder.channels("demo") + seven)
            _ = try await call(.post, "/api/config/reload")
            _ = try await call(.post, "/api/channel/7/disable")
            let store = gateway.gateway.parts.store
            let kept = try #require(try await store.setting("channel.7.switch"))
            _ = try await call(.delete, "/api/channel/7")
            #expect(try await store.consoleRows().isEmpty)
            #expect(try await store.setting("channel.7.switch") == kept)
            let channel = try await call(.get, "/api/channel/7")
            #expect(channel["name"] == "seven" && channel["status"] == "disabled", "\(channel.text)")
        }
    }

    @Test func `prices have a history, and models without one are named`() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.write(
            "providers/other.yaml",
            Folder.provider("other").replacingOccurrences(of: "id: m, price: { input: \"1\", output: \"1\" }", with: "id: unpriced"))
        try folder.write("config/channels.yaml", Folder.channels("other").replacingOccurrences(of: "[m]", with: "[unpriced]"))
        try await TestGateway.with(at: folder.config) { _, client in
            func get(_ path: String) async throws -> JSONValue {
                try await client.call(.get, path, token: TestGateway.adminToken).json["data"] ?? .null
            }
            let missing = try await get("/api/pricing/missing")
            #expect(missing.arrayValue?.first { $0["model"] == "unpriced" }?["channels"] == ["one"], "\(missing.text)")
            let first = try await client.call(
                .put, "/api/models/pricing", token: TestGateway.adminToken,
                body: #"{"model_name":"unpriced","pricing_input":0.000001,"pricing_output":0.000002}"#)
            #expect(first.status == 200, "\(first.json.text)")
            #expect(try await !get("/api/pricing/missing").text.contains("unpriced"))
            let table = try await get("/api/models/pricing").arrayValue ?? []
            let edited = table.reduce(into: [:]) { $0[$1["model_name"]?.stringValue ?? ""] = $1["is_edited"]?.boolValue }
            #expect(edited == ["m": false, "unpriced": true], "\(edited)")
            let second = try await client.call(
                .put, "/api/models/pricing", token: TestGateway.adminToken, body: #"{"model_name":"unpriced","pricing_input":0.000003}"#)
            #expect(second.status == 200, "\(second.json.text)")
            let versions = try await get("/api/pricing/history?model=unpriced").arrayValue ?? []
            #expect(versions.map { $0["pricing_input"]?.numberText } == ["0.000003", "0.000001"])
            #expect(versions.first?["version"]?.integerValue ?? 0 > versions.last?["version"]?.integerValue ?? 0)
            let sync = try await client.call(.post, "/api/pricing/sync", token: TestGateway.adminToken, body: #"{"models":["m"]}"#)
            #expect(sync.status == 400)
            let verified = try await client.call(.post, "/api/ledger/verify", token: TestGateway.adminToken)
            #expect(verified.json["data"]?["ok"] == true, "\(verified.json.text)")
        }
    }
}
