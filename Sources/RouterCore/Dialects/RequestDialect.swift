import NIOCore

/// The form of requests in a dialect, as far as the gateway acts on them.
protocol RequestDialect: Sendable {
    /// The model stands in the path, not in the body.
    static var namesModelInPath: Bool { get }
    /// The fields that bound the tokens of an answer. One under another dialect's name binds nobody, so it must not lower a hold.
    static var outputBounds: OutputBounds { get }
    /// The field that says whether tools must be used.
    static var toolChoice: String { get }
    /// Tools are told apart by their only key, not by their `type`.
    static var hasKeyedTools: Bool { get }
    /// Requests that strict admission takes, of conversations.
    static var strictShape: StrictRequestShape { get }

    /// A field that may cost more than tokens; nil for all others.
    static func extra(_ name: String, _ member: JSONMember, _ bytes: Span<UInt8>) -> CostlyField?

    /// The same request with a bound on the tokens of its answer.
    static func limitingOutput(
        of request: RequestEnvelope, to tokens: Int64
    ) throws(RequestEnvelope.Rejection) -> RequestEnvelope

    /// The same request with another body.
    static func request(
        _ request: RequestEnvelope, with body: ByteBuffer
    ) throws(RequestEnvelope.Rejection) -> RequestEnvelope
}

extension RequestDialect {
    static var namesModelInPath: Bool { false }
    static var toolChoice: String { "tool_choice" }
    static var hasKeyedTools: Bool { false }

    static func extra(_ name: String, _ member: JSONMember, _ bytes: Span<UInt8>) -> CostlyField? { nil }

    /// In the fields that the client used, else in the one that every vendor of the dialect knows.
    static func limitingOutput(
        of request: RequestEnvelope, to tokens: Int64
    ) throws(RequestEnvelope.Rejection) -> RequestEnvelope {
        let bytes = request.body.readableBytesUInt8Span
        let bounds = outputBounds
        var splice = BodySplice()
        for member in request.members where bounds.contains(member, bytes) { splice.replace(member.value, with: String(tokens)) }
        if splice.isEmpty, let first = request.members.first {
            let name = bounds.contains(.maxOutputTokens) ? "max_output_tokens" : "max_tokens"
            splice.insert("\"\(name)\":\(tokens),", at: first.whole.lowerBound)
        }
        return try Self.request(request, with: splice.applied(to: request.body))
    }

    static func request(
        _ request: RequestEnvelope, with body: ByteBuffer
    ) throws(RequestEnvelope.Rejection) -> RequestEnvelope {
        try RequestEnvelope(body: body, endpoint: request.endpoint)
    }
}
