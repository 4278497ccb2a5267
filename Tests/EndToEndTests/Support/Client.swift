import Foundation
import HTTPTypes
import NIOCore
import RouterCore
import Transport

/// A small HTTP client over the project's own transport, for calls where the bytes matter.
final class Client: Sendable {
    let base: String
    private let transport: CurlTransport

    init(base: String) throws {
        self.base = base
        transport = try CurlTransport(configuration: .init())
    }

    struct Answer: Sendable {
        var status: Int
        var headers: HTTPFields
        var text: String
        /// True when the body did not end as HTTP demands.
        var wasCut: Bool

        var json: JSONValue {
            get throws { try JSONValue(parsing: ByteBuffer(string: text)) }
        }
        /// The payloads of the `data:` lines.
        var events: [String] {
            text.split(separator: "\n").filter { $0.hasPrefix("data: ") }.map { String($0.dropFirst(6)) }
        }
    }

    /// - Parameters:
    ///   - leaveAfter: the client hangs up after this many reads of the body.
    ///   - leaveWhen: the client hangs up when what has come of the body is like this.
    ///   - cancellation: hangs up at any moment, also before the head.
    func call(
        _ method: HTTPRequest.Method, _ path: String, key: String? = nil, body: String? = nil,
        headers: [(String, String)] = [], leaveAfter: Int? = nil, leaveWhen: ((String) -> Bool)? = nil,
        cancellation: UpstreamCancellation = UpstreamCancellation()
    ) async throws -> Answer {
        var fields = HTTPFields()
        if let key { fields[.authorization] = "Bearer \(key)" }
        if body != nil { fields[.contentType] = "application/json" }
        for (name, value) in headers { if let name = HTTPField.Name(name) { fields[name] = value } }
        let request = UpstreamRequest(
            method: method, url: base + path, headers: fields, body: body.map { ByteBuffer(string: $0) })
        let response = try await transport.send(
            request, options: TransportOptions(timeouts: AttemptTimeouts(firstByte: .seconds(60), idle: .seconds(60))),
            cancellation: cancellation)
        var whole = ByteBuffer()
        var reads = 0
        do throws(TransportFailure) {
            while let chunk = try await response.body.next() {
                whole.writeImmutableBuffer(chunk)
                reads += 1
                if leaveAfter.map({ reads >= $0 }) ?? false || leaveWhen?(String(buffer: whole)) ?? false {
                    response.body.cancel()
                    break
                }
            }
        } catch {
            return Answer(
                status: response.head.status, headers: response.head.headers, text: String(buffer: whole), wasCut: true)
        }
        return Answer(
            status: response.head.status, headers: response.head.headers, text: String(buffer: whole), wasCut: false)
    }

    func shutdown() async { await transport.shutdown() }
}

/// The management API as root, and what tests want of it.
struct Admin: Sendable {
    let client: Client

    func get(_ path: String) async throws -> JSONValue {
        try await client.call(.get, path, key: GatewayProcess.rootToken).json
    }

    func post(_ path: String, _ body: JSONValue) async throws -> JSONValue {
        try await client.call(.post, path, key: GatewayProcess.rootToken, body: body.text).json
    }

    func put(_ path: String, _ body: JSONValue) async throws -> JSONValue {
        try await client.call(.put, path, key: GatewayProcess.rootToken, body: body.text).json
    }

    func addBalance(_ userID: Int64, usd: String) async throws {
        let answer = try await post(
            "/api/balance/admin/add",
            .object([.init("user_id", .integer(userID)), .init("amount", .number(usd)), .init("description", "test")]))
        guard answer["success"]?.boolValue == true else { throw StringError(answer.text) }
    }

    /// A user with money and a key. - Returns: id, access token, key.
    func makeUser(_ name: String, usd: String?) async throws -> (id: Int64, token: String, key: String) {
        let user = try await post("/api/user", ["username": .string(name), "password": "password-of-the-user"])
        guard let id = user["data"]?["id"]?.integerValue else { throw StringError(user.text) }
        if let usd { try await addBalance(id, usd: usd) }
        let login = try await client.call(
            .post, "/api/user/login",
            body: JSONValue.object([.init("username", .string(name)), .init("password", "password-of-the-user")]).text
        ).json
        guard let token = login["data"]?["access_token"]?.stringValue else { throw StringError(login.text) }
        let created = try await client.call(.post, "/api/token", key: token, body: "{\"name\":\"test\"}").json
        guard let key = created["data"]?["key"]?.stringValue else { throw StringError(created.text) }
        return (id, token, key)
    }

    /// All ledger rows of a user, by their own token.
    func transactions(token: String, kind: String = "usage") async throws -> [JSONValue] {
        var items: [JSONValue] = []
        var page = 1
        while true {
            let answer = try await client.call(
                .get, "/api/balance/transactions?page=\(page)&page_size=100&type=\(kind)", key: token
            ).json
            let batch = answer["data"]?["items"]?.arrayValue ?? []
            items += batch
            if batch.count < 100 { return items }
            page += 1
        }
    }
}

struct StringError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
