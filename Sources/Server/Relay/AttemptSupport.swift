import NIOCore
import RouterCore
import Synchronization

/// A flag that goes up once.
final class AtomicFlag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

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

/// A stream's decoder on its way from the attempt to the relay. Handed over once, so that nobody keeps a second one: the first chunk
/// would have to copy all it knows.
final class DecoderHandOver: Sendable {
    private let decoder: Mutex<(any StreamDecoder)?>

    init(_ decoder: consuming any StreamDecoder) { self.decoder = Mutex(consume decoder) }

    /// - Returns: nil when it was taken before.
    func take() -> (any StreamDecoder)? {
        decoder.withLock { decoder in
            defer { decoder = nil }
            return decoder
        }
    }
}
