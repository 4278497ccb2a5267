public import NIOCore
public import RouterCore

/// Google's Gemini: `models/{model}:generateContent` and `:streamGenerateContent?alt=sse`. Clients of that dialect pass through; the others
/// are converted.
///
/// Source: https://ai.google.dev/api/generate-content. The base URL ends in `/v1beta`; the provider file says
/// `auth: {type: header, name: x-goog-api-key}`.
public struct GeminiProvider: Provider {
    public var paths: [Endpoint: String] { [.chat: "/models/{model}:generateContent", .models: "/models"] }
    public var conversions: [Endpoint: Endpoint] { [.messages: .chat, .responses: .chat, .gemini: .chat] }

    public let spec: ProviderSpec

    public init(spec: ProviderSpec) { self.spec = spec }

    public func request(for call: UpstreamCall) throws(UpstreamFailure) -> UpstreamRequest {
        let body: ConvertedBody
        if call.envelope.endpoint == .gemini {
            let same = OpenAIRequestBody(call: call, rules: spec.request, dialect: .verbatim, usage: spec.usage).spliced()
            body = ConvertedBody(bytes: GeminiSignature.withoutForeign(same) ?? same)
        } else {
            body = try Preparation(spec: spec).converted(call, GeminiRequestWriter(model: call.upstreamModel, rules: spec.request).write)
        }
        var template = spec.endpoints[.chat].flatMap { $0 } ?? "/models/{model}:generateContent"
        if call.envelope.isStream {
            if template.hasSuffix(":generateContent") { template = template.dropLast("generateContent".count) + "streamGenerateContent" }
            template += "?alt=sse"
        }
        let path = try Preparation.path(template, model: call.upstreamModel)
        return try Preparation(spec: spec).post(call, path: path, body: body)
    }

    public func call(_ side: SideCall, baseURL: String?, key: Secret?) -> UpstreamRequest? {
        // A page has fifty models unless asked for more.
        side == .listModels ? Preparation(spec: spec).list("/models?pageSize=1000", baseURL: baseURL, key: key) : nil
    }

    /// `{"models":[{"name":"models/…","displayName","inputTokenLimit","outputTokenLimit","supportedGenerationMethods"}]}`
    /// (https://ai.google.dev/api/models). Only those that generate content can be asked through this family.
    public func models(_ body: ByteBuffer) -> [ListedModel]? {
        ModelList.read(body, under: "models") { entry in
            guard let name = entry["name"]?.stringValue else { return nil }
            if let methods = entry["supportedGenerationMethods"]?.arrayValue, !methods.contains("generateContent") { return nil }
            return ListedModel(
                id: name.hasPrefix("models/") ? String(name.dropFirst("models/".count)) : name,
                displayName: entry["displayName"]?.stringValue, description: entry["description"]?.stringValue,
                contextLength: ModelList.tokens(entry["inputTokenLimit"]), maxOutputTokens: ModelList.tokens(entry["outputTokenLimit"]))
        }
    }

    public func decode(_ body: ByteBuffer, for call: UpstreamCall) throws(UpstreamFailure) -> WholeAnswer {
        let tree = try Preparation.tree(body)
        if let failure = Self.failure(tree, hasContent: false, errors(call.key)) { throw failure }
        let answer = GeminiAnswerReader().answer(tree)
        guard call.envelope.endpoint == .gemini else { return WholeAnswer(answer, for: call) }
        var progress = AnswerProgress()
        progress.absorb(answer)
        progress.isDone = true
        // Pictures and what else only this dialect has are content as well.
        if (tree["candidates"]?.arrayValue ?? []).contains(where: { $0["content"]?["parts"]?.arrayValue?.isEmpty == false }) {
            progress.hasContent = true
        }
        return WholeAnswer(body: Renaming(call)?.apply(to: body, path: "modelVersion") ?? body, progress: progress)
    }

    public func streamDecoder(for call: UpstreamCall) -> any StreamDecoder {
        let errors = errors(call.key)
        let failure: FamilyStreamDecoder.FailureFinder = { json, hasContent in Self.failure(json, hasContent: hasContent, errors) }
        guard call.envelope.endpoint == .gemini else {
            return FamilyStreamDecoder(GeminiAnswerReader(), for: call, mayLackMarker: true, failure: failure)
        }
        let renaming = Renaming(call)
        let mode = FamilyStreamDecoder.Mode.forward { payload, _, _ in renaming?.apply(to: payload, path: "modelVersion") }
        return FamilyStreamDecoder(reader: GeminiAnswerReader(), mode: mode, mayLackMarker: true, failure: failure)
    }

    public func classify(_ head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        errors(nil).failure(head, VendorError(body: body), now: now)
    }

    /// An error object, a prompt that was blocked (nothing else comes then), or a call that the model did not manage to write.
    private static func failure(_ tree: JSONValue, hasContent: Bool, _ errors: FailureClassifier) -> UpstreamFailure? {
        if let error = tree["error"], !error.isNull { return errors.inBand(VendorError(inBand: error), hasContent: hasContent) }
        let candidates = tree["candidates"]?.arrayValue ?? []
        if candidates.isEmpty, let reason = tree["promptFeedback"]?["blockReason"]?.stringValue {
            let error = VendorError(status: 400, type: "content_policy_violation", message: "the prompt was blocked: \(reason)")
            return errors.inBand(error, hasContent: hasContent)
        }
        guard candidates.contains(where: { $0["finishReason"] == "MALFORMED_FUNCTION_CALL" }) else { return nil }
        return UpstreamFailure(
            kind: hasContent ? .midStream : .malformed, isBillable: hasContent, status: 200, detail: "MALFORMED_FUNCTION_CALL")
    }

    /// https://ai.google.dev/gemini-api/docs/troubleshooting
    private func errors(_ key: Secret?) -> FailureClassifier {
        FailureClassifier(spec: spec, dialect: .plain, key: key, showsErrorObject: false) { status, error in
            switch status {
            case 400 where error.says("API_KEY_INVALID") || error.says("API key not valid"): .credentialRefused
            // "Enable billing", or a country that is not served: the account's fault, not the request's.
            case 400 where error.names.contains("FAILED_PRECONDITION"): .credentialExhausted
            case 400 where error.says("exceeds the maximum number of tokens"): .contextLength
            case 400 where error.names.contains("content_policy_violation"): .contentFilter
            default: nil
            }
        }
    }
}
