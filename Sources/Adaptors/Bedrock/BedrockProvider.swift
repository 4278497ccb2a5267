import HTTPTypes
public import NIOCore
public import RouterCore

/// Amazon Bedrock's Converse, from every dialect by conversion.
///
/// The base URL is `https://bedrock-runtime.REGION.amazonaws.com`. A key with colons (`ACCESS_KEY_ID:SECRET` or with `:SESSION_TOKEN`)
/// signs (Signature Version 4; ``UpstreamCall/startedAt`` is the time); one without is a Bedrock API key and goes as bearer.
public struct BedrockProvider: Provider {
    public var paths: [Endpoint: String] { [.chat: "/model/{model}/converse"] }
    public var conversions: [Endpoint: Endpoint] { [.messages: .chat, .responses: .chat, .gemini: .chat] }

    public let spec: ProviderSpec

    public init(spec: ProviderSpec) { self.spec = spec }

    public func request(for call: UpstreamCall) throws(UpstreamFailure) -> UpstreamRequest {
        let limit = spec.models.first { $0.id == call.upstreamModel }?.maxOutputTokens
        let body = try Preparation(spec: spec).converted(call, ConverseRequestWriter(rules: spec.request, modelMaxTokens: limit).write)
        guard ModelName.problem(call.upstreamModel) == nil else {
            throw UpstreamFailure(source: .gateway, kind: .modelUnavailable, detail: "the model name is not fit for a URL")
        }
        // Names hold colons, and ARNs slashes: all of it is one segment.
        let path = "/model/\(PercentEncoding.query(call.upstreamModel))/converse\(call.envelope.isStream ? "-stream" : "")"
        guard let key = call.key, key.reveal().contains(":") else { return try Preparation(spec: spec).post(call, path: path, body: body) }
        return try signed(call, key: key, path: path, body: body)
    }

    private func signed(
        _ call: UpstreamCall, key: Secret, path: String, body: ConvertedBody
    ) throws(UpstreamFailure) -> UpstreamRequest {
        let parts = key.reveal().split(separator: ":", maxSplits: 2).map(String.init)
        let (host, prefix) = Self.origin(call.baseURL)
        guard parts.count >= 2, let region = host.split(separator: ".").dropFirst().first, host.hasSuffix(".amazonaws.com") else {
            throw UpstreamFailure(
                source: .gateway, kind: .credentialRefused,
                detail: "provider '\(spec.name)': the key or the base URL is not fit for a signature")
        }
        var headers = [("host", host), ("x-amz-date", SignatureV4.time(call.startedAt)), ("content-type", "application/json")]
        if parts.count == 3 { headers.append(("x-amz-security-token", parts[2])) }
        let signer = SignatureV4(accessKey: parts[0], secret: parts[1], region: String(region), service: "bedrock")
        let authorization = signer.authorization(
            method: "POST", path: prefix + path, headers: headers.map { (name: $0.0, value: $0.1) },
            body: Array(body.bytes.readableBytesView),
            seconds: call.startedAt)
        var unsigned = call
        unsigned.key = nil
        // `host` is the transport's to send.
        return try Preparation(spec: spec).post(
            unsigned, path: path, body: body, headers: headers.dropFirst() + [("authorization", authorization)])
    }

    /// Host and path of a base URL.
    private static func origin(_ url: String) -> (host: String, path: String) {
        let rest = url.firstRange(of: "://").map { url[$0.upperBound...] } ?? url[...]
        let host = rest.prefix { $0 != "/" }
        return (String(host), String(rest.dropFirst(host.count)))
    }

    public func decode(_ body: ByteBuffer, for call: UpstreamCall) throws(UpstreamFailure) -> WholeAnswer {
        let tree = try Preparation.tree(body)
        if let problem = BedrockStreamDecoder.malformed(tree) { throw UpstreamFailure(kind: .malformed, detail: problem) }
        return WholeAnswer(ConverseAnswerReader.answer(tree), for: call)
    }

    public func streamDecoder(for call: UpstreamCall) -> any StreamDecoder {
        BedrockStreamDecoder(
            writer: call.envelope.endpoint.dialect.client.writer(DialectContext(call)), errors: Self.errors(spec, call.key))
    }

