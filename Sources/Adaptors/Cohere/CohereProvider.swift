public import NIOCore
public import RouterCore

/// Cohere's chat, version 2 (https://docs.cohere.com/reference/chat), from every dialect by conversion, and its rerank as it is
/// (https://docs.cohere.com/reference/rerank).
public struct CohereProvider: Provider {
    public var paths: [Endpoint: String] { [.chat: "/v2/chat", .models: "/v1/models", .rerank: "/v2/rerank"] }
    public var conversions: [Endpoint: Endpoint] { [.messages: .chat, .responses: .chat, .gemini: .chat] }

    public let spec: ProviderSpec

    public init(spec: ProviderSpec) { self.spec = spec }

    public func request(for call: UpstreamCall) throws(UpstreamFailure) -> UpstreamRequest {
        if call.envelope.endpoint == .rerank {
            let body = OpenAIRequestBody(call: call, rules: spec.request, dialect: .plain, usage: spec.usage).spliced()
            return try Preparation(spec: spec).post(call, path: spec.endpoints[.rerank].flatMap { $0 } ?? "/v2/rerank", body: body)
        }
        let body = try Preparation(spec: spec).converted(call, CohereRequestWriter(model: call.upstreamModel, rules: spec.request).write)
        return try Preparation(spec: spec).post(call, path: spec.endpoints[.chat].flatMap { $0 } ?? "/v2/chat", body: body)
    }

    public func call(_ side: SideCall, baseURL: String?, key: Secret?) -> UpstreamRequest? {
        side == .listModels ? Preparation(spec: spec).list("/v1/models?page_size=1000", baseURL: baseURL, key: key) : nil
    }

    /// `{"models":[{"name","endpoints":["chat"],"context_length"}]}` (https://docs.cohere.com/reference/list-models).
    /// Only models that chat can be asked through this family.
    public func models(_ body: ByteBuffer) -> [ListedModel]? {
        ModelList.read(body, under: "models") { entry in
            guard let name = entry["name"]?.stringValue else { return nil }
            if let endpoints = entry["endpoints"]?.arrayValue, !endpoints.contains("chat") { return nil }
            return ListedModel(id: name, contextLength: ModelList.tokens(entry["context_length"]))
        }
    }

    public func decode(_ body: ByteBuffer, for call: UpstreamCall) throws(UpstreamFailure) -> WholeAnswer {
        if call.envelope.endpoint == .rerank { return try MediaAnswer(call: call, spec: spec, dialect: .plain).decode(body) }
        let tree = try Preparation.tree(body)
        if let failure = Self.failure(tree, reason: tree["finish_reason"], hasContent: false, errors(call.key)) { throw failure }
        return WholeAnswer(CohereAnswerReader().answer(tree), for: call)
    }

    public func streamDecoder(for call: UpstreamCall) -> any StreamDecoder {
        let errors = errors(call.key)
        return FamilyStreamDecoder(CohereAnswerReader(), for: call, mayLackMarker: false) { json, hasContent in
            Self.failure(json["delta"] ?? json, reason: json["delta"]?["finish_reason"], hasContent: hasContent, errors)
        }
    }

    public func classify(_ head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        errors(nil).failure(head, VendorError(body: body), now: now)
    }

    /// An answer can end in `ERROR` or `TIMEOUT` behind a 200.
    private static func failure(
        _ tree: JSONValue, reason: JSONValue?, hasContent: Bool, _ errors: FailureClassifier
    ) -> UpstreamFailure? {
        switch reason?.stringValue {
        case "ERROR", "ERROR_LIMIT":
            let message = tree["error"].map { $0.stringValue ?? $0.text } ?? "the model failed"
            return errors.inBand(VendorError(status: 500, message: message), hasContent: hasContent)
        case "TIMEOUT": return errors.inBand(VendorError(status: 504, message: "the model timed out"), hasContent: hasContent)
        default: return nil
        }
    }

    /// https://docs.cohere.com/reference/errors
    private func errors(_ key: Secret?) -> FailureClassifier {
        FailureClassifier(spec: spec, dialect: .plain, key: key, showsErrorObject: false) { status, error in
            switch status {
            case 498: .credentialRefused
            case 400 where error.says("too many tokens"): .contextLength
            default: nil
            }
        }
    }
}
