import Adaptors
import Foundation
import HTTPTypes
import NIOCore
import RouterCore

/// The parsed path and query of a call in Google's dialect.
struct GeminiTarget: Sendable {
    var model: String
    var method: String
    /// Whether the stream is requested as one JSON array: always, except with `alt=sse`.
    var streamsArray = true
    /// The API key, when it is in the query.
    var key: Secret?
    /// The template of the route.
    var route: String

    var isStream: Bool { method == "streamGenerateContent" }
    var isBatch: Bool { method == "batchEmbedContents" }

    /// The endpoint under which the relay serves the call; nil when it is not a model call.
    var endpoint: Endpoint? {
        switch method {
        case "generateContent", "streamGenerateContent": .gemini
        case "embedContent", "batchEmbedContents": .embeddings
        default: nil
        }
    }

    /// Converts an answer of the relay to the client's form: embeddings are produced in OpenAI's form.
    func shaped(_ answer: ClientAnswer) -> ClientAnswer {
        guard endpoint == .embeddings, case .bytes(let body) = answer.body,
            let converted = GeminiEmbeddings.answer(body, status: answer.status.code, isBatch: isBatch)
        else { return answer }
        return ClientAnswer(status: answer.status, headers: answer.headers, bytes: converted)
    }

    /// Model names may contain slashes and colons, percent-encoded or not: the method follows the last colon.
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
