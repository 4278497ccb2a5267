import NIOCore

/// A request's body for a vendor, and what of the client's request is not in it.
struct ConvertedBody {
    var bytes: ByteBuffer
    /// Names for the client, see ``DroppedFields``.
    var dropped: [String] = []
}
