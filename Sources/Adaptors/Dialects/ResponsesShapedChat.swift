package import NIOCore
package import RouterCore

/// Chat requests in the shape of Responses: `input` in place of `messages`, and tools without an object `function`. Cursor's agents send
/// them to Chat Completions when a user has given it a key and a base URL, and expect a chat completion back
/// (https://github.com/BerriAI/litellm/pull/34029 describes them).
package enum ResponsesShapedChat {
    /// Fields that mean the same in both, or that the gateway itself acts on.
    private static let passed = [
        "models", "provider", "session_id", "prompt_cache_key", "stream_options", "user", "service_tier", "metadata",
    ]

    package static func matches(_ envelope: RequestEnvelope) -> Bool {
        envelope.endpoint == .chat && envelope.member("input") != nil && envelope.member("messages") == nil
    }

    /// - Returns: the request as Chat Completions has it, and the names of the fields that have no place there.
    /// - Throws: a rejection that names the field which cannot be expressed.
    package static func converted(
        _ envelope: RequestEnvelope
    ) throws(RequestEnvelope.Rejection) -> (body: ByteBuffer, dropped: [String]) {
        guard case .object(let members)? = try? JSONValue(parsing: envelope.body) else { throw .init("the body must be a JSON object") }
        let dropped = DroppedFields(isLenient: true)
        do throws(UpstreamFailure) {
            // Chat Completions stores nothing that a later request could name.
            let rest = members.filter { $0.name != "store" && !passed.contains($0.name) }
            var conversation = try ResponsesDialect.read(.object(rest), drop: [], noting: dropped)
            conversation.isStream = envelope.isStream
            let writer = ChatRequestWriter(
                model: envelope.model, rules: RequestRules(), dialect: OpenAIDialect(), asksForUsage: false,
                passed: members.filter { passed.contains($0.name) })
            var body = ByteBuffer()
            try writer.write(conversation).write(to: &body)
            return (body, dropped.names)
        } catch {
            throw .init(error.detail, param: error.clientError?.param)
        }
    }
}
