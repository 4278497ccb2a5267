import HTTPTypes
import NIOCore
import RouterCore
import Synchronization

/// Moves the bytes of a transfer: an I/O thread of libcurl, or an event loop.
protocol TransferDriver: AnyObject, Sendable {
    /// The reader of a paused transfer has caught up.
    func resume(_ transfer: Transfer)
    func cancel(_ transfer: Transfer)
}

extension UpstreamRequest {
    /// Whether the request is safe to send twice, because its method only reads.
    var isRepeatable: Bool { method == .get || method == .head }
}

/// One call in progress: the state that the I/O thread and the calling task share, behind one lock. Continuations are resumed outside the
/// lock.
final class Transfer: Sendable {
    let request: UpstreamRequest
    let options: TransportOptions

    private struct State {
        /// Notified when sending begins. It refers to the transfer as well, so the reference is dropped at the end.
        var cancellation: UpstreamCancellation?
        var head: UpstreamHead?
        var unread = UnreadBytes()
        var isPaused = false
        /// Set once, when the transfer ends: the inner nil means success.
        var end: TransportFailure??
        var isCancelled = false
        var headWaiter: CheckedContinuation<Result<UpstreamHead, TransportFailure>, Never>?
        var bytesWaiter: CheckedContinuation<Result<ByteBuffer?, TransportFailure>, Never>?
        var driver: (any TransferDriver)?
    }
    private let state: Mutex<State>

    /// - Throws: `.protocolViolation` for header values that would break the framing of the request.
    init(
        request: UpstreamRequest, options: TransportOptions, cancellation: UpstreamCancellation? = nil
    ) throws(TransportFailure) {
        for field in request.headers where field.value.utf8.contains(where: { $0 == 13 || $0 == 10 || $0 == 0 }) {
            throw TransportFailure(.protocolViolation, "header \(field.name) has a line break in its value")
        }
        guard request.url.hasPrefix("http://") || request.url.hasPrefix("https://"),
            !request.url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F })
        else { throw TransportFailure(.protocolViolation, "not an absolute http or https URL") }
        self.request = request
        self.options = options
        state = Mutex(State(cancellation: cancellation))
    }

    func attach(_ driver: any TransferDriver) { state.withLock { $0.driver = driver } }

    // MARK: The calling task

    func head() async throws(TransportFailure) -> UpstreamHead {
        let result = await withCheckedContinuation { continuation in
            let ready = state.withLock { state -> Result<UpstreamHead, TransportFailure>? in
                if let head = state.head { return .success(head) }
                if let end = state.end { return .failure(end ?? TransportFailure(.closedBeforeHead)) }
                state.headWaiter = continuation
                return nil
            }
            if let ready { continuation.resume(returning: ready) }
        }
        return try result.get()
    }

    func nextBytes() async throws(TransportFailure) -> ByteBuffer? {
        let result = await withCheckedContinuation { continuation in
            let (ready, driver) = state.withLock { state -> (Result<ByteBuffer?, TransportFailure>?, (any TransferDriver)?) in
                if let bytes = state.unread.next() {
                    let wake = state.isPaused ? state.driver : nil
                    return (.success(bytes), wake)
                }
                if let end = state.end {
                    // The failure is reported once; after that the body is simply over.
                    state.end = .some(nil)
                    return (end.map { .failure($0) } ?? .success(nil), nil)
                }
                state.bytesWaiter = continuation
                return (nil, nil)
            }
            driver?.resume(self)
            if let ready { continuation.resume(returning: ready) }
        }
        return try result.get()
    }

    func cancel() {
        let driver = state.withLock { state -> (any TransferDriver)? in
            guard !state.isCancelled, state.end == nil else { return nil }
            state.isCancelled = true
            return state.driver
        }
        driver?.cancel(self)
    }

    // MARK: The I/O thread

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// There is a connection, and the request is being sent on it.
    func isSending() { state.withLock { $0.cancellation }?.wrote() }

    func deliver(_ head: UpstreamHead) {
        let waiter = state.withLock { state -> CheckedContinuation<Result<UpstreamHead, TransportFailure>, Never>? in
            guard state.head == nil else { return nil }
            state.head = head
            defer { state.headWaiter = nil }
            return state.headWaiter
        }
        waiter?.resume(returning: .success(head))
    }

    enum Acceptance { case taken, pause }

    /// Delivers bytes from the socket. `.pause` = not accepted, because the reader is behind; deliver them again after `resume`.
    func deliver(_ bytes: UnsafeRawBufferPointer) -> Acceptance {
        let (acceptance, waiter, buffer) = state.withLock { state in
            if state.unread.count >= options.maxBufferedBytes {
                state.isPaused = true
                return (
                    Acceptance.pause, nil as CheckedContinuation<Result<ByteBuffer?, TransportFailure>, Never>?, nil as ByteBuffer?
                )
            }
            if let waiter = state.bytesWaiter {
                state.bytesWaiter = nil
                return (.taken, waiter, ByteBuffer(bytes: bytes))
            }
            state.unread.append(ByteBuffer(bytes: bytes))
            return (.taken, nil, nil)
        }
        if let waiter { waiter.resume(returning: .success(buffer)) }
        return acceptance
    }

    /// Accepts bytes regardless of the reader; ``isPaused`` then says whether more may be delivered. The reader is notified by
    /// ``tellReader()``, so that everything from one read of the socket is passed on together, however many chunks it was.
    func take(_ bytes: ByteBuffer) {
        state.withLock { state in
            state.unread.append(bytes)
            if state.unread.count >= options.maxBufferedBytes { state.isPaused = true }
        }
    }

    func tellReader() {
        let ready = state.withLock {
            state -> (CheckedContinuation<Result<ByteBuffer?, TransportFailure>, Never>, ByteBuffer, (any TransferDriver)?)? in
            guard let waiter = state.bytesWaiter, let portion = state.unread.next() else { return nil }
            state.bytesWaiter = nil
            return (waiter, portion, state.isPaused ? state.driver : nil)
        }
        guard let (waiter, portion, driver) = ready else { return }
        waiter.resume(returning: .success(portion))
        // The reader takes the bytes at once, so the reason for the pause is gone, and no later read would resume it.
        driver?.resume(self)
    }

    /// The reader has caught up. - Returns: whether the transfer was paused and has to resume.
    func takePause() -> Bool {
        state.withLock { state in
            guard state.isPaused, state.unread.count <= options.maxBufferedBytes / 2 else { return false }
            state.isPaused = false
            return true
        }
    }

    var isPaused: Bool { state.withLock { $0.isPaused } }

    /// Ends the transfer, with a failure or without. Only the first call counts.
    func finish(_ failure: TransportFailure?) {
        typealias Waiting<Value> = CheckedContinuation<Result<Value, TransportFailure>, Never>
        let (headWaiter, reader) = state.withLock {
            state -> (Waiting<UpstreamHead>?, (Waiting<ByteBuffer?>, Result<ByteBuffer?, TransportFailure>)?) in
            guard state.end == nil else { return (nil, nil) }
            state.end = .some(failure)
            state.driver = nil
            state.cancellation = nil
            defer {
                state.headWaiter = nil
                state.bytesWaiter = nil
            }
            guard let waiter = state.bytesWaiter else { return (state.headWaiter, nil) }
            if let portion = state.unread.next() { return (state.headWaiter, (waiter, .success(portion))) }
            // A failure that is handed to a waiting reader counts as reported.
            state.end = .some(nil)
            return (state.headWaiter, (waiter, failure.map { .failure($0) } ?? .success(nil)))
        }
        headWaiter?.resume(returning: .failure(failure ?? TransportFailure(.closedBeforeHead)))
        if let (waiter, result) = reader { waiter.resume(returning: result) }
    }
}

