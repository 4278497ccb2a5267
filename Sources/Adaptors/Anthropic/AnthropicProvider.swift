import HTTPTypes
public import NIOCore
public import RouterCore

/// Anthropic's Messages and everybody who speaks them. Clients of that dialect pass through; the others are converted.
///
/// Source: https://docs.anthropic.com/en/api/messages. The provider file says `auth: {type: header, name: x-api-key}`; a header
/// `anthropic-version` of the file replaces the family's.
public struct AnthropicProvider: Provider {
    public var paths: [Endpoint: String] { [.messages: "/messages", .models: "/models"] }
    public var conversions: [Endpoint: Endpoint] { [.chat: .messages, .responses: .messages, .gemini: .messages] }

    static let version = ("anthropic-version", "2023-06-01")

    public let spec: ProviderSpec

    public init(spec: ProviderSpec) { self.spec = spec }

    public func request(for call: UpstreamCall) throws(UpstreamFailure) -> UpstreamRequest {
        let endpoint = call.envelope.endpoint
        let body: ConvertedBody
        if endpoint == .messages {
            body = ConvertedBody(
                bytes: OpenAIRequestBody(call: call, rules: spec.request, dialect: .plain, usage: spec.usage).spliced())
        } else {
            let limit = spec.models.first { $0.id == call.upstreamModel }?.maxOutputTokens
            let writer = MessagesRequestWriter(model: call.upstreamModel, rules: spec.request, modelMaxTokens: limit)
            body = try Preparation(spec: spec).converted(call, writer.write)
        }
        let path = spec.endpoints[.messages].flatMap { $0 } ?? "/messages"
        var headers = [Self.version]
        if endpoint == .messages, !call.betas.isEmpty { headers.append(("anthropic-beta", call.betas)) }
        return try Preparation(spec: spec).post(call, path: path, body: body, headers: headers)
    }

    public func call(_ side: SideCall, baseURL: String?, key: Secret?) -> UpstreamRequest? {
        guard side == .listModels else { return nil }
        // A page has twenty models unless asked for more.
        return Preparation(spec: spec).list("/models?limit=1000", baseURL: baseURL, key: key, headers: [Self.version])
    }

    /// `{"data":[{"type":"model","id","display_name","created_at"}]}` (https://docs.anthropic.com/en/api/models-list); newer answers add
    /// `max_input_tokens`, `max_tokens` and `capabilities` (https://platform.claude.com/docs/en/api/models).
    public func models(_ body: ByteBuffer) -> [ListedModel]? {
        ModelList.read(body, under: "data") { entry in
            guard let id = entry["id"]?.stringValue else { return nil }
            var model = ListedModel(
                id: id, displayName: entry["display_name"]?.stringValue, contextLength: ModelList.tokens(entry["max_input_tokens"]),
                maxOutputTokens: ModelList.tokens(entry["max_tokens"]))
            if let capabilities = entry["capabilities"] {
                func has(_ name: String) -> Bool { capabilities[name]?["supported"]?.boolValue == true }
                model.inputModalities = ["text"] + (has("image_input") ? ["image"] : []) + (has("pdf_input") ? ["file"] : [])
                model.outputModalities = ["text"]
            }
            return model
        }
    }

    public func decode(_ body: ByteBuffer, for call: UpstreamCall) throws(UpstreamFailure) -> WholeAnswer {
        let tree = try Preparation.tree(body)
        if let failure = failure(tree, hasContent: false, call.key) { throw failure }
        let answer = MessagesAnswerReader(rules: spec.usage).answer(tree)
        guard call.envelope.endpoint == .messages else { return WholeAnswer(answer, for: call) }
        var progress = AnswerProgress()
        progress.absorb(answer)
        progress.isDone = true
        // Blocks that only this dialect has are content as well.
        if !(tree["content"]?.arrayValue ?? []).isEmpty { progress.hasContent = true }
        return WholeAnswer(body: Renaming(call)?.apply(to: body, path: "model") ?? body, progress: progress)
    }

    public func streamDecoder(for call: UpstreamCall) -> any StreamDecoder {
        let key = call.key
        let provider = self
        let reader = MessagesAnswerReader(rules: spec.usage)
        let failure: FamilyStreamDecoder.FailureFinder = { json, hasContent in provider.failure(json, hasContent: hasContent, key) }
        guard call.envelope.endpoint == .messages else {
            return FamilyStreamDecoder(reader, for: call, mayLackMarker: false, failure: failure)
        }
        let renaming = Renaming(call)
        let mode = FamilyStreamDecoder.Mode.forward { payload, json, _ in
            json["type"] == "message_start" ? renaming?.apply(to: payload, path: "message.model") : nil
        }
        return FamilyStreamDecoder(reader: reader, mode: mode, mayLackMarker: false, failure: failure)
    }

    public func classify(_ head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        errors(nil).failure(head, VendorError(body: body), now: now)
    }

    /// `{"type":"error","error":{"type":"overloaded_error",…}}`, also inside a stream.
    private func failure(_ tree: JSONValue, hasContent: Bool, _ key: Secret?) -> UpstreamFailure? {
        guard tree["type"] == "error" || tree["error"].map({ !$0.isNull }) ?? false else { return nil }
        return errors(key).inBand(VendorError(inBand: tree["error"]), hasContent: hasContent)
    }

    private func errors(_ key: Secret?) -> FailureClassifier {
        FailureClassifier(spec: spec, dialect: .plain, key: key, showsErrorObject: false) { status, error in
            switch status {
            case 400 where error.says("credit balance is too low"): .credentialExhausted
            case 400 where error.says("prompt is too long") || error.says("exceed context limit"): .contextLength
            case 402: .credentialExhausted
            default: nil
            }
        }
    }
}

/// Puts the public name of a model back where the channel sent another one.
struct Renaming: Sendable {
    private let name: String

    init?(_ call: UpstreamCall) {
        guard call.upstreamModel != call.model else { return nil }
        name = call.model
    }

    /// - Parameter path: of the vendor's name in the JSON. - Returns: nil when it is not there.
    func apply(to body: ByteBuffer, path: String) -> ByteBuffer? {
        let bytes = body.readableBytesUInt8Span
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        guard let member = JSONPath.member(path: path, of: start, bytes), member.kind == .string else { return nil }
        var splice = BodySplice()
        splice.replace(member.value, with: JSONValue.string(name).text)
        return splice.applied(to: body)
    }
}
