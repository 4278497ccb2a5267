import RouterCore
import Synchronization

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
