import Config
import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import Metering
import NIOCore
import Platform
import RouterCore
import Storage
import Synchronization
import Testing

@testable import GatewayState
@testable import Server

/// Gifts, redemption codes and levels over HTTP.
@Suite(.serialized, .timeLimit(.minutes(10))) struct CreditTests {
    private typealias Answer = (status: Int, headers: HTTPFields, json: JSONValue)

    /// A clock that stands where it is put.
    private final class Wall: Sendable {
        private let seconds = Mutex<Int64>(ServerClock.system.unixSeconds)
        func move(_ by: Int64) { seconds.withLock { $0 += by } }
        var now: Int64 { seconds.withLock { $0 } }
        var clock: ServerClock {
            ServerClock(wall: { (self.now, 0) }, monotonic: { ServerClock.system.monotonic })
        }
    }

    private func data(
        _ client: any TestClientProtocol, _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil,
        token: String = TestGateway.adminToken
    ) async throws -> JSONValue {
        let answer = try await client.call(method, path, token: token, body: body)
        try #require(answer.status == 200, "\(method) \(path): \(answer.json.text)")
        return answer.json["data"] ?? .null
    }

    /// - Returns: status and code of an error.
    private func refusal(
        _ client: any TestClientProtocol, _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil,
        token: String = TestGateway.adminToken
    ) async throws -> String {
        let answer = try await client.call(method, path, token: token, body: body)
        return "\(answer.status) \(answer.json["code"]?.stringValue ?? answer.json.text)"
    }

    /// Makes a user and logs in. - Returns: the id and a management token.
    private func person(_ client: any TestClientProtocol, _ name: String, role: Int = 1) async throws -> (id: Int64, token: String) {
        let made = try await data(client, .post, "/api/user", #"{"username":"\#(name)","password":"a-long-password","role":\#(role)}"#)
        let login = try await client.call(.post, "/api/user/login", body: #"{"username":"\#(name)","password":"a-long-password"}"#)
        return (try #require(made["id"]?.integerValue), try #require(login.json["data"]?["access_token"]?.stringValue))
    }

    private func chat(_ client: any TestClientProtocol, _ key: String) async throws -> Int {
        try await client.call(
            .post, "/v1/chat/completions", token: key, body: #"{"model":"demo/echo","messages":[{"role":"user","content":"hi"}]}"#
        ).status
    }

    @Test func `a gift pays before cash, ends once, and is told to its owner`() async throws {
        let wall = Wall()
        try await TestGateway.with(clock: wall.clock) { gateway, client in
            let ada = try await person(client, "ada")
            let key = try #require(try await data(client, .post, "/api/token", #"{"name":"k"}"#, token: ada.token)["key"]?.stringValue)
            let end = wall.now + 100
            let body = #"{"account_id":\#(ada.id),"amount":2,"expires_at":\#(end),"reference_id":"welcome"}"#
            let granted = try await data(client, .post, "/api/credit", body)
            #expect(granted["left"]?.numberText == "2" && granted["repeated"] == false && granted["expires_at"]?.integerValue == end)
            #expect(try await data(client, .post, "/api/credit", body)["repeated"] == true)
            _ = try await data(client, .post, "/api/balance/admin/add", #"{"user_id":\#(ada.id),"amount":1}"#)
            let before = try await data(client, .get, "/api/balance", token: ada.token)
            #expect(before["balance"]?.numberText == "3" && before["gifts"]?.numberText == "2", "\(before.text)")
            #expect(try await chat(client, key) == 200)
            try await gateway.gateway.parts.poster.drainOnce()
            let rows = try await data(client, .get, "/api/balance/transactions?type=usage", token: ada.token)["items"]?.arrayValue ?? []
            let row = try #require(rows.first)
            let charge = try NanoUSD(usd: try #require(row["amount"]?.numberText)).negated()
            #expect(charge.isPositive && row["gift"]?.numberText == charge.usdText && row["source"] == .null, "\(row.text)")
            let gift = try #require(try await data(client, .get, "/api/credit", token: ada.token)["items"]?.arrayValue?.first)
            #expect(gift["spent"]?.numberText == charge.usdText && gift["state"] == "open")

            let parts = gateway.gateway.parts
            let keeper = CreditKeeper(store: parts.store, meter: parts.meter, clock: wall.clock, logger: Logger(label: "test"))
            #expect(try await keeper.expire(most: 10) == 0)
            wall.move(100)
            #expect(try await keeper.expire(most: 10) == 1)
            #expect(try await keeper.expire(most: 10) == 0)
            let after = try await data(client, .get, "/api/balance", token: ada.token)
            #expect(after["balance"]?.numberText == "1" && after["gifts"]?.numberText == "0" && after["available"]?.numberText == "1")
            // Only the rest can be spent: the gateway had leased all of it.
            #expect(try await chat(client, key) == 200)
            try await parts.poster.drainOnce()
            let last = try await data(client, .get, "/api/balance/transactions", token: ada.token)["items"]?.arrayValue ?? []
            #expect(last.map { $0["source"]?.stringValue } == [nil, "gift_expired", nil, nil, "gift"], "\(last)")
            #expect(last.first?["gift"]?.numberText == "0")
            let ended = try await data(client, .get, "/api/credit?state=expired", token: ada.token)["items"]?.arrayValue?.first
            #expect(ended?["expired"]?.numberText == (try NanoUSD(usd: "2").subtracting(charge)).usdText)
            #expect(try await parts.store.verify().differences == [])
        }
    }

    @Test func `gifts are given with authority over the account, and seen by their owners`() async throws {
        try await TestGateway.with { gateway, client in
            let ada = try await person(client, "ada")
            let admin = try await person(client, "admin", role: 10)
            let peer = try await person(client, "peer", role: 10)
            func grant(_ id: Int64, _ token: String, _ more: String = "") async throws -> String {
                try await refusal(client, .post, "/api/credit", #"{"account_id":\#(id),"amount":1\#(more)}"#, token: token)
            }
            #expect(try await grant(ada.id, ada.token) == "403 role_too_low")
            #expect(try await grant(admin.id, admin.token) == "403 own_account")
            #expect(try await grant(peer.id, admin.token) == "403 role_too_low")
            #expect(try await grant(999, admin.token) == "404 not_found")
            #expect(
                try await client.call(.post, "/api/credit", token: admin.token, body: #"{"account_id":\#(ada.id),"amount":"1.5"}"#).status
                    == 200)
            #expect(try await grant(ada.id, TestGateway.adminToken, #","reference_id":"one""#).hasPrefix("200"))
            #expect(try await grant(ada.id, TestGateway.adminToken, #","reference_id":"one","expires_at":99999999999"#) == "409 conflict")
            for (field, value) in [
                ("amount", "0"), ("amount", "-1"), ("amount", "1000001"), ("expires_at", "1"), ("reference_id", #""gift:1:expired""#),
                ("reference_id", #""code:1""#),
            ] {
                let wrong =
                    field == "amount"
                    ? #"{"account_id":\#(ada.id),"amount":\#(value)}"# : #"{"account_id":\#(ada.id),"amount":1,"\#(field)":\#(value)}"#
                #expect(try await refusal(client, .post, "/api/credit", wrong) == "400 invalid_field", "\(field): \(value)")
            }
            #expect(
                try await refusal(client, .post, "/api/balance/admin/add", #"{"user_id":1,"amount":1,"reference_id":"one"}"#)
                    == "409 conflict")
            let own = try await data(client, .get, "/api/credit", token: ada.token)["items"]?.arrayValue ?? []
            #expect(own.count == 2 && own.allSatisfy { $0["account_id"]?.integerValue == ada.id })
            #expect(try await refusal(client, .get, "/api/credit?account_id=1", token: ada.token) == "403 role_too_low")
            let seen = try await data(client, .get, "/api/credit?account_id=\(ada.id)&page_size=1", token: admin.token)
            #expect(seen["items"]?.arrayValue?.count == 1 && seen["next_before_id"]?.integerValue != nil)
            #expect(try await data(client, .get, "/api/credit?account_id=0", token: admin.token)["items"]?.arrayValue?.count == 2)
            let rows = try await gateway.gateway.parts.store.auditRows(PageRequest(page: 1, size: 100)).items
            #expect(rows.filter { $0.action == "credit.grant" }.map(\.actorID) == [1, admin.id])
            #expect(try await gateway.gateway.parts.store.verify().differences == [])
        }
    }

    @Test func `a code is shown once, and redeemed once as it is typed`() async throws {
        let wall = Wall()
        try await TestGateway.with({ $0.groups["vip"] = .one }, clock: wall.clock) { gateway, client in
            let ada = try await person(client, "ada")
            let bob = try await person(client, "bob")
            let admin = try await person(client, "admin", role: 10)
            func redeem(_ code: String, _ token: String) async throws -> String {
                try await refusal(client, .post, "/api/redemption/redeem", #"{"code":"\#(code)"}"#, token: token)
            }
            let made = try await data(
                client, .post, "/api/redemption/batch", #"{"name":"spring","amount":5,"count":3,"kind":"gift","gift_seconds":600}"#,
                token: admin.token)
            let codes = made["code_list"]?.arrayValue?.compactMap(\.stringValue) ?? []
            #expect(
                codes.count == 3 && Set(codes).count == 3
                    && codes.allSatisfy { $0.wholeMatch(of: /[0-9A-Z]{5}(-[0-9A-Z]{5}){3}-[0-9A-Z]{6}/) != nil })
            let id = try #require(made["id"]?.integerValue)
            let text = " " + codes[0].lowercased().replacing("-", with: " ").replacing("0", with: "o") + " "
            let redeemed = try await data(client, .post, "/api/redemption/redeem", #"{"code":"\#(text)"}"#, token: ada.token)
            #expect(
                redeemed["amount"]?.numberText == "5" && redeemed["kind"] == "gift" && redeemed["repeated"] == false, "\(redeemed.text)")
            #expect(redeemed["credit"]?["expires_at"]?.integerValue == wall.now + 600 && redeemed["credit"]?["source"] == "code")
            #expect(
                try await data(client, .post, "/api/redemption/redeem", #"{"code":"\#(codes[0])"}"#, token: ada.token)["repeated"] == true)
            #expect(try await redeem(codes[0], bob.token) == "409 code_used")
            #expect(try await redeem(codes[1], ada.token) == "403 code_not_for_account")
            #expect(try await redeem(codes[1], admin.token) == "403 code_not_for_account", "an admin's own")
            #expect(try await redeem(String(repeating: "0", count: 26), bob.token) == "404 code_unknown")
            #expect(try await redeem("not a code!", bob.token) == "404 code_unknown")
            let list = try await data(client, .get, "/api/redemption/code?batch_id=\(id)", token: admin.token)
            #expect(list["items"]?.arrayValue?.map { $0["state"]?.stringValue } == ["open", "open", "redeemed"])
            #expect(list["items"]?.arrayValue?.last?["redeemed_by"]?.integerValue == ada.id && codes.allSatisfy { !list.text.contains($0) })
            let off = try await data(client, .post, "/api/redemption/batch/\(id)/disable", token: admin.token)
            #expect(off["state"] == "disabled" && off["redeemed"]?.integerValue == 1 && off["code_list"] == nil)
            #expect(try await redeem(codes[1], bob.token) == "409 code_disabled")

            let ends = wall.now + 10
            let short = try await data(
                client, .post, "/api/redemption/batch", #"{"name":"short","amount":1,"count":1,"kind":"cash","expires_at":\#(ends)}"#)
            wall.move(10)
            #expect(try await redeem(try #require(short["code_list"]?.arrayValue?.first?.stringValue), bob.token) == "409 code_expired")
            #expect(try await data(client, .get, "/api/redemption/batch?page_size=1")["items"]?.arrayValue?.first?["state"] == "expired")
            let vips = try await data(
                client, .post, "/api/redemption/batch", #"{"name":"v","amount":1,"count":1,"kind":"cash","groups":["vip"]}"#)
            #expect(
                try await redeem(try #require(vips["code_list"]?.arrayValue?.first?.stringValue), bob.token) == "403 code_not_for_account")

            let rows = try await gateway.gateway.parts.store.auditRows(PageRequest(page: 1, size: 100)).items
            #expect(rows.filter { $0.action == "code.redeem" }.map(\.actorID) == [ada.id])
            #expect(rows.filter { $0.action == "code.create" }.count == 3 && rows.filter { $0.action == "code.disable" }.count == 1)
            let details = rows.map(\.detail).joined()
            #expect(codes.allSatisfy { !details.contains($0) })
            #expect(try await data(client, .get, "/api/balance", token: bob.token)["balance"]?.numberText == "0")
            #expect(try await gateway.gateway.parts.store.verify().differences == [])
        }
    }

    @Test func `wrong batches are refused by field, and users make none`() async throws {
        try await TestGateway.with { _, client in
            let ada = try await person(client, "ada")
            for (path, method) in [
                ("/api/redemption/batch", HTTPRequest.Method.post), ("/api/redemption/batch", .get), ("/api/redemption/code", .get),
            ] {
                #expect(try await refusal(client, method, path, method == .post ? "{}" : nil, token: ada.token) == "403 role_too_low")
            }
            let fields = ["name": #""b""#, "amount": "1", "count": "1", "kind": #""gift""#]
            for (field, value) in [
                ("name", #""""#), ("amount", "0"), ("amount", "-5"), ("amount", "1000001"), ("count", "0"), ("count", "10001"),
                ("kind", #""token""#), ("gift_seconds", "0"), ("expires_at", "5"), ("per_account", "0"), ("groups", #"["nobody"]"#),
            ] {
                let all = fields.merging([field: value]) { _, new in new }
                let body = "{" + all.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
                let answer = try await client.call(.post, "/api/redemption/batch", token: TestGateway.adminToken, body: body)
                #expect(answer.status == 400 && answer.json["details"]?["field"]?.stringValue == field, "\(field): \(answer.json.text)")
            }
            let cash = #"{"name":"b","amount":1,"count":1,"kind":"cash","gift_seconds":60}"#
            #expect(try await refusal(client, .post, "/api/redemption/batch", cash) == "400 invalid_field")
            #expect(try await data(client, .get, "/api/redemption/batch")["items"]?.arrayValue?.isEmpty == true)
            #expect(try await refusal(client, .get, "/api/redemption/batch/1") == "404 not_found")
            #expect(try await refusal(client, .post, "/api/redemption/batch/1/disable") == "404 not_found")
        }
    }

    @Test func `codes are not guessed, and owners of codes do not wait`() async throws {
        try await TestGateway.with { _, client in
            let ada = try await person(client, "ada")
            let made = try await data(
                client, .post, "/api/redemption/batch", #"{"name":"b","amount":1,"count":30,"kind":"cash","per_account":null}"#)
            for code in made["code_list"]?.arrayValue ?? [] {
                let answer = try await client.call(.post, "/api/redemption/redeem", token: ada.token, body: #"{"code":\#(code.text)}"#)
                #expect(answer.status == 200, "\(answer.json.text)")
            }
            var last: Answer = (0, [:], .null)
            var tries = 0
            while last.status != 429, tries < 40 {
                let body = #"{"code":"\#(String(repeating: "7", count: 26))"}"#
                last = try await client.call(.post, "/api/redemption/redeem", token: ada.token, body: body)
                tries += 1
            }
            #expect(last.status == 429 && last.json["code"] == "login_throttled" && last.headers[.retryAfter] != nil && tries == 11)
            // Somebody else is not kept waiting by that.
            let bob = try await person(client, "bob")
            let body = #"{"code":"\#(String(repeating: "7", count: 26))"}"#
            #expect(try await refusal(client, .post, "/api/redemption/redeem", body, token: bob.token) == "404 code_unknown")
        }
    }

    @Test func `what is recharged gives the group, at once and to the account's keys`() async throws {
        func levels(_ configuration: inout GatewayConfiguration) {
            configuration.groups["vip"] = PriceRatio(millionths: 500_000)
            configuration.groups["own"] = .one
            configuration.levels = [
                AccountLevel(name: "new", atLeast: .zero, group: "default"),
                AccountLevel(name: "silver", atLeast: NanoUSD(nanos: 10_000_000_000), group: "vip"),
            ]
        }
        try await TestGateway.with(levels) { gateway, client in
            let ada = try await person(client, "ada")
            let key = try #require(try await data(client, .post, "/api/token", #"{"name":"k"}"#, token: ada.token)["key"]?.stringValue)
            func add(_ amount: String) async throws {
                _ = try await data(client, .post, "/api/balance/admin/add", #"{"user_id":\#(ada.id),"amount":\#(amount)}"#)
            }
            try await add("9.99")
            // Spending does not reduce the recharged sum.
            #expect(try await chat(client, key) == 200)
            let before = try await data(client, .get, "/api/level", token: ada.token)
            #expect(before["reached"] == "new" && before["next"] == "silver" && before["group"] == "default", "\(before.text)")
            try await add("0.01")
            let after = try await data(client, .get, "/api/level", token: ada.token)
            #expect(after["reached"] == "silver" && after["next"] == .null && after["group"] == "vip" && after["group_source"] == "level")
            #expect(after["recharged"]?.numberText == "10" && after["levels"]?.arrayValue?.count == 2)
            // The key has the new group's prices and limits without a restart.
            #expect(try gateway.gateway.parts.keys.lookup(presentedKey: key, now: 1).get().group == "vip")

            let path = "/api/user/\(ada.id)"
            #expect(try await data(client, .put, path, #"{"group":"own"}"#)["group_source"] == "admin")
            try await add("100")
            #expect(try await data(client, .get, path)["group"] == "own")
            #expect(try await refusal(client, .put, path, #"{"group":"vip","group_follows_levels":true}"#) == "400 invalid_field")
            let back = try await data(client, .put, path, #"{"group_follows_levels":true}"#)
            #expect(back["group"] == "vip" && back["group_source"] == "level", "\(back.text)")
            let admin = try await person(client, "admin", role: 10)
            #expect(
                try await refusal(client, .put, "/api/user/\(admin.id)", #"{"group_follows_levels":true}"#, token: admin.token)
                    == "403 own_account")
            let rows = try await gateway.gateway.parts.store.auditRows(PageRequest(page: 1, size: 100)).items
            #expect(rows.filter { $0.action == "level.change" }.count == 2)
        }
    }

    @Test func `a new table of levels finds those who have reached them, once`() async throws {
        try await TestGateway.with({ $0.groups["vip"] = .one }) { gateway, client in
            var people: [Int64] = []
            for (name, amount) in [("ada", 20), ("bob", 5), ("eve", 30)] {
                let made = try await data(client, .post, "/api/user", #"{"username":"\#(name)","password":"a-long-password"}"#)
                let id = try #require(made["id"]?.integerValue)
                people.append(id)
                _ = try await data(client, .post, "/api/balance/admin/add", #"{"user_id":\#(id),"amount":\#(amount)}"#)
            }
            let (parts, clock) = (gateway.gateway.parts, ServerClock.system)
            var configuration = parts.snapshots.snapshot.configuration
            configuration.levels = [AccountLevel(name: "silver", atLeast: NanoUSD(nanos: 10_000_000_000), group: "vip")]
            let old = parts.snapshots.snapshot
            parts.snapshots.replace(
                GatewaySnapshot(configuration, builtinBaseURL: nil, catalogue: old.catalogue, prices: old.prices))
            let keeper = LevelKeeper(desk: gateway.gateway.levelDesk, store: parts.store, clock: clock, logger: Logger(label: "test"))
            try await keeper.apply(configuration.levels)
            var groups: [String] = []
            for id in people { groups.append(try #require(try await parts.store.user(id: id)).group) }
            #expect(groups == ["vip", "default", "vip"])
            // Another gateway of the same ledger, or the next start, has nothing to do: this one was moved by hand meanwhile.
            var change = UserChange()
            change.group = "default"
            _ = try await parts.store.changeUser(id: people[0], change, audit: .some)
            change = UserChange()
            change.groupFollowsLevels = true
            _ = try await parts.store.changeUser(id: people[0], change, audit: .some)
            try await keeper.apply(configuration.levels)
            #expect(try await parts.store.user(id: people[0])?.group == "default")
        }
    }
}
