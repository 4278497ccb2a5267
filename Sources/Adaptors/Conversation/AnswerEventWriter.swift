import NIOCore

/// Writes a streamed answer in a client's dialect.
protocol AnswerEventWriter: Sendable {
    mutating func write(_ event: AnswerEvent, into out: inout ByteBuffer)
    /// Bytes that the dialect makes the writer keep, because its last event repeats the answer.
    var heldBytes: Int { get }
    /// Ends the stream. - Returns: the end marker, which the client gets once the request is settled.
    mutating func end(into out: inout ByteBuffer) -> ByteBuffer
}

extension AnswerEventWriter {
    var heldBytes: Int { 0 }
}
