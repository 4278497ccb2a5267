package import RouterCore

/// What the address of a request says before anything else of it is known: whether it is the area of model clients, and which dialect they
/// speak there.
package struct RequestArea: Sendable {
    private let path: Substring
    /// Google's dialect: its own area, or what it shares with OpenAI's (`/v1/models`), where only Google posts and its clients have a
    /// header of their own.
    package let speaksGoogle: Bool

    /// - Parameters:
    ///   - path: with or without its query.
    ///   - isPost: only Google's clients post to `/v1/models`.
    ///   - hasGoogleKey: the request has the header `x-goog-api-key`.
    package init(path: String, isPost: Bool, hasGoogleKey: @autoclosure () -> Bool) {
        let path = path.prefix { $0 != "?" }
        self.path = path
        speaksGoogle =
            path.hasPrefix("/v1beta/")
            || (path == "/v1/models" || path.hasPrefix("/v1/models/")) && (isPost || hasGoogleKey())
    }

    /// The area of model clients; errors there have the shape of their dialect.
    package static func isOfModels(_ path: String) -> Bool { path.hasPrefix("/v1") || path.hasPrefix("/api/v1") }

    /// The dialect of errors.
    package var dialect: Dialect {
        if speaksGoogle { return .gemini }
        let last = path.split(separator: "/").last
        if last == "messages" || last == "count_tokens" { return .messages }
        return last == "responses" ? .responses : .chat
    }
}
