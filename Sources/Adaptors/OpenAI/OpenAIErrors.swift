import HTTPTypes
import NIOCore
import RouterCore

/// Names failures: first by the rules of the provider file, then by the family's.
///
/// Sources: https://platform.openai.com/docs/guides/error-codes and https://openrouter.ai/docs/api-reference/errors
struct OpenAIErrors {
    let spec: ProviderSpec
    let dialect: OpenAIDialect
    /// What must not be repeated, where it is known; keys that look like keys are left out anyway.
    var key: Secret?
    /// The vendor's error object is in OpenAI's shape, or near it, and is shown (``OpenAIErrorObject``).
    var showsErrorObject = true
    /// What a family knows better; behind the rules of the provider file.
    var refine: (@Sendable (Int, ErrorFacts) -> FailureKind?)?

    // MARK: From a status

    func failure(head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        let facts = ErrorFacts(body: body)
        var failure = UpstreamFailure(
            kind: kind(head.status, facts), retryAfter: wait(head, facts, now), status: head.status,
            detail: detail(head.status, facts))
        failure.clientError = clientError(failure.kind, facts)
        return failure
    }

    // MARK: From inside a 200

    /// An error object (JSON text) inside a body or a stream. Before any content it is like a status, because another
    /// channel can still answer; afterwards the answer is broken.
    func inBand(_ json: String?, hasContent: Bool) -> UpstreamFailure {
        let value = json.flatMap { try? JSONValue(parsing: ByteBuffer(string: $0)) }
        let facts = ErrorFacts(text: json ?? "", error: value, isErrorObject: true)
        let status = facts.status ?? 502
        let detail = "in the answer: " + self.detail(status, facts)
        if hasContent { return UpstreamFailure(kind: .midStream, isBillable: true, status: 200, detail: detail) }
        var failure = UpstreamFailure(
            kind: kind(status, facts), retryAfter: facts.retryAfter, status: status, detail: detail)
        failure.clientError = clientError(failure.kind, facts)
        return failure
    }

    // MARK: Kinds

    private func kind(_ status: Int, _ facts: ErrorFacts) -> FailureKind {
        for rule in spec.errors where matches(rule, status, facts) { return rule.kind }
        if let kind = refine?(status, facts) { return kind }
        // These four are about our account whatever else the body says; all others may name the model.
        if (400..<600).contains(status), ![401, 402, 429].contains(status) {
            if let kind = facts.availability { return kind }
            if status < 500, facts.codes.contains("model_not_found") { return .modelUnavailable }
        }
        switch status {
        case 300..<400: return .malformed
        case 400: return badRequest(facts)
        case 401: return .credentialRefused
        // OpenRouter's "requires more credits, or fewer max_tokens": cheaper requests still pass.
        case 402: return facts.says("fewer max_tokens") ? .unaffordable : .credentialExhausted
        // OpenAI's "You are not allowed to generate embeddings from this model": the key is well.
        case 403 where facts.codes == ["invalid_request_error"]: return .modelUnavailable
        case 403: return dialect.forbiddenMayBeModeration && facts.isModeration ? .contentFilter : .credentialRefused
        // About a thing that the request names and the vendor does not have; the model is well.
        case 404 where facts.isErrorObject && facts.param.map({ $0 != "model" }) ?? false: return .invalidRequest
        case 404: return .modelUnavailable
        case 408: return .timeout
        case 409, 425: return .server
        case 429: return facts.codes.contains("insufficient_quota") ? .credentialExhausted : .rateLimit
        case 400..<500: return .invalidRequest
        case 503, 529: return .overloaded
        case 504, 524: return .timeout
        default: return .server
        }
    }

    private func badRequest(_ facts: ErrorFacts) -> FailureKind {
        if facts.codes.contains("context_length_exceeded") || facts.says("maximum context length") { return .contextLength }
        let filters: Set<String> = ["content_filter", "content_policy_violation", "refusal"]
        return facts.codes.contains(where: filters.contains) ? .contentFilter : .invalidRequest
    }

    private func matches(_ rule: ErrorRule, _ status: Int, _ facts: ErrorFacts) -> Bool {
        if let wanted = rule.status, wanted != status { return false }
        if let code = rule.code, !facts.codes.contains(code) { return false }
        if let words = rule.bodyContains, !facts.says(words) { return false }
        return true
    }

    private func wait(_ head: UpstreamHead, _ facts: ErrorFacts, _ now: Int64) -> Duration? {
        let readsReset = dialect.readsRateLimitReset && head.status == 429
        return facts.retryAfter ?? RetryAfter.duration(head.headers, now: now, readsReset: readsReset)
    }

    // MARK: Words

    /// The vendor's error in OpenAI's shape, as JSON text, for failures that the client's own request brought about.
    private func clientError(_ kind: FailureKind, _ facts: ErrorFacts) -> String? {
        guard [.invalidRequest, .contextLength, .contentFilter].contains(kind) else { return nil }
        if showsErrorObject, facts.isErrorObject, let error = facts.error, let message = error["message"]?.stringValue {
            return Redaction.clean(OpenAIErrorObject.shaped(error, message: message).text, key: key)
        }
        let message = Redaction.clean(facts.message ?? "the upstream refused the request", key: key)
        return JSONValue.object([
            .init("message", .string(String(message.prefix(2_000)))), .init("type", "invalid_request_error"),
            .init("param", .null), .init("code", .optional(facts.codes.first)),
        ]).text
    }

