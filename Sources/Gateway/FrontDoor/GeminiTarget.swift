import Adaptors
import Foundation
import HTTPTypes
import NIOCore
import RouterCore

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
