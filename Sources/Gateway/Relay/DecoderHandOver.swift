import RouterCore
import Synchronization

/// A stream's decoder on its way from the attempt to the relay. It is handed over once, so that there is no second reference: otherwise the
/// first chunk would copy all its state.
final class DecoderHandOver: Sendable {
    private let decoder: Mutex<(any StreamDecoder)?>

    init(_ decoder: consuming any StreamDecoder) { self.decoder = Mutex(consume decoder) }

    /// - Returns: nil when it has already been taken.
    func take() -> (any StreamDecoder)? {
        decoder.withLock { decoder in
            defer { decoder = nil }
            return decoder
        }
    }
}
