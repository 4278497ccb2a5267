/// The form in which an answer is delivered.
public enum AnswerDelivery: Sendable, Hashable {
    /// One JSON document (or text).
    case whole
    /// Server-sent events.
    case events
    /// Binary data, passed on as it arrives.
    case bytes
}
