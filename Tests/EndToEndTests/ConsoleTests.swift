import Foundation
import HTTPTypes
import RouterCore
import Testing

/// The console through the real program: its files, a browser's session, and the playground.
@Suite(.serialized) struct ConsoleTests {
    /// A folder with a small page.
    private func folder(_ body: (URL) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("web-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try Data("<html lang=\"__LANG__\"><script type=module src=\"__ASSETS__/app.js\"></script></html>".utf8)
            .write(to: directory.appendingPathComponent("index.html"))
        try Data("document.title = 'hello';".utf8).write(to: directory.appendingPathComponent("app.js"))
        try await body(directory)
    }

    @Test("issue 15: the page, its files and its language", .timeLimit(.minutes(5)))
    func pages() async throws {
        try await folder { directory in
            try await World.with(environment: ["APIROUTER_WEB_DIR": directory.path]) { world in
                let page = try await world.client.call(.get, "/console/keys", headers: [("Accept-Language", "zh-CN,zh;q=0.9")])
                #expect(page.status == 200 && page.text.contains("lang=\"zh-CN\""), "\(page.text)")
                #expect(page.headers[.cacheControl] == "no-cache" && page.headers[.eTag] != nil)
                let policy = try #require(page.headers[.contentSecurityPolicy])
                #expect(policy.contains("require-trusted-types-for 'script'") && !policy.contains("unsafe"))
                let path = try #require(page.text.firstMatch(of: /src="([^"]+)"/)).1
                let script = try await world.client.call(.get, String(path))
                #expect(script.status == 200 && script.text == "document.title = 'hello';")
                #expect(script.headers[.cacheControl]?.contains("immutable") == true)
                #expect(try await world.client.call(.get, "/assets/0000000000000000/app.js").status == 404)
                #expect(try await world.client.call(.get, "/assets/%2e%2e/%2e%2e/etc/passwd").status == 404)
            }
        }
    }

    @Test("issue 15: without pages the gateway serves its APIs", .timeLimit(.minutes(5)))
    func headless() async throws {
        try await folder { directory in
            try await World.with(
                sections: "console: { enabled: false }", environment: ["APIROUTER_WEB_DIR": directory.path]
            ) { world in
                var statuses: [Int] = []
                for path in ["/", "/console", "/health/live"] { statuses.append(try await world.client.call(.get, path).status) }
                #expect(statuses == [404, 404, 200])
            }
            try await World.with(environment: ["APIROUTER_WEB_DIR": directory.path + "/none"]) { world in
                let front = try await world.client.call(.get, "/")
                let status = try await world.admin.get("/api/status")
                #expect(front.status == 404 && status["data"]?["version"] != nil)
                #expect(world.gateway.log.contains("the console's files cannot be served"))
            }
        }
    }

    @Test("issue 15: a page's session calls a model and is charged, over a restart too", .timeLimit(.minutes(5)))
    func playground() async throws {
        try await World.with { first in
            let made = try await first.admin.makeUser("alice", usd: "1")
            let body = #"{"username":"alice","password":"password-of-the-user","session":true}"#
            let login = try await first.client.call(.post, "/api/user/login", body: body)
            #expect(login.status == 200 && !login.text.contains("access_token"), "\(login.text)")
            let cookie = try #require(login.headers[values: .setCookie].first { $0.hasPrefix("apirouter_session=") }).prefix { $0 != ";" }
            func call(_ world: World, _ path: String, _ body: String, _ more: [(String, String)] = []) async throws -> Client.Answer {
                try await world.client.call(.post, path, body: body, headers: [("Cookie", String(cookie))] + more)
            }
            func chat(_ world: World, _ more: [(String, String)] = []) async throws -> Client.Answer {
                try await call(
                    world, "/api/playground/chat/completions",
                    #"{"model":"sim/cheap","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#,
                    more)
            }
            #expect(try await chat(first).text.contains("playground_closed"))
            #expect(try await call(first, "/api/playground/open", "{}").status == 200)
            let answer = try await chat(first, [("Origin", first.gateway.base)])
            #expect(answer.status == 200 && answer.events.last == "[DONE]" && answer.text.contains("\"cost\":"), "\(answer.text)")
            #expect(try await chat(first, [("Origin", "https://evil.example")]).status == 403)
            // The memory of open sessions ends with the gateway; the session lives on.
            try await first.gateway.stop()
            let second = try await first.restarted()
            #expect(try await chat(second).status == 401)
            #expect(try await call(second, "/api/playground/open", "{}").status == 200)
            #expect(try await chat(second).status == 200)
            let rows = try await second.logRows(2)
            #expect(rows.allSatisfy { $0["token_id"] == .null && $0["user_id"]?.integerValue == made.id }, "\(rows)")
            #expect(rows.allSatisfy { $0["cost"] != .number("0") })
            #expect(try await second.verifyLedger().status == 0)
            await second.client.shutdown()
        }
    }
}
