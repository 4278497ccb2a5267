import HTTPTypes
public import NIOCore
public import RouterCore

/// The OpenAI family: OpenAI itself and everybody who speaks its Chat Completions, Completions and Embeddings. What differs between vendors
/// is in their ``ProviderSpec``; nothing here names one.
///
/// Source of the formats: https://platform.openai.com/docs/api-reference
public struct OpenAIProvider: Provider {
    public static let family = AdaptorID.openai
    public static let paths: [Endpoint: String] = [
        .chat: "/chat/completions", .completions: "/completions", .embeddings: "/embeddings", .models: "/models",
        .responses: "/responses", .images: "/images/generations", .speech: "/audio/speech",
        .transcriptions: "/audio/transcriptions", .moderations: "/moderations", .rerank: "/rerank",
    ]
    public static let conversions: [Endpoint: Endpoint] = [.messages: .chat, .responses: .chat, .gemini: .chat]

    private let vendor: OpenAIVendor
    public var spec: ProviderSpec { _read { yield vendor.spec } }
    var dialect: OpenAIDialect { _read { yield vendor.dialect } }
    /// Paths of the family, with `{model}` where the model's name belongs.
    private let paths: [Endpoint: String]

    public init(spec: ProviderSpec) { self.init(spec: spec, dialect: .plain) }

    init(spec: ProviderSpec, dialect: OpenAIDialect, paths: [Endpoint: String] = Self.paths) {
        self.paths = paths
        vendor = OpenAIVendor(spec: spec, dialect: dialect)
    }

    public func request(for call: UpstreamCall) throws(UpstreamFailure) -> UpstreamRequest {
        let endpoint = Self.isConverted(call.envelope.endpoint, spec) ? .chat : call.envelope.endpoint
        guard let template = spec.endpoints[endpoint].flatMap({ $0 }) ?? paths[endpoint] else {
            throw UpstreamFailure(
                source: .gateway, kind: .invalidRequest, detail: "the family does not speak \(endpoint.rawValue)")
        }
        let path = try Preparation.path(template, model: call.upstreamModel)
        if let form = call.envelope.media.form {
            let body = FormRequestBody(call: call, rules: spec.request, dialect: dialect, form: form)
            // The answer may be text.
            let headers = [("Content-Type", body.contentType), ("Accept", "*/*")]
            return try Preparation(spec: spec).post(call, path: path, body: body.spliced(), headers: headers)
        }
        let body: ByteBuffer
        if endpoint == call.envelope.endpoint {
            try Self.refuseBackground(call.envelope)
            body = OpenAIRequestBody(call: call, rules: spec.request, dialect: dialect, usage: spec.usage).spliced()
        } else {
            body = try converted(call)
        }
        let headers = call.envelope.delivery == .bytes ? [("Accept", "*/*")] : []
        return try Preparation(spec: spec).post(call, path: path, body: body, headers: headers)
    }

    /// A response that is made after its answer has been given (https://platform.openai.com/docs/guides/background) would be billed to us
    /// and to nobody else.
    private static func refuseBackground(_ envelope: RequestEnvelope) throws(UpstreamFailure) {
        guard envelope.endpoint == .responses, let member = envelope.member("background"), member.kind != .null else { return }
        let bytes = envelope.body.readableBytesUInt8Span
        guard !JSONScanner.equals(bytes, member.value, "false") else { return }
        throw .malformedField("background", "is not supported: the gateway has to see a response to its end; leave it out or send false")
    }

    private func converted(_ call: UpstreamCall) throws(UpstreamFailure) -> ByteBuffer {
        var passed: [JSONValue.Member] = []
        // What an aggregator understands and no dialect has words for.
        for name in ["provider", "session_id"] where call.envelope.endpoint != .gemini && !dialect.gatewayFields.contains(name) {
            let bytes = call.envelope.body.readableBytesUInt8Span
            let member = call.envelope.members.last { JSONText.string(bytes, content: $0.key) == name }
            var json = member.map { JSONText.raw(bytes, $0.value) }
            switch call.hostPreferences {
            case .replaced(let text) where name == "provider" && json != nil: json = text
            case .nothing where name == "provider": json = nil
            default: break
            }
            guard var value = json.flatMap({ JSONText.parse($0) }) else { continue }
            if name == "provider", dialect.boundsHostPrices {
                value = HostPrices.bounded(value, by: call.quote.price) ?? value
            }
            passed.append(.init(name, value))
        }
        let writer = ChatRequestWriter(
            model: call.upstreamModel, rules: spec.request, dialect: dialect, asksForUsage: spec.usage.streamUsageOption != false,
            passed: passed)
        return try Preparation(spec: spec).converted(call) { given throws(UpstreamFailure) in
            var conversation = given
            if dialect.sendsEndUser, conversation.user == nil { conversation.user = call.endUser }
            return try writer.write(conversation)
        }
    }

    /// Responses pass through where the file says that the vendor has them; Messages and Gemini's never do.
    private static func isConverted(_ endpoint: Endpoint, _ spec: ProviderSpec) -> Bool {
        endpoint == .messages || endpoint == .gemini || endpoint == .responses && spec.endpoints[.responses] == nil
    }

    public func call(_ side: SideCall, baseURL: String?, key: Secret?) -> UpstreamRequest? {
        let listPath = spec.endpoints[.models].flatMap { $0 } ?? paths[.models]
        guard let path = side == .listModels ? listPath : dialect.path(of: side) else { return nil }
        var headers = HTTPFields()
        headers[.accept] = "application/json"
        let request = UpstreamRequest(method: .get, url: (baseURL ?? spec.baseURL) + path, headers: headers)
        return try? Preparation(spec: spec).prepared(request, key: key, extraHeaders: [])
    }

