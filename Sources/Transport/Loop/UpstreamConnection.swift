import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPCompression
import NIOSSL
import NIOTLS
import RouterCore

/// One upstream connection: one call at a time, kept for the next call when both sides have finished in order. The last handler of its
/// channel's pipeline; confined to its event loop.
final class UpstreamConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    // Only for a head that is passed through another handler first.
    typealias InboundOut = HTTPClientResponsePart
    // Requests are sent by the ``RequestWriter``; no handler writes from behind this one.
    typealias OutboundIn = Never

    let origin: UpstreamOrigin
    private let pool: LoopPool
    private var context: ChannelHandlerContext?
    private var call: Call?
    /// One timer for the connection's life, rescheduled only for an earlier deadline: calls begin and end without touching it.
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture
    private var idleSince = NIODeadline.now()
    /// Whether a read was requested while the reader of the body was behind.
    private var owesRead = false
    /// Whether compressed bodies are decoded before this handler.
    private var inflates = false
    /// Deadline of the TLS handshake; nil = done, or not needed.
    var secureBy: NIODeadline?

    private struct Call {
        var transfer: Transfer
        var target: UpstreamTarget
        var startedAt: NIODeadline
        var isReused: Bool
        var isHeadDelivered = false
        var isWritten = false
        var keepsAlive = false
        var lastActivity: NIODeadline
        /// The limits in the event loop's unit of time.
        let firstByteLimit: TimeAmount
        let idleLimit: TimeAmount
        let totalLimit: TimeAmount

        init(_ transfer: Transfer, _ target: UpstreamTarget, at start: NIODeadline, isReused: Bool) {
            self.transfer = transfer
            self.target = target
            startedAt = start
            self.isReused = isReused
            lastActivity = start
            let timeouts = transfer.options.timeouts
            firstByteLimit = Self.limit(timeouts.firstByte)
            idleLimit = Self.limit(timeouts.idle)
            totalLimit = Self.limit(timeouts.total)
        }

        /// Limits of more than a year could overflow a deadline in nanoseconds.
        private static func limit(_ duration: Duration) -> TimeAmount {
            TimeAmount(min(max(duration, .milliseconds(1)), .seconds(31_536_000)))
        }
    }

    private let writer: RequestWriter
    private let decoder: HTTPResponseDecoder
    private static let headRequest = HTTPRequestHead(version: .http1_1, method: .HEAD, uri: "/")
    private static let otherRequest = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/")

    init(pool: LoopPool, origin: UpstreamOrigin, writer: RequestWriter, decoder: HTTPResponseDecoder) {
        self.pool = pool
        self.origin = origin
        self.writer = writer
        self.decoder = decoder
    }

    var isUsable: Bool { call == nil && context?.channel.isActive == true }

    // MARK: Calls

    func start(_ transfer: Transfer, _ target: UpstreamTarget, at start: NIODeadline, isReused: Bool) {
        guard let context else { return pool.ended(transfer, TransportFailure(.closedBeforeHead)) }
        let request = transfer.request
        call = Call(transfer, target, at: start, isReused: isReused)
        arm(nextDeadline())
        // The decoder has to know that a response is expected, and whether it may have a body.
        decoder.write(data: .head(request.method == .head ? Self.headRequest : Self.otherRequest))
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        written.futureResult.whenSuccess { bound.value.written(transfer) }
        // Nothing is sent before the handshake is done.
        if secureBy == nil { transfer.isSending() }
        writer.send(request, target, promise: written)
    }

    private func written(_ transfer: Transfer) {
        guard call?.transfer === transfer else { return }
        call?.isWritten = true
    }

    /// Ends the call, if any, and the connection.
    func fail(_ failure: TransportFailure) {
        if let call {
            self.call = nil
            pool.ended(call.transfer, failure)
        }
        close()
    }

    func close() { context?.close(promise: nil) }

    /// The reader has caught up.
    func resume(_ transfer: Transfer) {
        guard call?.transfer === transfer, transfer.takePause() else { return }
        call?.lastActivity = .now()
        guard owesRead else { return }
        owesRead = false
        context?.read()
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        timer?.cancel()
    }

    func read(context: ChannelHandlerContext) {
        if call?.transfer.isPaused == true { owesRead = true } else { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // No request is outstanding, so these bytes cannot be a response.
        guard call != nil else { return close() }
        switch unwrapInboundIn(data) {
        case .head(let head): deliver(head)
        case .body(let bytes):
            call?.lastActivity = .now()
            if bytes.readableBytes > 0 { call?.transfer.take(bytes) }
        case .end: finish()
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        call?.transfer.tellReader()
        context.fireChannelReadComplete()
    }

    private func deliver(_ head: HTTPResponseHead) {
        guard let call else { return }
        var fields = HTTPFields()
        fields.reserveCapacity(head.headers.count)
        var size = 0
        for (name, value) in head.headers {
            size += name.utf8.count + value.utf8.count + 4
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        guard size <= call.transfer.options.maxHeaderBytes else {
            return fail(TransportFailure(.headersTooLarge, "more than \(call.transfer.options.maxHeaderBytes) bytes"))
        }
        if let coding = fields[.contentEncoding]?.lowercased(), coding != "identity" {
            guard coding == "gzip" || coding == "deflate" else {
                return fail(TransportFailure(.protocolViolation, "content encoding \(coding)"))
            }
            guard inflates else { return inflate(head) }
            // The preceding handler delivers decoded bytes.
            fields[.contentEncoding] = nil
            fields[.contentLength] = nil
        }
        self.call?.isHeadDelivered = true
        self.call?.keepsAlive = head.isKeepAlive
        self.call?.lastActivity = .now()
        arm(nextDeadline())
        call.transfer.deliver(UpstreamHead(status: Int(head.status.code), headers: fields))
    }

    /// Adds the decompressor. No compression is requested, and hardly any vendor compresses regardless, so the handler is added when the
    /// first compressed head arrives, and that head is passed through it.
    private func inflate(_ head: HTTPResponseHead) {
        guard let context else { return }
        inflates = true
        do {
            let pipeline = context.pipeline.syncOperations
            try pipeline.addHandler(NIOHTTPResponseDecompressor(limit: .size(LoopPool.maximumInflated)), position: .before(self))
            let before = try pipeline.context(handlerType: ByteToMessageHandler<HTTPResponseDecoder>.self)
            before.fireChannelRead(wrapInboundOut(.head(head)))
        } catch {
            fail(TransportFailure(.other, "\(error)"))
        }
    }

    private func finish() {
        guard let call else { return }
        self.call = nil
        idleSince = .now()
        owesRead = false
        // A response that came before the request was fully sent leaves the connection in the middle of the request.
        if call.keepsAlive, call.isWritten, context?.channel.isActive == true, pool.keep(self) {
            arm(idleSince + pool.idleLifetime)
            // Reading continues, to notice when the server closes the connection.
            context?.read()
        } else {
            close()
        }
        pool.ended(call.transfer, nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended(TransportFailure(call?.isHeadDelivered == true ? .closedInBody : .closedBeforeHead, "the connection was closed"))
        pool.closed(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // If the decoder rejects bytes, part of a response has arrived.
        ended(map(error), hasAnswerBegun: error is HTTPParserError)
        context.close(promise: nil)
    }

    /// The connection is closed. A call on a kept connection that had received nothing is sent once more where that cannot cause a second
    /// charge: when a part of it was never sent, or when its method is safe. Otherwise the vendor may have processed it, and the caller
    /// decides.
    private func ended(_ failure: TransportFailure, hasAnswerBegun: Bool = false) {
        guard let call else { return }
        self.call = nil
        let isStale = call.isReused && !call.isHeadDelivered && failure.kind == .closedBeforeHead && !hasAnswerBegun
        guard isStale else { return pool.ended(call.transfer, failure) }
        if !call.isWritten || call.transfer.request.isRepeatable {
            pool.again(call.transfer, call.target, at: call.startedAt)
        } else {
            pool.ended(call.transfer, TransportFailure(failure.kind, failure.detail, wasKept: true))
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent {
            secureBy = nil
            call?.transfer.isSending()
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func map(_ error: any Error) -> TransportFailure {
        let inBody = call?.isHeadDelivered == true
        switch error {
        case HTTPParserError.invalidEOFState: return TransportFailure(inBody ? .closedInBody : .closedBeforeHead, "closed too early")
        case HTTPParserError.headerOverflow: return TransportFailure(.headersTooLarge, "more than the decoder takes")
        case let error as HTTPParserError: return TransportFailure(.protocolViolation, "\(error)")
        case is NIOHTTPDecompression.DecompressionError, is NIOHTTPDecompression.ExtraDecompressionError:
            return TransportFailure(.protocolViolation, "\(error)")
        // A server that closes without TLS's close_notify is treated like one that closes plain TCP.
        case NIOSSLError.uncleanShutdown: return TransportFailure(inBody ? .closedInBody : .closedBeforeHead, "closed without close_notify")
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: return TransportFailure(.tls, "\(error)")
        default: return TransportFailure(inBody ? .closedInBody : .closedBeforeHead, "\(error)")
        }
    }

    // MARK: Timers

    private func arm(_ deadline: NIODeadline) {
        guard deadline < timerDeadline, let context else { return }
        timer?.cancel()
        timerDeadline = deadline
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(deadline: deadline) { bound.value.timerFired() }
    }

    private func timerFired() {
        timer = nil
        timerDeadline = .distantFuture
        let now = NIODeadline.now()
        guard let call else {
            let end = idleSince + pool.idleLifetime
            return now >= end ? close() : arm(end)
        }
        if let secureBy, now >= secureBy { return fail(TransportFailure(.connectTimeout, "TLS handshake")) }
        if now >= call.startedAt + call.totalLimit { return fail(TransportFailure(.totalTimeout)) }
        // A pause of our own does not count as idleness.
        if call.transfer.isPaused { self.call?.lastActivity = now }
        if !call.isHeadDelivered, now >= call.startedAt + call.firstByteLimit { return fail(TransportFailure(.firstByteTimeout)) }
        if call.isHeadDelivered, !call.transfer.isPaused, now >= call.lastActivity + call.idleLimit {
            return fail(TransportFailure(.idleTimeout))
        }
        arm(nextDeadline())
    }

    private func nextDeadline() -> NIODeadline {
        guard let call else { return idleSince + pool.idleLifetime }
        let next = call.isHeadDelivered ? call.lastActivity + call.idleLimit : call.startedAt + call.firstByteLimit
        return min(next, call.startedAt + call.totalLimit, secureBy ?? .distantFuture)
    }
}
