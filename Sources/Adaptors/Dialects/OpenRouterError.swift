import RouterCore

/// Errors as OpenRouter's clients expect them (https://openrouter.ai/docs/api/reference/errors-and-debugging).
enum OpenRouterError {
    /// Values for which OpenRouter's shape has no field are kept under `metadata`.
    static func json(_ error: ErrorObject, status: Int) -> JSONValue {
        var metadata = error.metadata
        func add(_ name: String, _ value: String?) {
            guard let value, !metadata.contains(where: { $0.name == name }) else { return }
            metadata.append(.init(name, .string(value)))
        }
        add("error_type", type(status))
        add("type", error.type)
        add("code", error.code)
        add("param", error.param)
        return ["code": .integer(status), "message": .string(error.message), "metadata": .object(metadata)]
    }

    /// The stable names of https://openrouter.ai/docs/api/reference/errors-and-debugging.
    private static func type(_ status: Int) -> String {
        switch status {
        case 401: "authentication"
        case 402: "payment_required"
        case 403: "permission_denied"
        case 404: "not_found"
        case 408, 504: "timeout"
        case 413: "payload_too_large"
        case 422: "unprocessable"
        case 429: "rate_limit_exceeded"
        case 400..<500: "invalid_request"
        case 502: "provider_unavailable"
        case 503, 529: "provider_overloaded"
        default: "server"
        }
    }
}
