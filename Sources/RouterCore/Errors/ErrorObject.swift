/// An error as a client is told it, before it takes the shape of the client's dialect. The fields are those of OpenAI's error object
/// (https://platform.openai.com/docs/guides/error-codes): no other dialect says more.
public struct ErrorObject: Sendable, Hashable {
    public var message: String
    public var type: String
    /// The field of the request that is at fault.
    public var param: String?
    public var code: String?
    /// Further values from the vendor; OpenRouter's clients look for them under this name.
    public var metadata: [JSONValue.Member]

    public init(
        message: String, type: String = "invalid_request_error", param: String? = nil, code: String? = nil,
        metadata: [JSONValue.Member] = []
    ) {
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.metadata = metadata
    }

    /// In OpenAI's shape: `param` and `code` are texts or null, `metadata` is left out when there is none.
    public var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("message", .string(message)), .init("type", .string(type)), .init("param", .optional(param)),
            .init("code", .optional(code)),
        ]
        if !metadata.isEmpty { members.append(.init("metadata", .object(metadata))) }
        return .object(members)
    }
}
