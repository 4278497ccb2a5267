import NIOCore
import RouterCore

/// Reads a client's body in its dialect.
enum ConversationReader {
    /// - Parameter drop: top-level fields that the provider file drops.
    static func read(_ call: UpstreamCall, drop: [String]) throws(UpstreamFailure) -> Conversation {
        let tree: JSONValue
        do throws(JSONScanError) {
            tree = try JSONValue(parsing: call.envelope.body)
        } catch {
            throw .malformedField("body", "is not valid JSON: \(error)")
        }
        guard case .object(let members) = tree else { throw .malformedField("body", "must be an object") }
        if call.envelope.endpoint == .gemini {
            var conversation = try GeminiRequestReader.read(tree, drop: drop)
            conversation.isStream = call.envelope.isStream
            return conversation
        }
        var fields = try Fields(.object(members.filter { !drop.contains($0.name) }), at: "")
        // Read by the gateway from the envelope.
        fields.skip("model", "models", "provider", "session_id", "prompt_cache_key", "stream", "stream_options")
        var conversation: Conversation
        switch call.envelope.endpoint {
        case .messages: conversation = try MessagesRequestReader.read(&fields)
        case .responses: conversation = try ResponsesRequestReader.read(&fields)
        default: conversation = try ChatRequestReader.read(&fields)
        }
        try fields.done()
        conversation.isStream = call.envelope.isStream
        return conversation
    }
}
