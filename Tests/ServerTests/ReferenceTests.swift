import Config
import Foundation
import GatewayState
import HTTPTypes
import HummingbirdTesting
import Metering
import NIOCore
import RouterCore
import Storage
import Testing

@testable import Server

/// The references and the code say the same.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ReferenceTests {
    @Test func `docs_api_md and docs_openapi_yaml are what the table of routes says`() throws {
        try GeneratedDocument.check("docs/api.md", APIReference.markdown)
        try GeneratedDocument.check("docs/openapi.yaml", try OpenAPIFile.text(OpenAPIDocument.json))
    }

    @Test func `the served document is the file, and is not sent twice`() async throws {
        let file = try OpenAPIFile.value(
            try String(contentsOf: TestGateway.root.appendingPathComponent("docs/openapi.yaml"), encoding: .utf8))
        try await TestGateway.with { _, client in
            let answer = try await client.call(.get, "/api/openapi.json")
            #expect(answer.status == 200 && answer.headers[.contentType] == "application/json")
            #expect(answer.json == file)
            #expect(OpenAPIDocument.bytes.readableBytes < 768 * 1024)
            let tag = try #require(answer.headers[.eTag])
            for known in [tag, "\"other\", W/\(tag)", "*"] {
                let again = try await client.call(.get, "/api/openapi.json", headers: [.ifNoneMatch: known])
                #expect(again.status == 304 && again.headers[.eTag] == tag && again.json == .null, "\(known)")
            }
            #expect(try await client.call(.get, "/api/openapi.json", headers: [.ifNoneMatch: "\"other\""]).status == 200)
        }
    }

    @Test func `descriptions fit their routes`() {
        for route in GatewayRoutes.all {
            let description = route.description
            let label = "\(route.method) \(route.path)"
            let template = route.path.split(separator: "/").compactMap { part -> String? in
                part == "**" ? description.path.last?.name : part.hasPrefix("{") ? String(part.dropFirst().dropLast()) : nil
            }
            #expect(description.path.map(\.name) == template, "\(label)")
            #expect(description.summary.hasSuffix(".") || description.summary.hasSuffix(")."), "\(label)")
            if case .none = description.body {} else { #expect([.post, .put, .patch].contains(route.method), "\(label)") }
            let example = (description.example.path ?? route.path).split(separator: "?")[0]
            let isCall = description.methods.contains { example.hasSuffix(":" + $0) }
            #expect(isCall || OuterMiddleware.matches(route.path, String(example)) || route.path.hasPrefix("/api/v1"), "\(label)")
        }
        // An id is one call; a shape of a name is one shape.
        for (id, routes) in Dictionary(grouping: GatewayRoutes.all, by: \.description.id) {
            #expect(Set(routes.map(\.description.summary)).count == 1, "\(id)")
        }
        for (name, shapes) in Dictionary(grouping: GatewayRoutes.all.flatMap(\.description.shapes), by: \.name) {
            #expect(Set(shapes.map { "\($0.fields.map(\.name))" }).count == 1, "\(name)")
        }
    }

    @Test func `every operation has a name of its own`() throws {
        guard case .object(let paths) = try #require(OpenAPIDocument.json["paths"]) else { return }
        let names = paths.flatMap { path -> [String] in
            guard case .object(let operations) = path.value else { return [] }
            return operations.compactMap { $0.value["operationId"]?.stringValue }
        }
        #expect(names.count > 60 && Set(names).count == names.count)
    }

    // MARK: Against a gateway

    /// A gateway as the examples expect it: root with money, a session and a charged call, and a user with a key.
    private struct World {
        let client: any TestClientProtocol
        let manager: String
        /// Stands in the examples for random ids.
        var drawn: [(placeholder: String, id: String)] = []

        func call(
            _ route: Route, _ path: String? = nil, body: JSONValue? = nil, headers: HTTPFields = [:]
        ) async throws -> (
            status: Int, json: JSONValue
        ) {
            var path = path ?? route.description.example.path ?? route.path
            var text = body?.text
            for (placeholder, id) in drawn {
                path = path.replacingOccurrences(of: placeholder, with: id)
                text = text?.replacingOccurrences(of: placeholder, with: id)
            }
            let token: String? =
                switch route.access {
                case .managementKey: manager
                case .apiKey, .anyKey: headers[HTTPField.Name("x-goog-api-key")!] == nil ? TestGateway.rootKey : nil
                case .open where route.path != "/metrics" && !route.path.hasPrefix("/api/stats/"): nil
                default: TestGateway.adminToken
                }
            let answer = try await client.call(route.method, path, token: token, body: text, headers: headers)
            return (answer.status, answer.json)
        }
    }

    /// A copy of the shipped configuration in which people may register: some examples have the files read again, and none may change
    /// those of the repository.
    private static func configuration() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("reference-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in ["config", "providers"] {
            try FileManager.default.copyItem(at: TestGateway.root.appendingPathComponent(name), to: folder.appendingPathComponent(name))
        }
        let file = folder.appendingPathComponent("config/gateway.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        let changed = text.replacingOccurrences(of: "server:   { ", with: "server:   { registration: true, ")
        try #require(changed != text)
        try changed.write(to: file, atomically: true, encoding: .utf8)
        return folder
    }

    private func with(_ body: @Sendable (World) async throws -> Void) async throws {
        let folder = try Self.configuration()
        defer { try? FileManager.default.removeItem(at: folder) }
        try await TestGateway.with(at: folder.appendingPathComponent("config/gateway.yaml").path) { gateway, client in
            @discardableResult func call(
                _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, token: String? = TestGateway.adminToken
            ) async throws -> (headers: HTTPFields, json: JSONValue) {
                let answer = try await client.call(method, path, token: token, body: body)
                try #require(answer.status == 200, "\(path): \(answer.json.text)")
                return (answer.headers, answer.json)
            }
            try await call(.post, "/api/user", #"{"username":"alice","password":"alices-password"}"#)
            let login = try await call(.post, "/api/user/login", #"{"username":"alice","password":"alices-password"}"#, token: nil)
            let alice = try #require(login.json["data"]?["access_token"]?.stringValue)
            try await call(.post, "/api/token", #"{"name":"old laptop"}"#, token: alice)
            try await call(.post, "/api/user/login", #"{"username":"root","password":"the-root-password"}"#, token: nil)
            let sessions = try await call(.get, "/api/user/self/sessions").json["data"]?.arrayValue ?? []
            let session = try #require(sessions.first { $0["kind"]?.stringValue == "session" }?["id"]?.stringValue)
            try await call(.post, "/api/balance/admin/add", #"{"user_id":1,"amount":10,"reference_id":"of the tests"}"#)
            let chat = try await call(
                .post, "/v1/chat/completions", #"{"model":"demo/echo","messages":[{"role":"user","content":"hi"}]}"#,
                token: TestGateway.rootKey)
            let charge = try #require(chat.headers[HTTPField.Name("X-Request-Id")!])
            try await gateway.gateway.parts.poster.drainOnce()
            let response = try await call(.post, "/v1/responses", #"{"model":"demo/echo","input":"hi"}"#, token: TestGateway.rootKey)
            let conversation = try await call(
                .post, "/v1/conversations", #"{"items":[{"id":"msg_example","role":"user","content":"hi"}]}"#, token: TestGateway.rootKey)
            let made = try await call(.post, "/api/token", #"{"name":"manager","management":true}"#)
            let manager = try #require(made.json["data"]?["key"]?.stringValue)
            let provisioned = try await client.call(.post, "/api/v1/keys", token: manager, body: #"{"name":"of the examples"}"#)
            let hash = try #require(provisioned.json["data"]?["hash"]?.stringValue, "\(provisioned.json.text)")
            let (file, batch) = try await TestGateway.batch(client)
            try await call(.post, "/api/redemption/batch", #"{"name":"of the tests","amount":1,"count":1,"kind":"cash"}"#)
            try await call(.post, "/api/channel", #"{"name":"of the examples","provider":"demo","models":["demo/echo"]}"#)
            try await call(
                .post, "/api/provider", #"{"name":"acme","base_url":"https://acme.example/v1","models":[{"name":"acme-1","free":true}]}"#)
            // Her organisation is the account 3, with a link that is used and one that is not.
            try await call(.post, "/api/organization", #"{"name":"of the examples"}"#, token: alice)
            let invitation = try await call(.post, "/api/organization/3/invitations", #"{"note":"of the examples"}"#, token: alice)
            try await call(.post, "/api/organization/3/invitations", "{}", token: alice)
            var world = World(client: client, manager: manager)
            world.drawn = [
                (String(repeating: "0", count: 64), hash), ("0123456789abcdef", session), ("00000000-0000-0000-0000-000000000000", charge),
                ("resp_example", try #require(response.json["id"]?.stringValue)),
                ("file-example", file), ("batch_example", batch),
                ("inv-example", try #require(invitation.json["data"]?["code"]?.stringValue)),
                ("conv_example", try #require(conversation.json["id"]?.stringValue)),
            ]
            let held = HeldPrices.Entry(
                source: .vendor, row: PricingRow(modelName: "demo/held", displayName: "Held", provider: "demo", price: .free),
                changes: "input 3 → 0")
            try await HeldPrices.replace(.vendor, of: "demo", by: [held], in: gateway.gateway.parts.store)
            try await body(world)
        }
    }

    /// Behind the handlers, in an order in which one example does not spoil the next; each description once.
    private var routes: [Route] {
        func rank(_ route: Route) -> Int {
            if route.path == "/api/user/logout" { return 4 }
            // Before the example of a price, which drops the tier that batches are charged at.
            if route.path == "/v1/batches" { return 0 }
            return [.get: 0, .put: 1, .post: 2][route.method] ?? 3
        }
        var seen: Set<String> = []
        let all = GatewayRoutes.all.filter { route in
            guard case .handler = route.work else { return false }
            // A form cannot be an example; one has been sent for the file that is there.
            return route.description.methods.isEmpty && !route.description.body.isForm && seen.insert(route.description.id).inserted
        }
        let ordered = all.enumerated().sorted { left, right in
            let ranks = (rank(left.element), rank(right.element))
            if ranks.0 != ranks.1 { return ranks.0 < ranks.1 }
            // Rows that refer to others are deleted first.
            if ranks.0 == 3 { return left.element.path.utf8.count > right.element.path.utf8.count }
            return left.offset < right.offset
        }
        return ordered.map(\.element)
    }

    @Test func `every example works and is answered in the described shape`() async throws {
        try await with { world in
            for route in routes {
                let description = route.description
                let answer = try await world.call(route, body: description.example.body)
                let label = "\(route.method) \(route.path)"
                let expected = description.example.status == 200 ? description.status : description.example.status
                #expect(answer.status == expected, "\(label): \(answer.json.text)")
                if answer.status != description.status { continue }
                switch description.answer {
                case .raw: break
                case .json(let kind): #expect(Shape.problems(answer.json, kind) == [], "\(label)")
                case .data, .page:
                    #expect(answer.json["success"] == true && answer.json["message"] == "", "\(label)")
                    let data = answer.json["data"]
                    guard let kind = description.answer.data else {
                        #expect(data == .null, "\(label)")
                        continue
                    }
                    #expect(Shape.problems(try #require(data), kind) == [], "\(label): \(answer.json.text)")
                    if case .page = description.answer, !["/api/ledger/unreconciled"].contains(route.path) {
                        #expect(data?["items"]?.arrayValue?.isEmpty == false, "\(label): an example shows something")
                    }
                }
            }
        }
    }

    @Test func `each described field of a body is read, and no other is taken`() async throws {
        try await with { world in
            for route in routes {
                guard case .json(let fields, _) = route.description.body else { continue }
                let label = "\(route.method) \(route.path)"
                func with(_ name: String, _ value: JSONValue) -> JSONValue {
                    .object((members(route.description.example.body).filter { $0.name != name }) + [.init(name, value)])
                }
                for field in fields {
                    // No field takes a list of lists.
                    let answer = try await world.call(route, body: with(field.name, [[true]]))
                    #expect(answer.status == 400, "\(label): \(field.name): \(answer.json.text)")
                    #expect(message(answer.json)?.contains("'\(field.name)") == true, "\(label): \(answer.json.text)")
                }
                for field in fields where field.isRequired {
                    let rest = members(route.description.example.body).filter { $0.name != field.name }
                    #expect(try await world.call(route, body: .object(rest)).status == 400, "\(label) without \(field.name)")
                }
                let other = try await world.call(route, body: with("surprise", true))
                #expect(other.status == 400, "\(label)")
                #expect(message(other.json)?.hasPrefix("unknown field 'surprise'") == true, "\(label): \(other.json.text)")
            }
        }
    }

    /// The words of an error of the management API, or of the model area.
    private func message(_ json: JSONValue) -> String? { (json["message"] ?? json["error"]?["message"])?.stringValue }

    private func members(_ value: JSONValue?) -> [JSONValue.Member] { if case .object(let members) = value { members } else { [] } }

    @Test func `each described parameter of a query is read`() async throws {
        try await with { world in
            for route in routes {
                for field in route.description.query {
                    let label = "\(route.method) \(route.path) \(field.name)"
                    var headers = HTTPFields()
                    if ModelDescriptions.anthropicPage.contains(where: { $0.name == field.name }), route.path == "/v1/models" {
                        headers[HTTPField.Name("anthropic-version")!] = "2023-06-01"
                    } else if ModelDescriptions.googlePage.contains(where: { $0.name == field.name }) {
                        headers[HTTPField.Name("x-goog-api-key")!] = TestGateway.rootKey
                    }
                    let parts = (route.description.example.path ?? route.path).split(separator: "?", maxSplits: 1)
                    let others = (parts.count > 1 ? parts[1].split(separator: "&") : []).filter { !$0.hasPrefix(field.name + "=") }
                    let base = String(parts[0]) + "?" + others.joined(separator: "&")
                    let wrong = try await world.call(route, "\(base)&\(field.name)=no-such", headers: headers)
                    if wrong.status == 400 {
                        #expect(wrong.json.text.contains("'\(field.name)'"), "\(label): \(wrong.json.text)")
                    } else {
                        // Any text will do: then it makes a difference.
                        let plain = try await world.call(route, base, headers: headers)
                        #expect(wrong.json != plain.json, "\(label): \(wrong.json.text)")
                    }
                }
            }
        }
    }
}

/// Whether a value is what a declaration says, no more and no less.
private enum Shape {
    static func problems(_ value: JSONValue, _ kind: APIField.Kind, _ path: String = "$") -> [String] {
        func expect(_ isFine: Bool, _ what: String) -> [String] { isFine ? [] : ["\(path): \(value.text.prefix(80)) is no \(what)"] }
        switch kind {
        case .text: return expect(value.stringValue != nil, "text")
        case .choice(let values): return expect(value.stringValue.map(values.contains) == true, "one of \(values)")
        case .integer(let range): return expect(value.integerValue.map(range.contains) == true, "number in \(range)")
        case .code(let values): return expect(values.contains { $0.value == value.integerValue }, "one of \(values)")
        case .time: return expect(value.integerValue != nil, "time")
        case .boolean: return expect(value.boolValue != nil, "boolean")
        case .usd, .price: return expect(value.numberText != nil, "amount")
        case .decimal: return expect(value.numberText != nil, "number")
        case .list(let element, let maximum):
            guard let list = value.arrayValue, list.count <= maximum ?? .max else { return expect(false, "list") }
            return list.enumerated().flatMap { problems($0.element, element, "\(path)[\($0.offset)]") }
        case .object(let fields): return object(value, fields, path)
        case .shape(let shape): return object(value, shape.fields, path)
        case .file: return expect(false, "file")
        case .any: return []
        }
    }

    private static func object(_ value: JSONValue, _ fields: [APIField], _ path: String) -> [String] {
        guard case .object(let members) = value else { return ["\(path): \(value.text.prefix(80)) is no object"] }
        var all = members.filter { member in !fields.contains { $0.name == member.name } }.map { "\(path).\($0.name) is not described" }
        for field in fields {
            guard let value = value[field.name] else {
                if field.isRequired { all.append("\(path).\(field.name) is missing") }
                continue
            }
            if value.isNull, field.isNullable { continue }
            all += problems(value, field.kind, "\(path).\(field.name)")
        }
        return all
    }
}
