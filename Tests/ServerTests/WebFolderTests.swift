import Config
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import RouterCore
import Testing

@testable import Server

/// The console's files: what is read, and how it is served.
@Suite(.serialized, .timeLimit(.minutes(10))) struct WebFolderTests {
    private static let page = "<!doctype html><html lang=\"__LANG__\"><script type=module src=\"__ASSETS__/boot.js\"></script></html>"

    /// A folder with these files, removed afterwards.
    private func folder(
        _ files: [String: String] = ["index.html": page, "boot.js": "import './lib/dom.js';", "lib/dom.js": "//"],
        _ body: (URL) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("web-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        for (path, text) in files {
            let file = directory.appendingPathComponent(path)
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        try await body(directory)
    }

    // MARK: Reading

    @Test func `only plain files of known kinds are read`() async throws {
        try await folder([
            "index.html": Self.page, "boot.js": "1", "lib/dom.js": "2", "README.md": "notes", ".env": "SECRET=1", ".git/config.json": "{}",
            "lib/a b.js": "3", "data.sqlite": "4", "icon.svg": "<svg/>",
        ]) { directory in
            try FileManager.default.createSymbolicLink(
                at: directory.appendingPathComponent("passwd.txt"), withDestinationURL: URL(fileURLWithPath: "/etc/passwd"))
            try FileManager.default.createSymbolicLink(
                at: directory.appendingPathComponent("etc"), withDestinationURL: URL(fileURLWithPath: "/etc"))
            let read = try WebFolder.read(directory.path)
            #expect(read.files.keys.sorted() == ["boot.js", "icon.svg", "index.html", "lib/dom.js"])
        }
    }

    @Test func `the hash changes with every file, its name and its contents`() throws {
        func hash(_ files: [String: String]) throws -> String {
            try WebFolder(files.mapValues { Array($0.utf8) }).hash
        }
        let all = [
            try hash(["index.html": "x", "a.js": "1"]), try hash(["index.html": "x", "a.js": "2"]),
            try hash(["index.html": "x", "b.js": "1"]),
            try hash(["index.html": "y", "a.js": "1"]), try hash(["index.html": "x"]),
            // The same bytes, divided differently.
            try hash(["index.html": "x", "a.js": "", "b.js": "1"]),
        ]
        #expect(Set(all).count == all.count && all.allSatisfy { $0.count == 16 })
        #expect(try hash(["index.html": "x", "a.js": "1"]) == all[0])
    }

    @Test func `a folder without a page, or one that is too large, is refused`() async throws {
        #expect(throws: WebFolder.Problem.self) { try WebFolder(["a.js": [1]]) }
        var many: [String: [UInt8]] = ["index.html": [1]]
        for number in 0..<500 { many["\(number).js"] = [1] }
        #expect(throws: WebFolder.Problem.self) { try WebFolder(many) }
        many["0.js"] = nil
        #expect(try WebFolder(many).files.count == 500)
        try await folder(["index.html": String(repeating: "x", count: 1_500_000), "a.js": String(repeating: "y", count: 700_000)]) {
            directory in
            #expect(throws: WebFolder.Problem.self) { try WebFolder.read(directory.path) }
        }
    }

    @Test func `what compression makes smaller is sent compressed`() throws {
        let text = String(repeating: "const answer = 42;\n", count: 200)
        let folder = try WebFolder([
            "index.html": Array(Self.page.utf8), "a.js": Array(text.utf8), "tiny.js": [0x31], "picture.png": Array(text.utf8),
        ])
        let packed = try #require(folder.files["a.js"]?.gzip)
        #expect(packed.readableBytes < text.utf8.count / 10)
        // RFC 1952: the magic number, and the length at the end.
        let bytes = Array(packed.readableBytesView)
        #expect(bytes[0] == 0x1F && bytes[1] == 0x8B)
        #expect(bytes.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) } == text.utf8.count)
        #expect(folder.files["tiny.js"]?.gzip == nil && folder.files["picture.png"]?.gzip == nil)
    }

    @Test(
        arguments: [
            (nil, nil, "en"), (nil, "zh-CN,zh;q=0.9,en;q=0.8", "zh"), (nil, "en-GB,en;q=0.9,zh;q=0.8", "en"),
            (nil, "de,zh-TW;q=0.7,en;q=0.3", "zh"),
            (nil, "fr,zh;q=0", "en"), (nil, "*", "en"), ("zh", "en", "zh"), ("en", "zh", "en"), ("de", "zh", "zh"),
            (nil, "ZH ; q=0.5", "zh"),
            (nil, "zh;q=nan,en;q=0.1", "en"), (nil, ";;,,q=", "en"),
        ] as [(String?, String?, String)])
    func `the language is the chosen one, else the browser's`(chosen: String?, accepted: String?, expected: String) {
        #expect(PageLanguage(chosen: chosen, accepted: accepted).rawValue == expected)
    }

    // MARK: Serving

    private func serving(
        _ files: [String: String]? = nil, environment: [String: String] = [:], _ change: (inout GatewayConfiguration) -> Void = { _ in },
        _ body: @Sendable (URL, any TestClientProtocol) async throws -> Void
    ) async throws {
        let page = [
            "index.html": Self.page, "boot.js": String(repeating: "work();\n", count: 100), "lib/dom.js": "//", "icon.svg": "<svg/>",
        ]
        try await folder(files ?? page) { directory in
            let variables = environment.merging(["APIROUTER_WEB_DIR": directory.path]) { own, _ in own }
            try await TestGateway.with(change, environment: variables) { _, client in try await body(directory, client) }
        }
    }

    private func get(
        _ client: any TestClientProtocol, _ path: String, _ method: HTTPRequest.Method = .get, _ headers: HTTPFields = [:]
    ) async throws -> (status: Int, headers: HTTPFields, text: String) {
        try await client.execute(uri: path, method: method, headers: headers, body: nil) { answer in
            (answer.status.code, answer.headers, String(buffer: answer.body))
        }
    }

    /// The prefix of the files' addresses, as the page names it.
    private func assets(_ client: any TestClientProtocol) async throws -> String {
        let text = try await get(client, "/").text
        let match = try #require(text.firstMatch(of: /"(\/assets\/[0-9a-f]{16})\//))
        return String(match.1)
    }

    @Test func `the page answers at each of its addresses, and keeps other code out`() async throws {
        try await serving { _, client in
            for path in ["/", "/login", "/register", "/models", "/models/openai/gpt-4o", "/console", "/console/keys/3?page=2"] {
                let answer = try await get(client, path)
                #expect(answer.status == 200 && answer.text.contains("lang=\"en\"") && !answer.text.contains("__"), "\(path)")
                #expect(answer.headers[.contentType] == "text/html; charset=utf-8" && answer.headers[.cacheControl] == "no-cache")
                let policy = try #require(answer.headers[.contentSecurityPolicy])
                for rule in ["default-src 'none'", "script-src 'self';", "require-trusted-types-for 'script'", "frame-ancestors 'none'"] {
                    #expect(policy.contains(rule), "\(policy)")
                }
                #expect(!policy.contains("unsafe"))
                #expect(answer.headers[.xContentTypeOptions] == "nosniff")
                #expect(
                    answer.headers[HTTPField.Name("Referrer-Policy")!] == "same-origin" && answer.headers[.strictTransportSecurity] == nil)
                #expect(answer.headers[HTTPField.Name("X-Request-Id")!] != nil)
            }
            let elsewhere = try await get(client, "/nothing")
            #expect(elsewhere.status == 404 && elsewhere.text.contains("\"code\":\"not_found\""))
            #expect(try await get(client, "/console", .post).status == 404)
        }
    }

    @Test func `a page that is known is not sent again, and each language is another page`() async throws {
        try await serving { _, client in
            let english = try await get(client, "/")
            let tag = try #require(english.headers[.eTag])
            let again = try await get(client, "/console", .get, [.ifNoneMatch: tag])
            #expect(again.status == 304 && again.text.isEmpty && again.headers[.eTag] == tag)
            let chinese = try await get(client, "/", .get, [.ifNoneMatch: tag, .acceptLanguage: "zh-CN"])
            #expect(chinese.status == 200 && chinese.text.contains("lang=\"zh-CN\"") && chinese.headers[.eTag] != tag)
            let chosen = try await get(client, "/", .get, [.acceptLanguage: "zh-CN", .cookie: "apirouter_lang=en"])
            #expect(chosen.text.contains("lang=\"en\""))
            #expect(chosen.headers[.vary] == "Accept-Encoding, Accept-Language, Cookie")
        }
    }

    @Test func `files are kept for ever under their hash, and another version's are not there`() async throws {
        try await serving { directory, client in
            let assets = try await assets(client)
            let plain = try await get(client, "\(assets)/boot.js")
            #expect(plain.status == 200 && plain.text.hasPrefix("work();") && plain.headers[.contentEncoding] == nil)
            #expect(plain.headers[.contentType] == "text/javascript; charset=utf-8")
            #expect(plain.headers[.cacheControl] == "public, max-age=31536000, immutable" && plain.headers[.vary] == "Accept-Encoding")
            let packed = try await get(client, "\(assets)/boot.js", .get, [.acceptEncoding: "br, gzip;q=0.8"])
            #expect(packed.headers[.contentEncoding] == "gzip" && packed.headers[.contentLength].flatMap(Int.init) ?? .max < 100)
            #expect(try await get(client, "\(assets)/boot.js", .get, [.acceptEncoding: "gzip;q=0"]).headers[.contentEncoding] == nil)
            let head = try await get(client, "\(assets)/boot.js", .head)
            #expect(head.status == 200 && head.text.isEmpty && head.headers[.contentLength] == "800")
            for wrong in [
                "/assets/0123456789abcdef/boot.js", "\(assets)/none.js", "\(assets)/../boot.js", "\(assets)/%2e%2e/boot.js",
                "\(assets)/lib",
                "\(assets)/", assets, "\(assets)//boot.js", "\(assets)/lib/../../../etc/passwd", "/assets/boot.js",
            ] {
                let answer = try await get(client, wrong)
                #expect(answer.status == 404 && answer.headers[.cacheControl] == "no-store", "\(wrong): \(answer.status)")
            }
            #expect(try await get(client, "/favicon.ico").headers[.contentType] == "image/svg+xml")
            #expect(try await get(client, "/robots.txt").text.contains("Disallow: /console"))
            // A change of the folder is for the next start.
            try Data("other()".utf8).write(to: directory.appendingPathComponent("boot.js"))
            #expect(try await get(client, "\(assets)/boot.js").text.hasPrefix("work();"))
        }
    }

    @Test func `while the page is being written, every request reads the folder again`() async throws {
        try await serving(environment: ["APIROUTER_WEB_DEV": "1"]) { directory, client in
            let before = try await assets(client)
            try Data("other()".utf8).write(to: directory.appendingPathComponent("boot.js"))
            let after = try await assets(client)
            #expect(before != after)
            #expect(try await get(client, "\(after)/boot.js").text == "other()")
            #expect(try await get(client, "\(before)/boot.js").status == 404)
            #expect(try await get(client, "\(after)/../../../../etc/passwd").status == 404)
        }
    }

    @Test func `https is demanded where the gateway is reached by it`() async throws {
        try await serving(nil, { $0.server.publicURL = .init("https://gateway.example.org") }) { _, client in
            let answer = try await get(client, "/")
            #expect(answer.headers[.strictTransportSecurity] == "max-age=31536000")
        }
    }

    @Test func `without the console its addresses are not there, and the APIs are`() async throws {
        for turnsOff in [true, false] {
            let environment = turnsOff ? [:] : ["APIROUTER_WEB_DIR": "/nonexistent"]
            try await serving(environment: environment, { $0.console.isEnabled = !turnsOff }) { _, client in
                for path in ["/", "/login", "/models", "/console/keys", "/assets/x/y.js", "/robots.txt", "/favicon.ico"] {
                    let answer = try await get(client, path)
                    #expect(answer.status == 404 && answer.text.contains("path not found"), "\(path)")
                }
                #expect(try await get(client, "/health/live").status == 200)
            }
        }
    }
}
