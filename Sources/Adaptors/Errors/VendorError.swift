import NIOCore
import RouterCore

/// A vendor's error, read once from the vendor's own bytes. The class of the failure (``FailureClassifier``) and what a client is told both
/// come from this value.
struct VendorError: Sendable, Hashable {
    /// The HTTP status that an error inside a 200 stands for, said in figures or by a known name; nil when nothing says one.
    var status: Int?
    /// All names that the vendor gives the error (`code`, `type`, `status`, …), for rules to compare with.
    var names: [String] = []
    var message: String?
    /// The field of the request that the error is about.
    var param: String?
    /// The vendor's wish, when the error itself tells one.
    var retryAfter: Duration?
    /// OpenRouter's word on the model: whether it is gone or waiting helps.
    var availability: FailureKind?
    /// A moderation of the client's input stands beside the error.
    var hasModeration = false
    /// The error in OpenAI's shape; nil when the vendor's is not near it.
    var object: ErrorObject?
    /// All that the vendor said, for rules that look for words.
    var text: String

    /// An error that its vendor tells in another way than by an object: by a header, a field of the answer, a reason to stop.
    /// - Parameters:
    ///   - status: what it stands for when it comes inside a 200.
    ///   - type: the vendor's name for it.
    init(status: Int? = nil, type: String? = nil, message: String) {
        self.status = status
        names = [status.map(String.init), type].compactMap { $0 }
        self.message = message
        text = type.map { "\($0): \(message)" } ?? message
    }

    /// The body of an answer that is not 2xx.
    init(body: ByteBuffer) {
        var value = try? JSONValue(parsing: body)
        // Google answers a refused stream with a list of one.
        if case .array(let list)? = value { value = list.first }
        let inner = value?["error"].flatMap { $0.isNull ? nil : $0 }
        let isOuter = value?["message"] != nil || value?["detail"] != nil
        self.init(inner ?? (isOuter ? value : nil), isErrorObject: inner != nil, text: String(buffer: body))
    }

    /// An error object inside an answer or a stream.
    init(inBand error: JSONValue?) { self.init(error, isErrorObject: true, text: error?.text ?? "") }

    /// The same, as JSON that has not been read yet; nil: the answer says that it failed, and no more.
    init(inBandJSON json: String?) { self.init(json.flatMap { JSONText.parse($0) }, isErrorObject: true, text: json ?? "") }

    /// Reads the form that OpenAI, Anthropic, Google and Cohere share: an object with a `message` and a few names.
    /// - Parameter isErrorObject: it stands under `error`, as OpenAI's does.
    private init(_ error: JSONValue?, isErrorObject: Bool, text: String) {
        self.text = text
        let (code, metadata) = (error?["code"], error?["metadata"])
        names = [
            code?.stringValue ?? code?.numberText, error?["type"]?.stringValue, error?["error_type"]?.stringValue,
            error?["status"]?.stringValue, metadata?["error_type"]?.stringValue,
        ].compactMap { $0 }
        // `detail` is FastAPI's: a text, or a list of problems that is best shown as it is.
        let detail = error?["detail"]
        message =
            error?["message"]?.stringValue ?? error?.stringValue ?? detail?.stringValue
            ?? (detail?.isNull ?? true ? nil : detail?.text)
        status = Self.status(error, names)
        retryAfter = Self.retryAfter(error)
        availability = Self.availability(error?["availability"])
        hasModeration = metadata?["flagged_input"] != nil || metadata?["reasons"] != nil
        guard isErrorObject else { return }
        param = error?["param"]?.stringValue
        if let error, let message = error["message"]?.stringValue { object = ErrorObject(near: error, message: message) }
    }

    /// Case-insensitive.
    func says(_ words: String) -> Bool { text.lowercased().contains(words.lowercased()) }

    var isModeration: Bool { hasModeration || says("moderation") || says("flagged") }

    // MARK: Parts

    private static func status(_ error: JSONValue?, _ names: [String]) -> Int? {
        for value in [error?["code"], error?["http_status"]] {
            if let number = value?.integerValue ?? value?.stringValue.flatMap({ Int64($0) }), (400..<600).contains(number) {
                return Int(number)
            }
        }
        return names.lazy.compactMap { statuses[$0] }.first
    }

