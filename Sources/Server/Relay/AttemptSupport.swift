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

extension UpstreamFailure {
    /// A failure below HTTP, in the router's words. TCP and TLS failures count against the endpoint's health.
    init(transport failure: TransportFailure, clientGone: Bool = false) {
        let kind: FailureKind
        switch failure.kind {
        case .resolve, .connect, .tls, .proxy, .connectTimeout: kind = .connect
        case .closedBeforeHead: kind = .connectionReset
        case .firstByteTimeout, .idleTimeout, .totalTimeout: kind = .timeout
        case .closedInBody: kind = .truncated
        case .headersTooLarge, .protocolViolation: kind = .malformed
        case .cancelled:
            self =
                clientGone
                ? .clientGone
                : UpstreamFailure(source: .gateway, kind: .cancelled, retry: .no, detail: failure.detail)
            return
        case .shutdown:
            self = UpstreamFailure(
                source: .gateway, kind: .overloaded, retry: .no, detail: "the gateway is shutting down")
            return
        case .exhausted:
            self = UpstreamFailure(source: .gateway, kind: .overloaded, retry: .no, detail: failure.detail)
            return
        case .other: kind = .server
        }
        self.init(kind: kind, detail: "\(failure.kind.rawValue): \(failure.detail)")
        // A kept connection that is dead says nothing of the vendor's health; the request may have been read, so this
        // counts as an attempt.
        if failure.wasKept {
            source = .gateway
            retry = .sameChannel
        }
    }
}