    /// For our log: short, and without anything that looks like a key (OpenAI repeats a part of the key in its 401).
    private func detail(_ status: Int, _ facts: ErrorFacts) -> String {
        // Cleaned before it is cut, so that no half of a key slips through.
        let words = Redaction.clean(String((facts.message ?? facts.text).prefix(2_000)), key: key)
        return "\(status) \(words.prefix(300))"
    }
}

/// The parts of an error body that decide.
struct ErrorFacts {
    /// The whole body, for `body_contains`.
    let text: String
    let error: JSONValue?
    /// The vendor put its error under `error`, as OpenAI does.
    let isErrorObject: Bool
    let message: String?
    /// `code`, `type` and OpenRouter's `error_type`, as text.
    let codes: [String]

    init(text: String, error: JSONValue?, isErrorObject: Bool) {
        self.text = text
        self.error = error
        self.isErrorObject = isErrorObject
        let code = error?["code"]
        codes = [
            code?.stringValue ?? code?.numberText, error?["type"]?.stringValue, error?["error_type"]?.stringValue,
            error?["status"]?.stringValue,
            error?["metadata"]?["error_type"]?.stringValue,
        ].compactMap { $0 }
        // `detail` is FastAPI's: a text, or a list of problems that is best shown as it is.
        let detail = error?["detail"]
        message =
            error?["message"]?.stringValue ?? error?.stringValue ?? detail?.stringValue
            ?? (detail?.isNull ?? true ? nil : detail?.text)
    }

    init(body: ByteBuffer) {
        var value = try? JSONValue(parsing: body)
        // Google answers a refused stream with a list of one.
        if case .array(let list)? = value { value = list.first }
        let inner = value?["error"].flatMap { $0.isNull ? nil : $0 }
        let isOuter = value?["message"] != nil || value?["detail"] != nil
        self.init(
            text: String(buffer: body), error: inner ?? (isOuter ? value : nil), isErrorObject: inner != nil)
    }

    /// The field of the request that the error is about.
    var param: String? { error?["param"]?.stringValue }

    /// Case-insensitive.
    func says(_ words: String) -> Bool { text.lowercased().contains(words.lowercased()) }

    /// The HTTP status that an error inside a 200 stands for: said in numbers, or by a known name.
    var status: Int? {
        for value in [error?["code"], error?["http_status"]] {
            if let number = value?.integerValue ?? value?.stringValue.flatMap({ Int64($0) }), (400..<600).contains(number) {
                return Int(number)
            }
        }
        return codes.lazy.compactMap { Self.statuses[$0] }.first
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

    var isModeration: Bool {
        let metadata = error?["metadata"]
        return metadata?["flagged_input"] != nil || metadata?["reasons"] != nil || says("moderation") || says("flagged")
    }

    /// OpenRouter's `error.availability`: what is the matter with the model, and whether waiting helps.
    var availability: FailureKind? {
        guard let availability = error?["availability"], !availability.isNull else { return nil }
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
    var retryAfter: Duration? {
        for detail in error?["details"]?.arrayValue ?? [] {
            guard let delay = detail["retryDelay"]?.stringValue, delay.hasSuffix("s") else { continue }
            if let wait = RetryAfter.duration(seconds: String(delay.dropLast())) { return wait }
        }
        let value = error?["availability"]?["retry_after"]
        return (value?.numberText ?? value?.stringValue).flatMap { RetryAfter.duration(seconds: $0) }
    }
}

/// Keeps keys out of words that vendors send back.
enum Redaction {
    private static let mark = "<redacted>"

    /// Without the key, and without anything that looks like `sk-…` (also with stars in it, as OpenAI shows keys).
    static func clean(_ text: String, key: Secret?) -> String {
        guard let key, key.reveal().utf8.count >= 4 else { return withoutKeyLike(text) }
        return withoutKeyLike(replacing(key.reveal(), in: text))
    }

    private static func replacing(_ secret: String, in text: String) -> String {
        let bytes = Array(text.utf8)
        let wanted = Array(secret.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: wanted) {
                result += mark.utf8
                index += wanted.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func withoutKeyLike(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let isBoundary = index == 0 || !isKeyByte(bytes[index - 1])
            if isBoundary, bytes[index...].starts(with: "sk-".utf8) {
                var end = index + 3
                while end < bytes.count, isKeyByte(bytes[end]) { end += 1 }
                // Shorter is a word.
                if end - index >= 8 {
                    result += mark.utf8
                    index = end
                    continue
                }
            }
            result.append(bytes[index])
            index += 1
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || byte == 0x2D || byte == 0x5F
            || byte == UInt8(ascii: "*") || byte == UInt8(ascii: ".")
    }
}