    /// `{"object":"list","data":[{"id"}]}`: names only (https://platform.openai.com/docs/api-reference/models/list). Some servers
    /// add limits of their own, of which `context_length` and vLLM's `max_model_len` are read.
    public func models(_ body: ByteBuffer) -> [ListedModel]? {
        ModelList.read(body, "data") { entry in
            entry["id"]?.stringValue.map { id in
                ListedModel(
                    id: id, contextLength: ModelList.tokens(entry["context_length"]) ?? ModelList.tokens(entry["max_model_len"]))
            }
        }
    }

    public func decode(_ body: ByteBuffer, for call: UpstreamCall) throws(UpstreamFailure) -> WholeAnswer {
        let endpoint = call.envelope.endpoint
        if MediaAnswer.reads(endpoint) { return try MediaAnswer(call: call, spec: spec, dialect: dialect).decode(body) }
        guard Self.isConverted(endpoint, spec) || endpoint == .responses else {
            return try OpenAIAnswer(call: call, vendor: vendor).decode(body)
        }
        let tree = try Preparation.tree(body)
        let errors = FailureClassifier(spec: spec, dialect: dialect, key: call.key)
        guard Self.isConverted(endpoint, spec) else {
            if let failure = ResponsesAnswerReader.failure(tree, hasContent: false, errors) { throw failure }
            let progress = ResponsesAnswerReader.progress(tree)
            return WholeAnswer(body: ResponsesAnswerReader.edit(body, prefix: "", call, progress.usage) ?? body, progress: progress)
        }
        let reader = ChatAnswerReader(usageRules: spec.usage, dialect: dialect)
        if let failure = reader.failure(tree, hasContent: false, errors) { throw failure }
        return WholeAnswer(reader.answer(tree), for: call)
    }

    public func streamDecoder(for call: UpstreamCall, head: UpstreamHead) -> any StreamDecoder {
        guard call.envelope.delivery == .bytes else { return streamDecoder(for: call) }
        return SpeechDecoder(call: call, dialect: dialect, length: head.headers[.contentLength].flatMap { Int64($0) })
    }

    public func streamDecoder(for call: UpstreamCall) -> any StreamDecoder {
        let endpoint = call.envelope.endpoint
        if call.envelope.delivery == .bytes { return SpeechDecoder(call: call, dialect: dialect, length: nil) }
        if MediaAnswer.reads(endpoint) { return MediaStreamDecoder(call: call, spec: spec, dialect: dialect) }
        guard Self.isConverted(endpoint, spec) || endpoint == .responses else {
            return OpenAIStreamDecoder(call: call, vendor: vendor)
        }
        let errors = FailureClassifier(spec: spec, dialect: dialect, key: call.key)
        guard Self.isConverted(endpoint, spec) else {
            let mode = FamilyStreamDecoder.Mode.forward { payload, json, usage in
                json["response"] == nil ? nil : ResponsesAnswerReader.edit(payload, prefix: "response.", call, usage)
            }
            return FamilyStreamDecoder(reader: ResponsesAnswerReader(), mode: mode, mayLackMarker: false) { json, hasContent in
                ResponsesAnswerReader.failure(json, hasContent: hasContent, errors)
            }
        }
        let reader = ChatAnswerReader(usageRules: spec.usage, dialect: dialect)
        return FamilyStreamDecoder(reader, for: call, mayLackMarker: true) { json, hasContent in
            reader.failure(json, hasContent: hasContent, errors)
        }
    }

    public func classify(_ head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        FailureClassifier(spec: spec, dialect: dialect).failure(head, VendorError(body: body), now: now)
    }

    public func generationID(_ head: UpstreamHead) -> String? { dialect.generationID(head) }
}

/// A vendor of the family, passed on by reference: answers and streams keep what they need to read it.
final class OpenAIVendor: Sendable {
    let spec: ProviderSpec
    let dialect: OpenAIDialect
    init(spec: ProviderSpec, dialect: OpenAIDialect) {
        self.spec = spec
        self.dialect = dialect
    }
}

/// Where members of the family differ in ways that YAML cannot say.
struct OpenAIDialect: Sendable, Hashable {
    /// `usage.cost` is what the vendor bills us.
    var reportsCost = false
    /// Top-level request fields that are for the gateway, not for the vendor.
    var gatewayFields: Set<String> = ["models", "provider", "session_id"]
    /// The client's `provider` preferences choose among hosts of different prices.
    var boundsHostPrices = false
    /// A pseudonym of the end user goes into `user` when the client gave none.
    var sendsEndUser = false
    /// 403 can mean moderation of the client's input.
    var forbiddenMayBeModeration = false
    /// `X-RateLimit-Reset` is a Unix time in milliseconds.
    var readsRateLimitReset = false
    var generationHeader: HTTPField.Name?
    var sidePaths: [String: String] = [:]
    /// What may be sent beyond OpenAI's own fields when another dialect is converted.
    var readsTopK = false
    var readsReasoningDetails = false
    var readsCacheControl = false
    var readsFileURLs = false

    static let plain = OpenAIDialect()
    /// For bodies of another dialect, where no field is the gateway's.
    static let verbatim = OpenAIDialect(gatewayFields: [])

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
