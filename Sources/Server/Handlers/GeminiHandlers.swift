import Adaptors
import Config
import Foundation
import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore
import Storage

/// Google's area (https://ai.google.dev/api): `models/{model}:generateContent` and its like, and the list of models, under `/v1beta` and,
/// as its newer SDKs have it, under `/v1`.
enum GeminiHandlers {
    /// `POST /v1beta/models/{model}:{method}`, and under `/v1`, with a method that there is none of here: the others never come here.
    static func unknown(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        throw APIError.notFound(request.uri.path)
    }

    // MARK: The list

    static func list(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let names = ModelsHandlers.usable(try ModelsHandlers.principal(context), services)
        let query = QueryFields(request)
        guard let size = number(query.text("pageSize"), 1...Int.max, default: 1_000) else {
            throw APIError.badRequest("'pageSize' must be a whole number above 0", param: "pageSize")
        }
        // A page's token is how many came before it.
        guard let start = number(query.text("pageToken"), 0...names.count, default: 0) else {
            throw APIError.badRequest("'pageToken' is none of this list", param: "pageToken")
        }
        let page = names[start...].prefix(size)
        let served = served(services)
        var members: [JSONValue.Member] = [.init("models", .array(page.map { model($0, served, services) }))]
        if page.endIndex < names.count { members.append(.init("nextPageToken", .string(String(page.endIndex)))) }
        return ModelsHandlers.answer(.object(members))
    }

    private static func number(_ text: String?, _ range: ClosedRange<Int>, default value: Int) -> Int? {
        guard let text, !text.isEmpty else { return value }
        return Int(text).flatMap { range.contains($0) ? $0 : nil }
    }

    static func one(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let name = ModelsHandlers.name(context)
        guard ModelsHandlers.usable(try ModelsHandlers.principal(context), services).contains(name) else {
            throw APIError.modelNotFound(name)
        }
        return ModelsHandlers.answer(model(name, served(services), services))
    }

    /// What each channel can be asked: made once, not once a model.
    private static func served(_ services: GatewayServices) -> [Int64: Set<Endpoint>] {
        let snapshot = services.snapshots.snapshot
        return Dictionary(snapshot.configuration.routes.channels.map { ($0.id, snapshot.capabilities(of: $0)) }) { first, _ in first }
    }

    private static func methods(_ name: String, _ served: [Int64: Set<Endpoint>], _ services: GatewayServices) -> [JSONValue] {
        var endpoints: Set<Endpoint> = []
        for (channel, _, bound) in services.snapshots.snapshot.configuration.routes.enabledChannels(serving: name) {
            endpoints.formUnion((served[channel.id] ?? []).filter { $0.isServed(within: bound) })
        }
        return (endpoints.contains(.gemini) ? ["generateContent", "countTokens"] : [])
            + (endpoints.contains(.embeddings) ? ["embedContent"] : [])
    }

    /// https://ai.google.dev/api/models#Model
    private static func model(_ name: String, _ served: [Int64: Set<Endpoint>], _ services: GatewayServices) -> JSONValue {
        let row = services.snapshots.snapshot.prices.row(name)
        var members: [JSONValue.Member] = [
            .init("name", .string("models/" + name)), .init("version", "1"), .init("displayName", .string(row?.displayName ?? name)),
        ]
        if let tokens = row?.contextLength { members.append(.init("inputTokenLimit", .integer(tokens))) }
        if let tokens = row?.maxOutputTokens { members.append(.init("outputTokenLimit", .integer(tokens))) }
        members.append(.init("supportedGenerationMethods", .array(methods(name, served, services))))
        return .object(members)
    }
}

extension Request {
    static let googleKeyName = HTTPField.Name("x-goog-api-key")

    /// Google's dialect: its area, or what it shares with OpenAI's (`/v1/models`), where only Google posts and its clients have a header of
    /// their own.
    var speaksGoogle: Bool {
        let path = uri.path
        if path.hasPrefix("/v1beta/") { return true }
        guard path == "/v1/models" || path.hasPrefix("/v1/models/") else { return false }
        return method == .post || Self.googleKeyName.map { headers[$0] != nil } ?? false
    }
}

/// What the address of a call in Google's dialect says.
struct GeminiTarget: Sendable {
    var model: String
    var method: String
    /// The stream is to come as one JSON array: everything but `alt=sse`.
    var streamsArray = true
    /// The API key, when the query has it.
    var key: Secret?
    /// The template of the route.
    var route: String

    var isStream: Bool { method == "streamGenerateContent" }
    var isBatch: Bool { method == "batchEmbedContents" }

    /// What the relay serves it as; nil for what is no model call.
    var endpoint: Endpoint? {
        switch method {
        case "generateContent", "streamGenerateContent": .gemini
        case "embedContent", "batchEmbedContents": .embeddings
        default: nil
        }
    }

    /// An answer of the relay as the client is to get it: embeddings are made in OpenAI's form.
    func shaped(_ answer: ClientAnswer) -> ClientAnswer {
        guard endpoint == .embeddings, case .bytes(let body) = answer.body,
            let converted = GeminiEmbeddings.answer(body, status: answer.status.code, isBatch: isBatch)
        else { return answer }
        return ClientAnswer(status: answer.status, headers: answer.headers, bytes: converted)
    }

    /// Names of models hold slashes and colons, percent-encoded or not: the method stands behind the last colon.
    init?(path: String, query: String) {
        guard let area = ["/v1beta/models/", "/v1/models/"].first(where: { path.hasPrefix($0) }) else { return nil }
        let raw = String(path.dropFirst(area.count))
        let rest = raw.removingPercentEncoding ?? raw
        guard let colon = rest.lastIndex(of: ":") else { return nil }
        route = area + "**"
        model = String(rest[..<colon])
        method = String(rest[rest.index(after: colon)...])
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { continue }
            if parts[0] == "alt", parts[1] == "sse" { streamsArray = false }
            if parts[0] == "key" { key = parts[1].removingPercentEncoding.map { Secret($0) } }
        }
    }
}
