import Adaptors
import Config
import Foundation
import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore
import Storage

/// Google's area (https://ai.google.dev/api): `models/{model}:generateContent` and related methods, and the list of models, under `/v1beta`
/// and, for its newer SDKs, under `/v1`.
struct GeminiHandlers: Sendable {
    let snapshots: SnapshotHolder

    /// `POST /v1beta/models/{model}:{method}`, and the same under `/v1`, for methods that do not exist here: the front door serves those
    /// that do.
    func unknown(_ request: Request, _ context: GatewayContext) async throws -> Response {
        throw APIError.notFound(request.uri.path)
    }

    // MARK: The list

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let names = snapshots.snapshot.models(usableBy: try ModelsHandlers.principal(context))
        let query = QueryFields(request, ModelDescriptions.googleList)
        guard let size = number(query.text("pageSize"), 1...Int.max, default: 1_000) else {
            throw APIError.badRequest("'pageSize' must be a whole number above 0", param: "pageSize")
        }
        // The page token is the number of models on earlier pages.
        guard let start = number(query.text("pageToken"), 0...names.count, default: 0) else {
            throw APIError.badRequest("'pageToken' is none of this list", param: "pageToken")
        }
        let page = names[start...].prefix(size)
        let served = served()
        var members: [JSONValue.Member] = [.init("models", .array(page.map { model($0, served) }))]
        if page.endIndex < names.count { members.append(.init("nextPageToken", .string(String(page.endIndex)))) }
        return ModelsHandlers.answer(.object(members))
    }

    private func number(_ text: String?, _ range: ClosedRange<Int>, default value: Int) -> Int? {
        guard let text, !text.isEmpty else { return value }
        return Int(text).flatMap { range.contains($0) ? $0 : nil }
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = ModelsHandlers.name(context)
        guard snapshots.snapshot.models(usableBy: try ModelsHandlers.principal(context)).contains(name) else {
            throw APIError.modelNotFound(name)
        }
        return ModelsHandlers.answer(model(name, served()))
    }

    /// The endpoints that each channel serves: computed once, not once per model.
    private func served() -> [Int64: Set<Endpoint>] {
        let snapshot = snapshots.snapshot
        return Dictionary(snapshot.configuration.routes.channels.map { ($0.id, snapshot.capabilities(of: $0)) }) { first, _ in first }
    }

    private func methods(_ name: String, _ served: [Int64: Set<Endpoint>]) -> [JSONValue] {
        var endpoints: Set<Endpoint> = []
        for (channel, _, bound) in snapshots.snapshot.configuration.routes.enabledChannels(serving: name) {
            endpoints.formUnion((served[channel.id] ?? []).filter { $0.isServed(within: bound) })
        }
        return (endpoints.contains(.gemini) ? ["generateContent", "countTokens"] : [])
            + (endpoints.contains(.embeddings) ? ["embedContent"] : [])
    }

    /// https://ai.google.dev/api/models#Model
    private func model(_ name: String, _ served: [Int64: Set<Endpoint>]) -> JSONValue {
        let row = snapshots.snapshot.prices.row(name)
        var members: [JSONValue.Member] = [
            .init("name", .string("models/" + name)), .init("version", "1"), .init("displayName", .string(row?.displayName ?? name)),
        ]
        if let tokens = row?.contextLength { members.append(.init("inputTokenLimit", .integer(tokens))) }
        if let tokens = row?.maxOutputTokens { members.append(.init("outputTokenLimit", .integer(tokens))) }
        members.append(.init("supportedGenerationMethods", .array(methods(name, served))))
        return .object(members)
    }
}

extension Request {
    private static let googleKeyName = HTTPField.Name("x-goog-api-key")

    var area: RequestArea {
        RequestArea(
            path: uri.path, isPost: method == .post, hasGoogleKey: Self.googleKeyName.map { headers[$0] != nil } ?? false)
    }

    var speaksGoogle: Bool { area.speaksGoogle }
}
