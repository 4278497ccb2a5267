public import NIOCore
import Synchronization

/// Sends upstream requests. The Server holds one; the implementation lives in the Transport target.
///
/// Nothing here is tied to task cancellation on purpose: what a client's disconnect does to the upstream call
/// (cancel it, or drain it for its usage) is a policy of the relay, which calls ``UpstreamBody/cancel()``.
/// All waits are bounded by ``TransportOptions/timeouts``.
public protocol UpstreamTransport: Sendable {
    /// Sends the request and waits for the response head.
    /// - Throws: ``TransportFailure`` (no connection, TLS, timeouts, oversized headers, cancelled through `cancellation`).
    func send(
        _ request: UpstreamRequest, options: TransportOptions, cancellation: UpstreamCancellation
    ) async throws(TransportFailure) -> UpstreamResponse
}

/// Settings of one call.
public struct TransportOptions: Sendable {
    public var timeouts: AttemptTimeouts
    /// `http://`, `https://`, `socks5://` or `socks5h://` URL, possibly with credentials; nil = direct.
    /// The proxy variables of the environment are never consulted.
    public var proxy: Secret?
    /// Upper bound of the sum of all response header bytes.
    public var maxHeaderBytes: Int
    /// When this many received bytes wait unread, the transfer is paused until the reader has caught up.
    public var maxBufferedBytes: Int
    /// The call must not travel on a connection that was kept from an earlier one.
    public var needsNewConnection: Bool

    public init(
        timeouts: AttemptTimeouts = AttemptTimeouts(), proxy: Secret? = nil,
        maxHeaderBytes: Int = 64 * 1024, maxBufferedBytes: Int = 256 * 1024, needsNewConnection: Bool = false
    ) {
        self.needsNewConnection = needsNewConnection
        self.timeouts = timeouts
        self.proxy = proxy
        self.maxHeaderBytes = maxHeaderBytes
        self.maxBufferedBytes = maxBufferedBytes
    }
}

/// A head with a body that arrives as it comes.
public struct UpstreamResponse: Sendable {
    public var head: UpstreamHead
    public var body: any UpstreamBody

    public init(head: UpstreamHead, body: any UpstreamBody) {
        self.head = head
        self.body = body
    }
}

/// How much of an upstream's body is handed out at a time. A reader that gets this much probably finds more waiting, and lets others have
/// their turn first.
public enum UpstreamPortion {
    public static let maximumBytes = 16 * 1024
}

/// The body of an upstream answer: pulled by one reader at a time, paused at the source when the reader is slow.
public protocol UpstreamBody: Sendable {
    /// The next bytes, never empty, at most ``UpstreamPortion/maximumBytes``; nil after the last. After nil or an error, further calls give
    /// nil.
    /// - Throws: ``TransportFailure`` when the transfer broke or a timeout fired. A body that ended before its
    ///   announced length or before its last chunk is an error, never nil.
    func next() async throws(TransportFailure) -> ByteBuffer?
    /// Ends the transfer now and closes its connection. Idempotent; a waiting ``next()`` throws `.cancelled`.
    /// Every body must be read to its end or cancelled; dropping the last reference cancels too.
    func cancel()
}

/// Lets the owner of an attempt end it at any moment (client gone, shutdown): before, during or after `send`.
/// One per attempt; it is the same switch as ``UpstreamBody/cancel()`` once a body exists.
public final class UpstreamCancellation: Sendable {
    private struct State {
        var isCancelled = false
        var isWritten = false
        var action: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    public init() {}

    /// The server may have something of the request: there is a connection to it, and the sending has begun.
    public var isWritten: Bool { state.withLock { $0.isWritten } }

    /// The transport says so.
    public func wrote() { state.withLock { $0.isWritten = true } }

    public var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// Registers what ends the transfer (the transport calls this); runs it at once when the cancellation came first.
    public func onCancel(_ action: @escaping @Sendable () -> Void) {
        let runNow = state.withLock { state in
            if state.isCancelled { return true }
            state.action = action
            return false
        }
        if runNow { action() }
    }

    /// Ends the attempt. Idempotent.
    public func cancel() {
        let action = state.withLock { state -> (@Sendable () -> Void)? in
            guard !state.isCancelled else { return nil }
            state.isCancelled = true
            defer { state.action = nil }
            return state.action
        }
        action?()
    }
}

/// Why an upstream call gave no (whole) answer, seen from the socket.
public struct TransportFailure: Error, Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case resolve, connect, tls, proxy
        case connectTimeout, firstByteTimeout, idleTimeout, totalTimeout
        /// The peer closed or reset before a response head came.
        case closedBeforeHead
        /// The peer closed or reset inside the body, or the framing was broken.
        case closedInBody
        case headersTooLarge
        /// Not HTTP, bad status line, bad content encoding.
        case protocolViolation
        case cancelled
        case shutdown
        /// As many connections as are allowed are open.
        case exhausted
        case other
    }
    public var kind: Kind
    /// Only with `.closedBeforeHead`: the request had been written to a connection that was kept from an earlier call,
    /// and the peer closed it without a byte of an answer. It may have closed before it read the request, or have
    /// worked on it and billed it; nobody can tell. A request of which a part was never handed to the system is sent
    /// again by the transport itself and does not fail with this.
    public var wasKept: Bool
    /// For our log: libcurl's words, without credentials. Never shown to a client.
    public var detail: String

    public init(_ kind: Kind, _ detail: String = "", wasKept: Bool = false) {
        self.kind = kind
        self.wasKept = wasKept
        self.detail = detail
    }
}
