import NIOCore
import RouterCore

/// A stream whose first content has come: what the relay needs to go on.
struct StreamAnswer: Sendable {
    var body: any UpstreamBody
    let decoder: DecoderHandOver
    /// Bytes for the client that were held back until the first content.
    var held: ByteBuffer
    /// The upstream has closed already; the body has nothing more.
    var hasEnded: Bool
    /// A failure that came right behind the first content.
    var failure: UpstreamFailure?
    /// Content type of binary answers; nil = server-sent events.
    var contentType: String?
}
