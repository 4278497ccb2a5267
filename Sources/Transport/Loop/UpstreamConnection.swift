import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPCompression
import NIOSSL
import NIOTLS
import RouterCore

/// One upstream connection: one call at a time, kept for the next when both sides are done with it in order.
/// A handler at the end of its channel's pipeline; confined to its event loop.
final class UpstreamConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    // Only for a head that goes through another handler first.
    typealias InboundOut = HTTPClientResponsePart
    // Requests leave through the ``RequestWriter``; nothing is written from behind this handler.
    typealias OutboundIn = Never

    let origin: UpstreamOrigin
    private let pool: LoopPool
    private var context: ChannelHandlerContext?
    private var call: Call?
    /// One timer for the connection's life, set anew only when something is due earlier: calls come and go without touching it.
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture
    private var idleSince = NIODeadline.now()
    /// Reading was asked for while the reader of the body was behind.
    private var owesRead = false
    /// Compressed bodies are undone before us.
    private var inflates = false
    /// When the TLS handshake has to be done; nil = done, or none.
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
        /// Limits as the loop's clock counts.
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

        /// Beyond a year of nanoseconds deadlines could overflow.
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
        // The decoder has to know that an answer is due, and whether it may have a body.
        decoder.write(data: .head(request.method == .head ? Self.headRequest : Self.otherRequest))
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        written.futureResult.whenSuccess { bound.value.written(transfer) }
        // Nothing goes out before the handshake is done.
        if secureBy == nil { transfer.isSending() }
        writer.send(request, target, promise: written)
    }

    private func written(_ transfer: Transfer) {
        guard call?.transfer === transfer else { return }
        call?.isWritten = true
    }

    /// Ends the call, if there is one, and the connection.
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
        // Nobody has asked for anything: whatever comes is not an answer.
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
            // The handler before us hands out decoded bytes.
            fields[.contentEncoding] = nil
            fields[.contentLength] = nil
        }
        self.call?.isHeadDelivered = true
        self.call?.keepsAlive = head.isKeepAlive
        self.call?.lastActivity = .now()
        arm(nextDeadline())
        call.transfer.deliver(UpstreamHead(status: Int(head.status.code), headers: fields))
    }

    /// None is asked for, and hardly any vendor compresses regardless: the handler that undoes it joins when the first does, and gets the
    /// head again.
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
        // An answer that came before the request was sent whole leaves the connection in the middle of it.
        if call.keepsAlive, call.isWritten, context?.channel.isActive == true, pool.keep(self) {
            arm(idleSince + pool.idleLifetime)
            // Reading goes on, or a server that closes would not be noticed.
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
        // What the decoder objects to is a part of an answer.
        ended(map(error), hasAnswerBegun: error is HTTPParserError)
        context.close(promise: nil)
    }

    /// The connection is gone. A call that had heard nothing on a kept one is sent once more where that cannot cost
    /// anything: when a part of it never left, or when it only asks. Otherwise the vendor may have worked on it, and
    /// whoever asked decides.
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
        // A server that cuts the connection without TLS's own goodbye is like one that cuts plain TCP.
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
        // Silence that we asked for ourselves does not count.
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
