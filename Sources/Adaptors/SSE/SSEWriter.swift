import NIOCore
import RouterCore

enum SSEWriter {
    /// - Parameter event: for the dialects that name their events, which is then also `type` of the payload.
    static func write(_ json: JSONValue, event: String? = nil, into out: inout ByteBuffer) {
        if let event { out.writeString("event: \(event)\n") }
        out.writeStaticString("data: ")
        json.write(to: &out)
        out.writeStaticString("\n\n")
    }
}
