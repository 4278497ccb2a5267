import HTTPTypes
public import NIOCore
public import RouterCore

/// The OpenAI family: OpenAI itself and everybody who speaks its Chat Completions, Completions and Embeddings. What differs between vendors
/// is in their ``ProviderSpec``, and what no file can say in their ``OpenAIVariant``; nothing here names one.
///
/// Source of the formats: https://platform.openai.com/docs/api-reference
public struct OpenAIProvider: Provider {
    private let vendor: OpenAIVendor
    let variant: OpenAIVariant

    init(spec: ProviderSpec, variant: OpenAIVariant = OpenAIVariant()) {
        vendor = OpenAIVendor(spec: spec, dialect: variant.dialect)
        self.variant = variant
    }

    public var spec: ProviderSpec { _read { yield vendor.spec } }
    private var dialect: OpenAIDialect { _read { yield vendor.dialect } }
    public var paths: [Endpoint: String] { _read { yield variant.paths } }
    public var conversions: [Endpoint: Endpoint] { [.messages: .chat, .responses: .chat, .gemini: .chat] }
    public var passesPreferencesOn: Bool { variant.passesPreferencesOn }

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
        let body: ConvertedBody
        if endpoint == call.envelope.endpoint {
            if !call.isBackground { try Self.refuseBackground(call.envelope) }
            body = ConvertedBody(bytes: OpenAIRequestBody(call: call, rules: spec.request, dialect: dialect, usage: spec.usage).spliced())
        } else {
            body = try converted(call)
        }
        let headers = call.envelope.delivery == .bytes ? [("Accept", "*/*")] : []
        return try Preparation(spec: spec).post(call, path: path, body: body, headers: headers)
    }

    /// A response that is made after its answer has been given (https://platform.openai.com/docs/guides/background) would be billed to us
    /// and to nobody else, where nobody looks after it.
    private static func refuseBackground(_ envelope: RequestEnvelope) throws(UpstreamFailure) {
        guard envelope.endpoint == .responses, let member = envelope.member("background"), member.kind != .null else { return }
        let bytes = envelope.body.readableBytesUInt8Span
        guard !JSONScanner.equals(bytes, member.value, "false") else { return }
        throw .malformedField("background", "is not supported: the gateway has to see a response to its end; leave it out or send false")
    }

    private func converted(_ call: UpstreamCall) throws(UpstreamFailure) -> ConvertedBody {
        var passed: [JSONValue.Member] = []
        // What an aggregator understands and no dialect has words for.
        for name in ["provider", "session_id"]
        where !call.envelope.endpoint.dialect.namesModelInPath && !dialect.gatewayFields.contains(name) {
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
        return try Preparation(spec: spec).converted(call, writer.write)
    }

    /// Responses pass through where the file says that the vendor has them; Messages and Gemini's never do.
    private static func isConverted(_ endpoint: Endpoint, _ spec: ProviderSpec) -> Bool {
        endpoint == .messages || endpoint == .gemini || endpoint == .responses && spec.endpoints[.responses] == nil
    }

    public func call(_ side: SideCall, baseURL: String?, key: Secret?) -> UpstreamRequest? {
        if case .response(let id, let verb) = side { return call(verb, id: id, baseURL: baseURL, key: key) }
        let ownPath = side == .listModels ? spec.endpoints[.models].flatMap { $0 } : nil
        guard let path = ownPath ?? variant.path(of: side) else { return nil }
        var headers = HTTPFields()
        headers[.accept] = "application/json"
        let request = UpstreamRequest(method: .get, url: (baseURL ?? spec.baseURL) + path, headers: headers)
        return try? Preparation(spec: spec).prepared(request, key: key, extraHeaders: [])
    }

    /// https://platform.openai.com/docs/api-reference/responses/get, and so on.
    private func call(_ verb: ResponseCall, id: String, baseURL: String?, key: Secret?) -> UpstreamRequest? {
        guard spec.holdsResponses, let served = spec.endpoints[.responses], let path = served ?? paths[.responses],
            ResponseStateFields.isID(id)
        else { return nil }
        // A path of the file may name a version of the API behind a question mark.
        let parts = path.split(separator: "?", maxSplits: 1)
        var queries = parts.dropFirst().map(String.init)
        var url = (baseURL ?? spec.baseURL) + parts[0] + "/" + id
        var method = HTTPRequest.Method.get
        switch verb {
        case .retrieve(let query): queries.append(query)
        case .inputItems(let query):
            url += "/input_items"
            queries.append(query)
        case .delete: method = .delete
        case .cancel:
            url += "/cancel"
            method = .post
        }
        queries.removeAll(where: \.isEmpty)
        if !queries.isEmpty { url += "?" + queries.joined(separator: "&") }
        var request = UpstreamRequest(method: method, url: url, headers: [.accept: "application/json"])
        if method == .post {
            request.headers[.contentType] = "application/json"
            request.body = ByteBuffer(staticString: "{}")
        }
        return try? Preparation(spec: spec).prepared(request, key: key, extraHeaders: [])
    }

    public func models(_ body: ByteBuffer) -> [ListedModel]? { variant.readModels(body) }

    public func generation(_ body: ByteBuffer) -> Usage? { variant.readGeneration(body) }

    public func activity(_ body: ByteBuffer) -> [DailyCost]? { variant.readActivity(body) }

    public func decode(_ body: ByteBuffer, for call: UpstreamCall) throws(UpstreamFailure) -> WholeAnswer {
        let endpoint = call.envelope.endpoint
        if endpoint.media != nil { return try MediaAnswer(call: call, spec: spec, dialect: dialect).decode(body) }
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
        if endpoint.media != nil { return MediaStreamDecoder(call: call, spec: spec, dialect: dialect) }
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

    public func generationID(_ head: UpstreamHead) -> String? { variant.generationID(head) }
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
