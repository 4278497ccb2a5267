import Config
import Foundation
import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore
import Storage

/// `GET /v1/models` and `/v1/models/{id}`: the models that the key may use, in OpenAI's format with OpenRouter's prices added, or in
/// Anthropic's for clients that send `anthropic-version`, or in Google's for those that send `x-goog-api-key`.
struct ModelsHandlers: Sendable {
    let snapshots: SnapshotHolder
    let gemini: GeminiHandlers

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        if request.speaksGoogle { return try await gemini.list(request, context) }
        let principal = try Self.principal(context)
        let names = snapshots.snapshot.models(usableBy: principal)
        if Self.isAnthropic(request) {
            let (page, hasMore) = try page(of: names, QueryFields(request, ModelDescriptions.list))
            return Self.answer([
                "data": .array(page.map { anthropic($0) }), "has_more": .boolean(hasMore), "first_id": .optional(page.first),
                "last_id": .optional(page.last),
            ])
        }
        let items = names.map { json($0) }
        return Self.answer(.object([.init("object", "list"), .init("data", .array(items))]))
    }

    /// `limit`, `after_id` and `before_id` as in Anthropic's API (https://docs.anthropic.com/en/api/models-list); without `limit`, all
    /// models are one page.
    private func page(of names: [String], _ query: QueryFields) throws -> (names: ArraySlice<String>, hasMore: Bool) {
        func position(_ field: String) throws -> Int? {
            guard let id = query.text(field)?.removingPercentEncoding else { return nil }
            guard let index = names.firstIndex(of: id) else {
                throw APIError.badRequest("'\(field)' names no model of the list", param: field)
            }
            return index
        }
        var limit = names.count
        if let text = query.text("limit") {
            guard let number = Int(text), (1...1_000).contains(number) else {
                throw APIError.badRequest("'limit' must be a whole number from 1 to 1000", param: "limit")
            }
            limit = number
        }
        if let before = try position("before_id") {
            let start = max(0, before - limit)
            return (names[start..<before], start > 0)
        }
        let start = try position("after_id").map { $0 + 1 } ?? 0
        let end = min(names.count, start + limit)
        return (names[start..<end], end < names.count)
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        if request.speaksGoogle { return try await gemini.one(request, context) }
        let principal = try Self.principal(context)
        let name = Self.name(context)
        guard snapshots.snapshot.models(usableBy: principal).contains(name) else { throw APIError.modelNotFound(name) }
        return Self.answer(Self.isAnthropic(request) ? anthropic(name) : json(name))
    }

    /// The text after `models/` in the path: names with a slash may be percent-encoded or not.
    static func name(_ context: GatewayContext) -> String {
        let raw = context.parameters.getCatchAll().joined(separator: "/")
        return raw.removingPercentEncoding ?? raw
    }

    private static let versionHeader = HTTPField.Name("anthropic-version")

    static func isAnthropic(_ request: Request) -> Bool {
        versionHeader.map { request.headers[$0] != nil } ?? false
    }

    /// https://docs.anthropic.com/en/api/models-list. An unknown creation time is the epoch, as that page specifies.
    private func anthropic(_ model: String) -> JSONValue {
        let row = snapshots.snapshot.prices.row(model)
        let created = Date(timeIntervalSince1970: TimeInterval(row?.createdAt ?? 0))
        return [
            "type": "model", "id": .string(model), "display_name": .string(row?.displayName ?? model),
            "created_at": .string(created.formatted(.iso8601)),
        ]
    }

    static func principal(_ context: GatewayContext) throws -> KeyPrincipal {
        guard case .key(let principal) = context.principal else { throw APIError.invalidKey(KeyRefusal.missing.message) }
        return principal
    }

    private func json(_ model: String) -> JSONValue {
        let row = snapshots.snapshot.prices.row(model)
        var members: [JSONValue.Member] = [
            .init("id", .string(model)), .init("object", "model"), .init("created", .integer(row?.createdAt ?? 0)),
            .init("owned_by", .string(row?.provider ?? "apirouter")),
        ]
        if let row {
            members.append(.init("name", .string(row.displayName)))
            members.append(.init("context_length", .integer(row.contextLength)))
            members.append(
                .init(
                    "pricing",
                    [
                        "prompt": .string(row.price.basis == .metered ? row.price.rates.input.usdText : "-1"),
                        "completion": .string(row.price.basis == .metered ? row.price.rates.output.usdText : "-1"),
                    ]))
        }
        return .object(members)
    }

    static func answer(_ value: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
        var buffer = ByteBuffer()
        value.write(to: &buffer)
        var headers = HTTPFields()
        headers[.contentType] = "application/json"
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: buffer))
    }
}
