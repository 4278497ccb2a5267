import HTTPTypes
public import NIOCore
public import RouterCore

/// Anthropic's Messages and everybody who speaks them. Clients of that dialect pass through; the others are converted.
///
/// Source: https://docs.anthropic.com/en/api/messages. The provider file says `auth: {type: header, name: x-api-key}`; a header
/// `anthropic-version` of the file replaces the family's.
public struct AnthropicProvider: Provider {
    public static let family = AdaptorID.anthropic
    public static let paths: [Endpoint: String] = [.messages: "/messages", .models: "/models"]
    public static let conversions: [Endpoint: Endpoint] = [.chat: .messages, .responses: .messages]

    static let version = ("anthropic-version", "2023-06-01")

    public let spec: ProviderSpec

    public init(spec: ProviderSpec) { self.spec = spec }

    public func request(for call: UpstreamCall) throws(UpstreamFailure) -> UpstreamRequest {
        let endpoint = call.envelope.endpoint
        guard endpoint.isConversation else {
            throw UpstreamFailure(
                source: .gateway, kind: .invalidRequest, detail: "the family does not speak \(endpoint.rawValue)")
        }
        let body: ByteBuffer
        if endpoint == .messages {
            body = OpenAIRequestBody(call: call, rules: spec.request, dialect: .plain, usage: spec.usage).spliced()
        } else {
            let conversation = try ConversationReader.read(call, drop: spec.request.drop)
            let limit = spec.models.first { $0.id == call.upstreamModel }?.maxOutputTokens
            let writer = MessagesRequestWriter(model: call.upstreamModel, rules: spec.request, modelMaxTokens: limit)
            body = Preparation.bytes(try writer.write(conversation))
        }
        let path = spec.endpoints[.messages].flatMap { $0 } ?? "/messages"
        var headers = [Self.version]
        if endpoint == .messages, !call.betas.isEmpty { headers.append(("anthropic-beta", call.betas)) }
        return try Preparation(spec: spec).post(call, path: path, body: body, headers: headers)
    }

    public func call(_ side: SideCall, baseURL: String?, key: Secret?) -> UpstreamRequest? {
        guard side == .listModels else { return nil }
        // A page has twenty models unless asked for more.
        let path = spec.endpoints[.models].flatMap { $0 } ?? "/models?limit=1000"
        var headers = HTTPFields()
        headers[.accept] = "application/json"
        if let name = HTTPField.Name(Self.version.0) { headers[name] = Self.version.1 }
        let request = UpstreamRequest(method: .get, url: (baseURL ?? spec.baseURL) + path, headers: headers)
        return try? Preparation(spec: spec).prepared(request, key: key, extraHeaders: [])
    }

    /// `{"data":[{"type":"model","id","display_name","created_at"}]}` (https://docs.anthropic.com/en/api/models-list); newer answers add
    /// `max_input_tokens`, `max_tokens` and `capabilities` (https://platform.claude.com/docs/en/api/models).
    public func models(_ body: ByteBuffer) -> [ListedModel]? {
        ModelList.read(body, "data") { entry in
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
        var progress = AnswerProgress()
        progress.absorb(answer)
        progress.isDone = true
        guard call.envelope.endpoint == .messages else {
            return WholeAnswer(body: DialectWriter.body(answer, call.envelope.endpoint, DialectContext(call)), progress: progress)
        }
        // Blocks that only this dialect has are content as well.
        if !(tree["content"]?.arrayValue ?? []).isEmpty { progress.hasContent = true }
        return WholeAnswer(body: Renaming(call)?.apply(to: body, path: "model") ?? body, progress: progress)
    }

    public func streamDecoder(for call: UpstreamCall) -> any StreamDecoder {
        let key = call.key
        let provider = self
        let mode: FamilyStreamDecoder.Mode
        if call.envelope.endpoint == .messages {
            let renaming = Renaming(call)
            mode = .forward { payload, json, _ in
                json["type"] == "message_start" ? renaming?.apply(to: payload, path: "message.model") : nil
            }
        } else {
            mode = .convert(DialectWriter.stream(call.envelope.endpoint, DialectContext(call)))
        }
        return FamilyStreamDecoder(reader: MessagesAnswerReader(rules: spec.usage), mode: mode, mayLackMarker: false) { json, hasContent in
            provider.failure(json, hasContent: hasContent, key)
        }
    }

    public func classify(_ head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        errors(nil).failure(head: head, body: body, now: now)
    }

    /// `{"type":"error","error":{"type":"overloaded_error",…}}`, also inside a stream.
    private func failure(_ tree: JSONValue, hasContent: Bool, _ key: Secret?) -> UpstreamFailure? {
        guard tree["type"] == "error" || tree["error"].map({ !$0.isNull }) ?? false else { return nil }
        return errors(key).inBand(tree["error"]?.text, hasContent: hasContent)
    }

    private func errors(_ key: Secret?) -> OpenAIErrors {
        OpenAIErrors(spec: spec, dialect: .plain, key: key, showsErrorObject: false) { status, facts in
            switch status {
            case 400 where facts.says("credit balance is too low"): .credentialExhausted
            case 400 where facts.says("prompt is too long") || facts.says("exceed context limit"): .contextLength
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