    private static let statuses: [String: Int] = [
        "invalid_request": 400, "invalid_request_error": 400, "invalid_prompt": 400, "context_length_exceeded": 400,
        "max_tokens_exceeded": 400, "token_limit_exceeded": 400, "string_too_long": 400, "content_filter": 400,
        "content_policy_violation": 400, "refusal": 400, "authentication": 401, "authentication_error": 401,
        "invalid_api_key": 401, "payment_required": 402, "insufficient_quota": 402, "permission_denied": 403,
        "permission_error": 403, "not_found": 404, "model_not_found": 404, "timeout": 504, "precondition_failed": 412,
        "payload_too_large": 413, "unprocessable": 422, "rate_limit_exceeded": 429, "rate_limit_error": 429,
        "server": 500, "server_error": 500, "provider_unavailable": 502, "provider_overloaded": 503,
        "overloaded_error": 529, "not_found_error": 404, "request_too_large": 413, "api_error": 500, "billing_error": 402,
        "timeout_error": 504, "RESOURCE_EXHAUSTED": 429, "UNAVAILABLE": 503, "INVALID_ARGUMENT": 400, "INTERNAL": 500,
    ]

    /// OpenRouter's `error.availability`: what is the matter with the model, and whether waiting helps.
    private static func availability(_ availability: JSONValue?) -> FailureKind? {
        guard let availability, !availability.isNull else { return nil }
        switch availability["code"]?.stringValue {
        case "capacity_exhausted", "temporarily_unavailable": return .overloaded
        // The client's own wishes left nothing over; that says nothing about the model's health.
        case "wrong_endpoint", "constraint_filtered": return .invalidRequest
        case "model_not_found", "no_endpoints", "model_deprecated", "model_unavailable_upstream", "region_restricted",
            "privacy_restricted", "free_variant_ended":
            return .modelUnavailable
        default: return availability["retryable"]?.boolValue.map { $0 ? .overloaded : .modelUnavailable }
        }
    }

    /// `error.availability.retry_after` in seconds, or Google's `RetryInfo` (`"retryDelay": "34.07s"`,
    /// https://cloud.google.com/apis/design/errors).
    private static func retryAfter(_ error: JSONValue?) -> Duration? {
        for detail in error?["details"]?.arrayValue ?? [] {
            guard let delay = detail["retryDelay"]?.stringValue, delay.hasSuffix("s") else { continue }
            if let wait = RetryAfter.duration(seconds: String(delay.dropLast())) { return wait }
        }
        let value = error?["availability"]?["retry_after"]
        return (value?.numberText ?? value?.stringValue).flatMap { RetryAfter.duration(seconds: $0) }
    }
}

extension ErrorObject {
    private static let known: Set<String> = ["message", "type", "param", "code", "metadata"]

    /// A vendor's object that is near OpenAI's: `type` may be missing, `code` may be a number, fields may be added. What does not fit into
    /// the four fields is kept under `metadata`.
    /// - Parameter message: the object's own.
    init(near error: JSONValue, message: String) {
        self.init(message: message)
        guard case .object(let members) = error else { return }
        if case .object(let theirs)? = error["metadata"] {
            metadata = theirs
        } else if let other = error["metadata"], !other.isNull {
            metadata.append(.init("metadata", other))
        }
        if let given = take("type", of: error), !given.isEmpty { type = given }
        param = take("param", of: error)
        code = take("code", of: error)
        for member in members where !Self.known.contains(member.name) { keep(member.name, member.value) }
    }

    /// The text of a field; what is neither text nor number is kept under `metadata`.
    private mutating func take(_ name: String, of error: JSONValue) -> String? {
        guard let value = error[name], !value.isNull else { return nil }
        if let text = value.stringValue ?? value.numberText { return text }
        keep(name, value)
        return nil
    }

    private mutating func keep(_ name: String, _ value: JSONValue) {
        guard let same = metadata.first(where: { $0.name == name }) else { return metadata.append(.init(name, value)) }
        // The vendor's metadata says it already, or says something else by the same name.
        if same.value != value { metadata.append(.init("error_" + name, value)) }
    }

    /// An error that is in OpenAI's shape already: the gateway's own.
    init(openAI error: JSONValue) {
        self.init(near: error, message: error["message"]?.stringValue ?? "the request was refused")
    }
}