    /// The name of the error is in a header (`x-amzn-errortype: ThrottlingException:http://…`).
    public func classify(_ head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        let name = HTTPField.Name("x-amzn-errortype").flatMap { head.headers[$0] }.map { String($0.prefix { $0 != ":" }) }
        let tree = try? JSONValue(parsing: body)
        let message = (tree?["message"] ?? tree?["Message"])?.stringValue ?? String(buffer: body)
        return Self.errors(spec, nil).failure(head, VendorError(type: name, message: message), now: now)
    }

    static func errors(_ spec: ProviderSpec, _ key: Secret?) -> FailureClassifier {
        FailureClassifier(spec: spec, dialect: .plain, key: key, showsErrorObject: false) { status, error in
            switch status {
            case 400 where error.says("too long"): .contextLength
            case 400 where error.says("model identifier is invalid") || error.says("on-demand throughput"): .modelUnavailable
            // The key is well; the account has not asked for this model.
            case 403 where error.says("access to the model"): .modelUnavailable
            case 424: .server
            case 429 where error.names.contains("ModelNotReadyException"): .overloaded
            default: nil
            }
        }
    }
}

/// Reads Converse's binary stream. It holds one incomplete message.
struct BedrockStreamDecoder: StreamDecoder {
    private(set) var progress = AnswerProgress()
    private(set) var trailer = ByteBuffer()
    private var pending = ByteBuffer()
    private var reader = ConverseAnswerReader()
    private var writer: any AnswerEventWriter
    private let errors: FailureClassifier

    init(writer: any AnswerEventWriter, errors: FailureClassifier) {
        self.writer = writer
        self.errors = errors
    }

    mutating func push(_ bytes: ByteBuffer, into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !progress.isDone else { return }
        pending.discardReadBytes()
        pending.writeImmutableBuffer(bytes)
        while !progress.isDone {
            let message: EventStreamMessage
            do throws(EventStreamMessage.Problem) {
                guard let next = try EventStreamMessage.next(&pending, maximum: FamilyStreamDecoder.maximumEventBytes) else { return }
                message = next
            } catch {
                throw progress.broken("a message of the event stream is damaged: \(error)")
            }
            try take(message, into: &out)
        }
    }

    mutating func finish(into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !progress.isDone else { return }
        throw progress.truncated
    }

    /// Stop reasons that say that what came before is no answer
    /// (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, `stopReason`).
    static func malformed(_ json: JSONValue) -> String? {
        guard let reason = json["stopReason"]?.stringValue, reason.hasPrefix("malformed_") else { return nil }
        return "the model has written something that is no answer (\(reason))"
    }

    private mutating func take(_ message: EventStreamMessage, into out: inout ByteBuffer) throws(UpstreamFailure) {
        let json = try? JSONValue(parsing: message.payload)
        if message.headers[":message-type"] != "event" {
            let name = message.headers[":exception-type"] ?? message.headers[":error-code"] ?? ""
            let statuses = [
                "throttlingException": 429, "validationException": 400, "serviceUnavailableException": 503, "modelTimeoutException": 504,
            ]
            let error = VendorError(status: statuses[name] ?? 500, type: name, message: json?["message"]?.stringValue ?? name)
            throw errors.inBand(error, hasContent: progress.hasContent)
        }
        guard let json, case .object = json else { throw progress.broken("an event is no JSON object") }
        if let problem = Self.malformed(json) { throw progress.broken(problem) }
        var events: [AnswerEvent] = []
        reader.read(message.headers[":event-type"] ?? "", json, into: &events)
        let toldBefore = progress.usage?.completionTokens ?? 0
        for event in events {
            progress.absorb(event)
            writer.write(event, into: &out)
            guard event.kind == .end else { continue }
            guard progress.hasFinishReason else { throw progress.broken("the stream ended without a reason") }
            progress.isDone = true
            trailer = writer.end(into: &out)
        }
        progress.usageCoversDelivered(since: toldBefore)
        if writer.heldBytes > FamilyStreamDecoder.maximumEventBytes { throw progress.broken("the answer is too large") }
    }
}
