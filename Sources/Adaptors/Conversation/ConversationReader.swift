import NIOCore
import RouterCore

/// Reads a client's body in its dialect.
enum ConversationReader {
    /// - Parameters:
    ///   - drop: top-level fields that the provider file drops.
    ///   - dropped: takes the names of what is left out besides.
    static func read(_ call: UpstreamCall, drop: [String], noting dropped: DroppedFields) throws(UpstreamFailure) -> Conversation {
        let tree: JSONValue
        do throws(JSONScanError) {
            tree = try JSONValue(parsing: call.envelope.body)
        } catch {
            throw .malformedField("body", "is not valid JSON: \(error)")
        }
        var conversation = try call.envelope.endpoint.dialect.client.read(tree, drop: drop, noting: dropped)
        conversation.isStream = call.envelope.isStream
        return conversation
    }
}
