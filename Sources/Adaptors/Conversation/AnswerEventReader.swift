import RouterCore

/// Reads a vendor's stream, one event at a time.
protocol AnswerEventReader: Sendable {
    /// - Parameter json: the payload of one server-sent event.
    mutating func read(_ json: JSONValue, into events: inout [AnswerEvent])
}
