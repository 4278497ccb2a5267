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
        var conversation = try call.envelope.endpoint.dialect.client.read(tree, drop: drop)
        conversation.isStream = call.envelope.isStream
        return conversation
    }
}
