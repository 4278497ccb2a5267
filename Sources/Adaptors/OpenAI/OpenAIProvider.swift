import HTTPTypes
public import NIOCore
public import RouterCore

/// The OpenAI family: OpenAI itself and everybody who speaks its Chat Completions, Completions and Embeddings. What differs between vendors is
/// in their ``ProviderSpec``; nothing here names one.
///
/// Source of the formats: https://platform.openai.com/docs/api-reference
public struct OpenAIProvider: Provider {
    public static let family = AdaptorID.openai
    public static let paths: [Endpoint: String] = [
        .chat: "/chat/completions", .completions: "/completions", .embeddings: "/embeddings", .models: "/models",
    ]

    public let spec: ProviderSpec
    let dialect: OpenAIDialect

    public init(spec: ProviderSpec) { self.init(spec: spec, dialect: .plain) }

    init(spec: ProviderSpec, dialect: OpenAIDialect) {
        self.spec = spec
        self.dialect = dialect
    }

    public func request(for call: UpstreamCall) throws(UpstreamFailure) -> UpstreamRequest {
        let endpoint = call.envelope.endpoint
        guard let path = spec.endpoints[endpoint].flatMap({ $0 }) ?? Self.paths[endpoint] else {
            throw UpstreamFailure(
                source: .gateway, kind: .invalidRequest, detail: "the family does not speak \(endpoint.rawValue)")
        }
        var headers = HTTPFields()
        headers[.contentType] = "application/json"
        headers[.accept] = call.envelope.isStream ? "text/event-stream" : "application/json"
        let body = OpenAIRequestBody(call: call, rules: spec.request, dialect: dialect, usage: spec.usage).spliced()
        return try prepared(
            UpstreamRequest(url: call.baseURL + path, headers: headers, body: body), key: call.key,
            extraHeaders: call.channel.headers)
    }

    public func call(_ side: SideCall, baseURL: String?, key: Secret?) -> UpstreamRequest? {
        let listPath = spec.endpoints[.models].flatMap { $0 } ?? Self.paths[.models]
        guard let path = side == .listModels ? listPath : dialect.path(of: side) else { return nil }
        var headers = HTTPFields()
        headers[.accept] = "application/json"
        let request = UpstreamRequest(method: .get, url: (baseURL ?? spec.baseURL) + path, headers: headers)
        return try? prepared(request, key: key, extraHeaders: [])
    }

    /// Adds the static headers and the credential. Nothing of the client's own headers ever gets here.
    private func prepared(
        _ request: UpstreamRequest, key: Secret?, extraHeaders: [StaticHeader]
    ) throws(UpstreamFailure) -> UpstreamRequest {
        var request = request
        for header in spec.headers + extraHeaders { try set(header.name, header.value.reveal(), &request) }
        guard let key else { return request }
        switch spec.auth {
        case .bearer: try set("Authorization", "Bearer " + key.reveal(), &request)
        case .header(let name, let prefix): try set(name, prefix + key.reveal(), &request)
        case .query(let name):
            let separator = request.url.contains("?") ? "&" : "?"
            request.url += separator + PercentEncoding.query(name) + "=" + PercentEncoding.query(key.reveal())
        case .none: break
        }
        return request
    }

    /// The configuration has checked names and values; what slipped through would be altered silently by `HTTPFields`, so it is refused.
    private func set(_ name: String, _ value: String, _ request: inout UpstreamRequest) throws(UpstreamFailure) {
        guard let field = HTTPField.Name(name), HTTPField.isValidValue(value) else {
            throw UpstreamFailure(
                source: .gateway, kind: .server, detail: "header '\(name)' of provider '\(spec.name)' is not fit for HTTP")
        }
        request.headers[field] = value
    }

    public func decode(_ body: ByteBuffer, for call: UpstreamCall) throws(UpstreamFailure) -> WholeAnswer {
        try OpenAIAnswer(call: call, spec: spec, dialect: dialect).decode(body)
    }

    public func streamDecoder(for call: UpstreamCall) -> any StreamDecoder {
        OpenAIStreamDecoder(call: call, spec: spec, dialect: dialect)
    }

    public func classify(_ head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        OpenAIErrors(spec: spec, dialect: dialect).failure(head: head, body: body, now: now)
    }

    public func generationID(_ head: UpstreamHead) -> String? { dialect.generationID(head) }
}

/// Where members of the family differ in ways that YAML cannot say.
struct OpenAIDialect: Sendable, Hashable {
    /// `usage.cost` is what the vendor bills us.
    var reportsCost = false
    /// Top-level request fields that are for the gateway, not for the vendor.
    var gatewayFields: Set<String> = ["models", "provider", "session_id"]
    /// A pseudonym of the end user goes into `user` when the client gave none.
    var sendsEndUser = false
    /// 403 can mean moderation of the client's input.
    var forbiddenMayBeModeration = false
    /// `X-RateLimit-Reset` is a Unix time in milliseconds.
    var readsRateLimitReset = false
    var generationHeader: HTTPField.Name?
    var sidePaths: [String: String] = [:]

    static let plain = OpenAIDialect()

    func path(of side: SideCall) -> String? {
        switch side {
        case .listModels: return nil
        case .accountBalance: return sidePaths["credits"]
        case .activity: return sidePaths["activity"]
        case .generation(let id):
            guard Self.isGenerationID(id) else { return nil }
            return sidePaths["generation"].map { $0 + id }
        }
    }

    func generationID(_ head: UpstreamHead) -> String? {
        guard let generationHeader, let id = head.headers[generationHeader], Self.isGenerationID(id) else { return nil }
        return id
    }

    /// Fit to be stored and to be put into a URL again.
    static func isGenerationID(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 128
            && text.utf8.allSatisfy {
                ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == 0x2D || $0 == 0x5F
            }
    }
}

enum PercentEncoding {
    /// Everything but RFC 3986's unreserved characters.
    static func query(_ text: String) -> String {
        var result = ""
        let digits = Array("0123456789ABCDEF")
        for byte in text.utf8 {
            let scalar = UnicodeScalar(byte)
            if (scalar.properties.isAlphabetic && byte < 0x80) || (byte >= 0x30 && byte <= 0x39)
                || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte)
            {
                result.unicodeScalars.append(scalar)
            } else {
                result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return result
    }
}
