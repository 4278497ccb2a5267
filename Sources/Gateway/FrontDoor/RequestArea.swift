package import RouterCore

/// Classifies a request by its address alone: whether it is in the area for model clients, and which dialect is spoken there.
package struct RequestArea: Sendable {
    private let path: Substring
    /// Google's dialect: its own area, or paths that it shares with OpenAI's (`/v1/models`), where only Google's clients use POST or send
    /// their own header.
    package let speaksGoogle: Bool

    /// - Parameters:
    ///   - path: with or without its query.
    ///   - isPost: only Google's clients send POST to `/v1/models`.
    ///   - hasGoogleKey: whether the request has the header `x-goog-api-key`.
    package init(path: String, isPost: Bool, hasGoogleKey: @autoclosure () -> Bool) {
        let path = path.prefix { $0 != "?" }
        self.path = path
        speaksGoogle =
            path.hasPrefix("/v1beta/")
            || (path == "/v1/models" || path.hasPrefix("/v1/models/")) && (isPost || hasGoogleKey())
    }

    /// Whether the path is in the area for model clients, where errors have the shape of the client's dialect.
    package static func isOfModels(_ path: String) -> Bool { path.hasPrefix("/v1") || path.hasPrefix("/api/v1") }

    /// The dialect for errors.
    package var dialect: Dialect {
        if speaksGoogle { return .gemini }
        let last = path.split(separator: "/").last
        if last == "messages" || last == "count_tokens" { return .messages }
        return last == "responses" ? .responses : .chat
    }
}
