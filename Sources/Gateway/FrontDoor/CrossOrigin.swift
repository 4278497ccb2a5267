package import HTTPTypes
import NIOCore
import NIOHTTP1

/// Cross-origin requests of browsers (https://fetch.spec.whatwg.org/#http-cors-protocol) to the areas that take API keys, from the origins
/// of `server.cors_origins`. Credentials are never allowed: a page that has a key sends it itself. The management area answers only the
/// gateway's own pages.
package struct CrossOrigin: Sendable {
    private let origins: Set<String>
    private let isOpen: Bool

    /// - Returns: nil when no origin is allowed, which is the default and costs nothing.
    package init?(_ origins: [String]) {
        guard !origins.isEmpty else { return nil }
        isOpen = origins.contains("*")
        self.origins = Set(origins)
    }

    package static func covers(_ path: String) -> Bool {
        path.hasPrefix("/v1/") || path.hasPrefix("/api/v1/") || path.hasPrefix("/v1beta/")
    }

    private static let methods = "GET, POST, OPTIONS"
    private static let age = "3600"
    /// Response headers that pages may read, in addition to those that are always readable.
    private static let exposed = [
        "X-Request-Id", "Retry-After", "X-Max-Tokens-Lowered", "X-Tools-Left-Out", "X-Betas-Left-Out", "X-Dropped-Fields",
        "x-ratelimit-limit-requests", "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens",
    ].joined(separator: ", ")

    /// Request headers that clients of the dialects send.
    private static let headers: Set<String> = [
        "accept", "authorization", "content-type", "user-agent", "x-api-key", "x-goog-api-key", "x-goog-api-client",
        "x-session-id",
        "x-request-id", "x-title", "http-referer", "idempotency-key",
    ]
    private static let prefixes = ["anthropic-", "openai-", "x-stainless-", "x-openrouter-"]

    private static let allowOrigin = HTTPField.Name("Access-Control-Allow-Origin")!
    private static let allowMethods = HTTPField.Name("Access-Control-Allow-Methods")!
    private static let allowHeaders = HTTPField.Name("Access-Control-Allow-Headers")!
    private static let maxAge = HTTPField.Name("Access-Control-Max-Age")!
    private static let exposeHeaders = HTTPField.Name("Access-Control-Expose-Headers")!

    private func allows(_ origin: String) -> Bool { isOpen || origins.contains(origin) }

    /// The answer to a preflight; nil for a request that is not a preflight, or whose origin is not allowed.
    func preflight(_ head: HTTPRequestHead) -> ClientAnswer? {
        guard head.method == .OPTIONS, Self.covers(head.uri), let origin = head.headers.first(name: "origin"),
            allows(origin),
            head.headers.contains(name: "access-control-request-method")
        else { return nil }
        var fields = HTTPFields()
        allow(origin, &fields)
        fields[Self.allowMethods] = Self.methods
        fields[Self.allowHeaders] = Self.allowed(head.headers.first(name: "access-control-request-headers"))
        fields[Self.maxAge] = Self.age
        return ClientAnswer(status: .noContent, headers: fields, bytes: .init())
    }

    /// The requested headers that clients of the dialects send; all known headers if none are requested.
    private static func allowed(_ asked: String?) -> String {
        guard let asked, asked.utf8.count <= 4_096 else { return headers.sorted().joined(separator: ", ") }
        let names = asked.split(separator: ",").map { $0.filter { $0 != " " }.lowercased() }
        return names.filter { name in
            headers.contains(name)
                || prefixes.contains(where: name.hasPrefix)
                    && name.utf8.allSatisfy { byte in
                        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
                    }
        }.joined(separator: ", ")
    }

    /// Lets the page read an answer.
    package func expose(to origin: String?, _ fields: inout HTTPFields) {
        // Caches must know that another origin gets a different answer, even where this one gets no permission.
        fields.append(HTTPField(name: .vary, value: "Origin"))
        guard let origin, allows(origin) else { return }
        fields[Self.allowOrigin] = isOpen ? "*" : origin
        fields[Self.exposeHeaders] = Self.exposed
    }

    private func allow(_ origin: String, _ fields: inout HTTPFields) {
        fields.append(HTTPField(name: .vary, value: "Origin"))
        fields[Self.allowOrigin] = isOpen ? "*" : origin
    }
}
