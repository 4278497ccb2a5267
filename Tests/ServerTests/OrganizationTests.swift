import Foundation
import HTTPTypes
import HummingbirdTesting
import RouterCore
import Storage
import Testing

@testable import GatewayState
@testable import Metering
@testable import Server

/// Wallets that users share, through the management API and model calls.
@Suite(.serialized, .timeLimit(.minutes(10))) struct OrganizationTests {
    /// A gateway with an organisation of ten dollars and one user of each role there, a stranger and an administrator of the gateway.
    private struct Setting: Sendable {
        var gateway: TestGateway
        var client: any TestClientProtocol
        var id: Int64
        /// Sessions by name: the four roles, `stranger`, `gateway` (its administrator) and `root`.
        var tokens: [String: String]
        var ids: [String: Int64]

        func call(
            _ name: String, _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil
        ) async throws -> (status: Int, json: JSONValue) {
            let answer = try await client.call(method, path, token: tokens[name], body: body)
            return (answer.status, answer.json)
        }

        func data(_ name: String, _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil) async throws -> JSONValue {
            let (status, json) = try await call(name, method, path, body)
            return try #require(status == 200 ? json["data"] : nil, "\(name) \(method) \(path): \(status) \(json.text)")
        }

        var path: String { "/api/organization/\(id)" }

        func key(_ name: String, _ more: String = "") async throws -> String {
            let made = try await data(name, .post, "/api/token", #"{"name":"k","organization_id":\#(id)\#(more)}"#)
            return try #require(made["key"]?.stringValue)
        }

        /// Makes a user what the user's name says there, or something else, without asking.
        func restore(_ name: String, as role: OrganizationRole? = nil) async throws {
            let store = gateway.gateway.parts.store
            let user = try #require(ids[name])
            let before = try await store.membership(id, userID: user)
            let role = try #require(role ?? OrganizationRole(rawValue: name))
            try await store.setMember(
                OrganizationMembership(accountID: id, userID: user, role: role, createdAt: 1), before: before, most: 10,
                audit: AuditEntry(actorID: nil, action: "test", at: 1))
            gateway.gateway.parts.keys.setMembership(id, userID: user, try await store.membership(id, userID: user))
        }

        func chat(_ key: String) async throws -> (status: Int, json: JSONValue) {
            let body = #"{"model":"demo/echo","messages":[{"role":"user","content":"one two three"}]}"#
            let answer = try await client.call(.post, "/v1/chat/completions", token: key, body: body)
            return (answer.status, answer.json)
        }
    }

    private func with(_ body: @Sendable (Setting) async throws -> Void) async throws {
        try await TestGateway.with { gateway, client in
            var setting = Setting(gateway: gateway, client: client, id: 0, tokens: ["root": TestGateway.adminToken], ids: ["root": 1])
            for name in OrganizationRole.allCases.map(\.rawValue) + ["stranger", "gateway"] {
                let made = try await setting.data(
                    "root", .post, "/api/user",
                    #"{"username":"user-\#(name)","password":"the-password","role":\#(name == "gateway" ? 10 : 1)}"#)
                setting.ids[name] = made["id"]?.integerValue
                let login = try await client.call(
                    .post, "/api/user/login", body: #"{"username":"user-\#(name)","password":"the-password"}"#)
                setting.tokens[name] = login.json["data"]?["access_token"]?.stringValue
            }
            let made = try await setting.data("owner", .post, "/api/organization", #"{"name":" Research "}"#)
            #expect(made["name"] == "Research" && made["role"] == "owner")
            setting.id = try #require(made["id"]?.integerValue)
            for role in ["admin", "billing", "member"] {
                let made = try await setting.data("owner", .post, "\(setting.path)/invitations", #"{"role":"\#(role)"}"#)
                let code = try #require(made["code"]?.stringValue)
                let seen = try await setting.data(role, .post, "/api/organization/invitation", #"{"code":"\#(code)"}"#)
                #expect(seen["name"] == "Research" && seen["role"]?.stringValue == role)
                _ = try await setting.data(role, .post, "/api/organization/join", #"{"code":"\#(code)"}"#)
                let again = try await setting.call("stranger", .post, "/api/organization/join", #"{"code":"\#(code)"}"#)
                #expect(again.status == 409 && again.json["code"] == "invitation_used")
            }
            _ = try await setting.data("root", .post, "/api/balance/admin/add", #"{"user_id":\#(setting.id),"amount":10}"#)
            try await body(setting)
        }
    }

    /// One line for each route: who may call it, with a body that is right.
    private static let table: [(method: HTTPRequest.Method, path: String, body: String?, roles: Set<String>)] = {
        let everybody: Set = ["owner", "admin", "billing", "member"]
        let money: Set = ["owner", "admin", "billing"]
        let admins: Set = ["owner", "admin"]
        return [
            (.get, "", nil, everybody), (.put, "", #"{"name":"Research"}"#, admins),
            (.get, "/members", nil, money), (.put, "/members/{member}", #"{"limits":{}}"#, admins),
            (.put, "/members/{member}", #"{"role":"billing"}"#, admins), (.put, "/members/{member}", #"{"role":"admin"}"#, ["owner"]),
            (.put, "/members/{owner}", #"{"limits":{"rpm":1}}"#, []),
            (.get, "/invitations", nil, admins), (.post, "/invitations", #"{"role":"member"}"#, admins),
            (.post, "/invitations", #"{"role":"admin"}"#, ["owner"]), (.delete, "/members/{member}", nil, admins.union(["member"])),
            (.delete, "/members/{admin}", nil, ["owner", "admin"]), (.delete, "", nil, []),
            (.get, "/api/account?organization_id={id}", nil, money),
            (.get, "/api/balance/transactions?organization_id={id}&before_id=0", nil, everybody),
            (.get, "/api/balance/transactions?organization_id={id}&before_id=0&user_id=1", nil, money),
            (.get, "/api/log/self?organization_id={id}", nil, everybody),
            (.get, "/api/stats/series?organization_id={id}&by=token", nil, everybody),
            (.get, "/api/stats/top?organization_id={id}&by=user", nil, everybody),
            (.get, "/api/token?organization_id={id}", nil, everybody),
            (.post, "/api/token", #"{"name":"own","organization_id":{id}}"#, ["owner", "admin", "member"]),
            (.post, "/api/token", #"{"name":"shared","organization_id":{id},"shared":true}"#, admins),
            (.post, "/api/playground/open?organization_id={id}", nil, ["owner", "admin", "member"]),
        ]
    }()

    @Test func `who may do what is one table`() async throws {
        try await with { setting in
            func filled(_ text: String) -> String {
                setting.ids.reduce(text.replacingOccurrences(of: "{id}", with: "\(setting.id)")) {
                    $0.replacingOccurrences(of: "{\($1.key)}", with: "\($1.value)")
                }
            }
            for line in Self.table {
                let path = filled(line.path.hasPrefix("/api/") ? line.path : setting.path + line.path)
                for name in ["owner", "admin", "billing", "member", "stranger"] {
                    let answer = try await setting.call(name, line.method, path, line.body.map(filled))
                    let label = "\(name): \(line.method) \(path) \(line.body ?? ""): \(answer.status) \(answer.json.text)"
                    if name == "stranger" {
                        #expect(answer.status == 404, "\(label)")
                    } else if line.roles.contains(name) {
                        #expect(answer.status == 200, "\(label)")
                    } else {
                        // Routes that no role may use are refused for another reason: one's own limits, an owner's, or money that is left.
                        #expect(answer.status == 403 || answer.status == 409 && line.roles.isEmpty, "\(label)")
                    }
                    // Undo the change for the next caller.
                    for role in ["member", "admin"] {
                        try await setting.restore(role)
                    }
                }
            }
        }
    }

    @Test func `members spend the organisation's money, each within their own limits`() async throws {
        try await with { setting in
            let key = try await setting.key("member")
            let first = try await setting.chat(key)
            #expect(first.status == 200, "\(first.json.text)")
            let parts = setting.gateway.gateway.parts
            try await parts.poster.drainOnce()
            let charged = try await setting.data(
                "owner", .get, "/api/balance/transactions?organization_id=\(setting.id)&before_id=0&type=usage")
            let row = try #require(charged["items"]?.arrayValue?.first)
            #expect(row["user_id"]?.integerValue == setting.ids["member"] && row["account_id"]?.integerValue == setting.id)
            let own = try await setting.data("member", .get, "/api/account")
            #expect(own["balance"]?.numberText == "0" && own["kind"] == "user", "\(own.text)")
            let wallet = try await setting.data("billing", .get, "/api/account?organization_id=\(setting.id)")
            #expect(wallet["kind"] == "organization" && wallet["spent"]?["total"] != .number("0"), "\(wallet.text)")
            let members = try await setting.data("owner", .get, "\(setting.path)/members")
            let spent = members["items"]?.arrayValue?.first { $0["user_id"]?.integerValue == setting.ids["member"] }?["spent"]?["total"]
            #expect(spent?.numberText == row["amount"]?.numberText?.replacingOccurrences(of: "-", with: ""), "\(members.text)")

            // The member's, the organisation's and the key's bounds all hold.
            let path = "\(setting.path)/members/\(try #require(setting.ids["member"]))"
            _ = try await setting.data("admin", .put, path, #"{"limits":{"budget":{"total":0}}}"#)
            let refused = try await setting.chat(key)
            #expect(refused.status == 402, "\(refused.json.text)")
            #expect(try await setting.chat(setting.key("admin")).status == 200, "another member's budget is another's")
            _ = try await setting.data("admin", .put, path, #"{"limits":{}}"#)
            #expect(try await setting.chat(key).status == 200)
            _ = try await setting.data("owner", .put, setting.path, #"{"limits":{"budget":{"total":0}}}"#)
            #expect(try await setting.chat(key).status == 402)
            _ = try await setting.data("owner", .put, setting.path, #"{"limits":{}}"#)
            // The gateway's part is not the owner's to raise.
            _ = try await setting.data("gateway", .put, setting.path, #"{"limits":{"rpm":5}}"#)
            let raised = try await setting.call("owner", .put, setting.path, #"{"limits":{"rpm":6}}"#)
            #expect(raised.status == 403 && raised.json["code"] == "limits_not_allowed", "\(raised.json.text)")
            #expect(try await parts.store.verify().differences == [])
        }
    }

    @Test func `whoever leaves cannot call any more, and the organisation's own keys stay`() async throws {
        try await with { setting in
            let own = try await setting.key("member")
            let shared = try await setting.key("admin", #","shared":true"#)
            #expect(try await setting.chat(own).status == 200)
            let left = try await setting.data("member", .delete, "\(setting.path)/members/\(try #require(setting.ids["member"]))")
            #expect(left["disabled_keys"] == .number("1"))
            #expect(try await setting.chat(own).status == 401)
            #expect(try await setting.call("member", .get, setting.path).status == 404)
            _ = try await setting.data("owner", .delete, "\(setting.path)/members/\(try #require(setting.ids["admin"]))")
            #expect(try await setting.chat(shared).status == 200)
            let last = try await setting.call("owner", .delete, "\(setting.path)/members/\(try #require(setting.ids["owner"]))")
            #expect(last.status == 409 && last.json["code"] == "organization_conflict", "\(last.json.text)")
            // Billing makes no calls, also with a key from before.
            try await setting.restore("billing", as: .member)
            let key = try await setting.key("billing")
            _ = try await setting.data(
                "owner", .put, "\(setting.path)/members/\(try #require(setting.ids["billing"]))", #"{"role":"billing"}"#)
            #expect(try await setting.chat(key).status == 401)
            // A disabled organisation pays for nothing.
            _ = try await setting.data("gateway", .put, setting.path, #"{"status":2}"#)
            #expect(try await setting.chat(shared).status == 401)
            let name = try await setting.call("owner", .put, setting.path, #"{"name":"x"}"#)
            #expect(name.status == 403 && name.json["code"] == "organization_disabled")
        }
    }

    @Test func `an organisation is no user, and nobody fills their own`() async throws {
        try await with { setting in
            for (method, path) in [(.get, ""), (.put, ""), (.delete, "")] as [(HTTPRequest.Method, String)] {
                let answer = try await setting.call(
                    "root", method, "/api/user/\(setting.id)\(path)", method == .put ? #"{"email":"a@b"}"# : nil)
                #expect(answer.status == 404, "\(method) \(answer.json.text)")
            }
            // An administrator of the gateway gets no place there, and no secret of its keys, by their own doing.
            let place = "\(setting.path)/members/\(try #require(setting.ids["gateway"]))"
            for (method, path, body) in [
                (.put, place, #"{"role":"owner"}"#), (.post, "\(setting.path)/invitations", #"{"role":"member"}"#),
                (.post, "/api/token", #"{"name":"k","organization_id":\#(setting.id),"shared":true}"#),
            ] as [(HTTPRequest.Method, String, String)] {
                let answer = try await setting.call("gateway", method, path, body)
                #expect(answer.status == 403, "\(path): \(answer.json.text)")
            }
            let users = try await setting.data("root", .get, "/api/user?page_size=100")
            #expect(users["items"]?.arrayValue?.contains { $0["id"]?.integerValue == setting.id } == false)
            _ = try await setting.data(
                "root", .put, "\(setting.path)/members/\(try #require(setting.ids["gateway"]))", #"{"role":"member"}"#)
            let added = try await setting.call("gateway", .post, "/api/balance/admin/add", #"{"user_id":\#(setting.id),"amount":1}"#)
            #expect(added.status == 403 && added.json["code"] == "own_account", "\(added.json.text)")
            #expect(
                try await setting.call("owner", .post, "/api/balance/admin/add", #"{"user_id":\#(setting.id),"amount":1}"#).status == 403)
            let ended = try await setting.call("owner", .delete, setting.path)
            #expect(ended.status == 409 && ended.json["code"] == "balance_left", "\(ended.json.text)")
            _ = try await setting.data("root", .post, "/api/balance/admin/add", #"{"user_id":\#(setting.id),"amount":-10}"#)
            _ = try await setting.data("owner", .delete, setting.path)
            #expect(try await setting.call("owner", .get, setting.path).status == 404)
            #expect(try await setting.gateway.gateway.parts.store.verify().differences == [])
        }
    }
}