/// Bytes that have arrived and were not read yet; large buffers are never copied.
private struct UnreadBytes {
    private var buffers = CircularBuffer<ByteBuffer>()
    private(set) var count = 0

    mutating func append(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        count += bytes.readableBytes
        if let last = buffers.indices.last, buffers[last].readableBytes + bytes.readableBytes <= TransferBody.maximumPortion {
            // Modified in place: a subscript would make a copy to write to.
            buffers.modify(last) { _ = $0.writeImmutableBuffer(bytes) }
        } else {
            buffers.append(bytes)
        }
    }

    /// At most one portion.
    mutating func next() -> ByteBuffer? {
        guard var first = buffers.first else { return nil }
        if first.readableBytes > TransferBody.maximumPortion, let portion = first.readSlice(length: TransferBody.maximumPortion) {
            buffers[buffers.startIndex] = first
            count -= portion.readableBytes
            return portion
        }
        buffers.removeFirst()
        count -= first.readableBytes
        return first
    }
}

/// The reader's end of a transfer. Releasing the last reference cancels the transfer.
final class TransferBody: UpstreamBody {
    /// Maximum number of bytes that a reader gets at a time, so that processing them does not occupy its thread for long.
    static let maximumPortion = UpstreamPortion.maximumBytes

    private let transfer: Transfer
    init(transfer: Transfer) { self.transfer = transfer }
    deinit { transfer.cancel() }
    func next() async throws(TransportFailure) -> ByteBuffer? { try await transfer.nextBytes() }
    func cancel() { transfer.cancel() }
}
