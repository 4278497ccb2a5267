import NIOCore
import RouterCore

/// A stream with its first content, and everything that the relay needs to continue it.
struct StreamAnswer: Sendable {
    var body: any UpstreamBody
    let decoder: DecoderHandOver
    /// Bytes for the client that were held back until the first content.
    var held: ByteBuffer
    /// Whether the upstream has already closed, so that the body has nothing more.
    var hasEnded: Bool
    /// A failure that arrived directly after the first content.
    var failure: UpstreamFailure?
    /// Content type of binary answers; nil = server-sent events.
    var contentType: String?
}
