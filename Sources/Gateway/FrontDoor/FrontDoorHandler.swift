import Config
import GatewayState
import HTTPTypes
import NIOCore
import NIOHTTP1
import RouterCore

/// The first handler for the requests of one connection. Model calls are served from here, on the connection's event loop; everything else
/// is passed on to the server behind. One request of a connection is processed at a time; further input waits.
final class FrontDoorHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    enum State {
        case idle
        /// The server behind has the whole request and is processing it.
        case passing
        /// The body of a request is arriving.
        case receiving(Incoming, ByteBuffer)
        /// A model call is running.
        case running
        /// The request was answered before its body had arrived: the rest is discarded, up to a limit.
        case discarding(left: Int)
        /// The last answer is being written; no more input is accepted.
        case closing
        case closed
    }

    /// A request that is arriving: a model call, or one to be passed on.
    struct Incoming {
        /// nil = no key has been required.
        var accepted: Accepted?
        /// Head of a request that is passed on; nil for a model call.
        var head: HTTPRequestHead?
        var bound: BodyBound
        /// The user of an upload that is passed on.
        var uploader: Int64?
    }

    enum WriteResult { case taken, full, gone }

    let door: FrontDoor
    private let writer: AnswerWriter
    private let gate: PassingGate
    var state = State.idle
    private(set) var context: ChannelHandlerContext?
    private var presence: ClientPresence?
    /// The client sends nothing more. Most libraries close a connection that way.
    private(set) var isInputClosed = false
    private var peer = ""
    /// Whether the peer is a trusted proxy, so that each request may come from a different client.
    private var isBehindProxy = false
    /// The source under which this connection is counted; nil if it is not counted by address.
    private var source: AddressRange?
    private var hasPlace = false
    var keepsAlive = true
    /// Number of the call that is being answered, or was answered last. A call's task may outlive its answer; its late calls must not
    /// affect the next call.
    private var number = 0
    private var version = HTTPVersion.http1_1
    /// Set while the body of an answer is sent in pieces.
    private var isAnswering = false
    private var writableWaiter: CheckedContinuation<Bool, Never>?
    /// Whether the answer is paused because the client does not read it.
    var isWaitingForClient: Bool { writableWaiter != nil }
    /// Input that arrived while a request was being processed.
    private var waiting = CircularBuffer<HTTPServerRequestPart>()
    /// The size of that input in bytes, heads included.
    private var waitingBytes = 0
    /// Set while waiting input is being processed; a request that ends in the meantime leaves the next one to that loop.
    private var isAdvancing = false
    private var owesRead = false
    private var isQuiescing = false
    /// Share of the body memory for a large body that is arriving or has been passed on.
    private var share: BodyShare?
    var lastActivity = NIODeadline.now()
    /// Whether no request has arrived on this connection yet.
    private(set) var isFresh = true
    /// Whether the bytes since the last completed read contained a whole part of a request.
    private var hasPart = false
    /// When the body that is arriving began.
    private(set) var receivingSince = NIODeadline.now()
    /// Set while a head or a body is incomplete; see FrontDoorHandler+Arrival.swift.
    var arrivalTimer: Scheduled<Void>?
    /// Bytes of the body that had arrived when the timer was set.
    var receivedBefore = 0
    var idleTimer: Scheduled<Void>?
    /// Bytes not yet accepted by the kernel when idleness was last checked.
    var unsent = 0

    /// Input that arrives while the client has to wait is read only up to this number of bytes.
    private static let maximumWaiting = 64 * 1024

    init(door: FrontDoor, writer: AnswerWriter, gate: PassingGate) {
        self.door = door
        self.writer = writer
        self.gate = gate
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastActivity = .now()
        hasPart = true
        let part = unwrapInboundIn(data)
        if !waiting.isEmpty || isBusy(with: part) {
            waiting.append(part)
            waitingBytes += Self.weight(part)
            return
        }
        receive(part, context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        switch state {
        case .receiving, .discarding: watchArrival()
        // Bytes without a whole part: a head is arriving.
        case .idle where !hasPart: watchArrival()
        case .idle, .passing, .running, .closing, .closed: break
        }
        hasPart = false
        context.fireChannelReadComplete()
    }

    /// Approximate memory of a part in bytes.
    private static func weight(_ part: HTTPServerRequestPart) -> Int {
        switch part {
        case .head(let head): head.headers.reduce(256 + head.uri.utf8.count) { $0 + $1.name.utf8.count + $1.value.utf8.count + 64 }
        case .body(let bytes): bytes.readableBytes + 64
        case .end: 64
        }
    }

    /// Whether a part belongs to a request that has to wait.
    private func isBusy(with part: HTTPServerRequestPart) -> Bool {
        switch state {
        case .running, .passing: true
        // A client that does not read its answers may not send further requests.
        case .idle: context?.channel.isWritable == false
        case .receiving, .discarding, .closing, .closed: false
        }
    }

    private func receive(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch (state, part) {
        case (.idle, .head(let head)): begin(head, context)
        case (.receiving(let incoming, var body), .body(let bytes)):
            // The state gives up its reference first, so that appending does not copy the bytes.
            state = .idle
            if body.readableBytes == 0 { body = bytes } else { body.writeImmutableBuffer(bytes) }
            if let error = excess(body.readableBytes, incoming) {
                refuse(error, incoming, context)
            } else {
                state = .receiving(incoming, body)
            }
        case (.receiving(let incoming, let body), .end):
            stopWatching()
            if let head = incoming.head { pass(head, body, context) } else if let accepted = incoming.accepted { run(accepted, body) }
        case (.discarding(let left), .body(let bytes)):
            state = .discarding(left: left - bytes.readableBytes)
            if bytes.readableBytes > left { close() }
        case (.discarding, .end):
            stopWatching()
            next()
        case (.idle, _), (.receiving, .head), (.passing, _), (.running, _), (.discarding, .head), (.closing, _), (.closed, _): break
        }
    }

    /// The client's address, as far as it can be trusted.
    private func address(_ head: HTTPRequestHead) -> String {
        isBehindProxy ? door.proxies.address(behind: peer) { head.headers[$0] } : peer
    }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        isFresh = false
        stopWatching()
        version = head.version
        keepsAlive = head.isKeepAlive && head.version == .http1_1
        receivingSince = lastActivity
        if let problem = RequestFraming.problem(head) {
            // If the target of this request is ambiguous, so is its end.
            keepsAlive = false
            refuse(door.refusal(.badRequest(problem, param: nil), head, address(head)), context)
            return closeAfterWrites()
        }
        if let crossOrigin = door.crossOrigin, let answer = crossOrigin.preflight(head) { return refuse(answer, context) }
        var accepted: Accepted?
        var bound = door.callBound
        var uploader: Int64?
        if let call = door.call(head) {
            let presence = presence ?? ClientPresence()
            self.presence = presence
            let request = door.request(call, head, address(head), peer: peer, presence, context.eventLoop)
            do { accepted = try door.accept(request) } catch { return refuse(door.answer(to: error, request), context) }
        } else {
            bound = door.bound(head)
            if let length = head.headers.first(name: "content-length").flatMap(Int.init), length > bound.bytes {
                return refuse(door.refusal(.bodyTooLarge(bound.bytes), head, address(head)), context)
            }
            do { uploader = try door.uploader(head, address(head)) } catch {
                return refuse(door.refusal(error, head, address(head)), context)
            }
        }
        if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
            context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: .continue))), promise: nil)
        }
        state = .receiving(Incoming(accepted: accepted, head: accepted == nil ? head : nil, bound: bound, uploader: uploader), ByteBuffer())
    }

    /// Counts a large body. - Returns: the error when there is no room for it.
    private func excess(_ bytes: Int, _ incoming: Incoming) -> APIError? {
        if bytes > incoming.bound.bytes { return .bodyTooLarge(incoming.bound.bytes) }
        if bytes <= incoming.bound.free { return nil }
        let share = share ?? door.bodies.share(isStranger: door.isStranger(incoming.accepted, uploader: incoming.uploader))
        self.share = share
        if share.grow(to: bytes, largest: door.largestBody) { return nil }
        door.metrics.refusedByLoad()
        return .noRoom()
    }

    /// Answers before the body has arrived.
    func refuse(_ error: APIError, _ incoming: Incoming, _ context: ChannelHandlerContext) {
        if let accepted = incoming.accepted {
            refuse(door.answer(to: error, accepted.request), context)
        } else if let head = incoming.head {
            refuse(door.refusal(error, head, address(head)), context)
        }
    }

    private func refuse(_ answer: ClientAnswer, _ context: ChannelHandlerContext) {
        share = nil
        // The next request is processed when this one has been read to its end.
        state = .discarding(left: door.limits.maximumDiscarded)
        receivedBefore = 0
        receivingSince = lastActivity
        number += 1
        let connection = ClientConnection(self, context.eventLoop, number)
        if case .bytes(let body) = answer.body { connection.send(answer.status, answer.headers, body) }
    }

    private func run(_ accepted: Accepted, _ body: ByteBuffer) {
        guard let context else { return }
        state = .running
        number += 1
        door.run(accepted, body, share, ClientConnection(self, context.eventLoop, number), on: context.eventLoop)
        share = nil
    }

    /// Passes a complete request to the server behind, which therefore never waits for a body and never holds more of it than was allowed
    /// here.
    private func pass(_ head: HTTPRequestHead, _ body: ByteBuffer, _ context: ChannelHandlerContext) {
        state = .passing
        gate.open()
        context.fireChannelRead(wrapInboundOut(.head(head)))
        if body.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(.body(body))) }
        context.fireChannelRead(wrapInboundOut(.end(nil)))
    }

    /// The request has been answered and read: continues with the next one.
    private func next() {
        guard keepsAlive, !isQuiescing else { return closeAfterWrites() }
        state = .idle
        lastActivity = .now()
        advance()
    }

    /// Processes waiting input up to the next request that has to wait.
    private func advance() {
        // Thousands of refused requests may be waiting: each is handled in this loop, without recursion.
        guard let context, !isAdvancing else { return }
        isAdvancing = true
        while let part = waiting.first, !isBusy(with: part) {
            waiting.removeFirst()
            waitingBytes -= Self.weight(part)
            receive(part, context)
        }
        isAdvancing = false
        guard self.context != nil else { return }
        switch state {
        // The server behind processes parts when it is told that a read is complete.
        case .passing: context.fireChannelReadComplete()
        // More input may never arrive.
        case .receiving, .discarding: watchArrival()
        case .idle, .running, .closing, .closed: break
        }
        if owesRead, waitingBytes < Self.maximumWaiting {
            owesRead = false
            context.read()
        }
    }

    // MARK: Answers of model calls

    func send(_ status: HTTPResponse.Status, _ headers: HTTPFields, _ body: ByteBuffer, for call: Int) {
        begin(status, headers, length: body.readableBytes, for: call)
        finish(call, body)
    }

    /// - Parameter length: of the body in bytes; nil = it is sent in pieces.
    func begin(_ status: HTTPResponse.Status, _ headers: HTTPFields, length: Int?, for call: Int) {
        guard context != nil, call == number, !isAnswering else { return }
        switch state {
        case .running, .discarding: isAnswering = true
        case .idle, .passing, .receiving, .closing, .closed: return
        }
        var headers = headers
        if let wish = headers[.connection] {
            headers[.connection] = nil
            if wish.lowercased() == "close" { keepsAlive = false }
        }
        writer.head(
            status, headers, date: door.date(), isLast: !keepsAlive || isQuiescing,
            framing: length.map { .length($0) } ?? (version == .http1_1 ? .chunked : .close))
    }

    func write(_ bytes: ByteBuffer, for call: Int) -> WriteResult {
        guard let context, call == number, isAnswering, context.channel.isActive else { return .gone }
        lastActivity = .now()
        writer.body(bytes)
        guard context.channel.isActive else { return .gone }
        return context.channel.isWritable ? .taken : .full
    }

    /// Resumed with false when the client disconnects first.
    func waitUntilWritable(_ continuation: CheckedContinuation<Bool, Never>) {
        guard let context, context.channel.isActive else { return continuation.resume(returning: false) }
        if context.channel.isWritable { return continuation.resume(returning: true) }
        writableWaiter = continuation
    }

    /// - Parameter last: the last part of the body.
    func finish(_ call: Int, _ last: ByteBuffer) {
        guard context != nil, call == number, isAnswering else { return }
        isAnswering = false
        writer.end(last)
        if case .running = state { next() }
    }

    /// The call's task is over; an incomplete answer will never be completed.
    func ended(_ call: Int) {
        guard call == number, isAnswering else { return }
        isAnswering = false
        close()
    }

    func close() {
        if case .closed = state { return }
        state = .closed
        waiting.removeAll()
        context?.close(promise: nil)
    }

    /// Pending writes are completed first; closing at once would discard what the kernel has not accepted yet.
    func closeAfterWrites() {
        switch state {
        case .closing, .closed: return
        case .idle, .passing, .receiving, .running, .discarding: state = .closing
        }
        waiting.removeAll()
        stopWatching()
        guard let context else { return }
        lastActivity = .now()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        writer.whenWritten { bound.value.close() }
    }

    // MARK: Answers of the server behind

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        lastActivity = .now()
        context.write(data, promise: promise)
        guard case .end = unwrapOutboundIn(data), case .passing = state else { return }
        share = nil
        // The server behind decides whether the connection is kept.
        keepsAlive = true
        next()
    }

    // MARK: The connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        peer = context.channel.remoteAddress?.ipAddress ?? ""
        isBehindProxy = door.proxies.contains(peer)
        source = isBehindProxy ? nil : ConnectionLimits.source(peer)
        hasPlace = door.connections.enter(source)
        door.connectionCount.opened()
        watchIdleness(after: door.limits.firstHead)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        leave()
        door.connectionCount.closed()
        if hasPlace { door.connections.leave(source) }
        hasPlace = false
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if !hasPlace { turnAway() }
    }

    /// The connection exceeds the limit: the client is told, and the connection is closed, whatever the request.
    private func turnAway() {
        door.metrics.refusedConnection()
        let answer = APIError.unavailable("There are too many connections to the gateway; try again in a moment.").answer(.chat, nil)
        guard case .bytes(let body) = answer.body else { return close() }
        writer.head(answer.status, answer.headers, date: door.date(), isLast: true, framing: .length(body.readableBytes))
        writer.end(body)
        closeAfterWrites()
    }

    func read(context: ChannelHandlerContext) {
        if waitingBytes >= Self.maximumWaiting { owesRead = true } else { context.read() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        state = .closed
        share = nil
        gate.open()
        isAnswering = false
        stopWatching()
        idleTimer?.cancel()
        idleTimer = nil
        waiting.removeAll()
        presence?.leave()
        writableWaiter?.resume(returning: false)
        writableWaiter = nil
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            lastActivity = .now()
            writableWaiter?.resume(returning: true)
            writableWaiter = nil
            if case .idle = state { advance() }
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let event as ChannelEvent where event == .inputClosed:
            // HTTP API clients do not half-close a connection and then wait for an answer, but many libraries close it that way.
            switch state {
            case .running:
                keepsAlive = false
                presence?.leave()
            case .receiving, .discarding: close()
            case .closing: break
            case .idle, .passing, .closed:
                isInputClosed = true
                gate.open()
                context.fireUserInboundEventTriggered(event)
            }
        case is ChannelShouldQuiesceEvent:
            isQuiescing = true
            closeAfterDrain(context)
            switch state {
            case .running, .closing: break
            // The request has not been forwarded, and its rest may never arrive.
            case .receiving, .discarding: close()
            case .idle, .passing, .closed: context.fireUserInboundEventTriggered(event)
            }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// A graceful shutdown waits for clients no longer than for upstreams; a client that reads too slowly is cut off, and what was sent to
    /// it is settled.
    private func closeAfterDrain(_ context: ChannelHandlerContext) {
        let limit = door.drainTimeout + .seconds(2)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: TimeAmount(limit)) { bound.value.context?.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch state {
        case .receiving(let incoming, _) where error is HTTPParserError:
            keepsAlive = false
            refuse(.badRequest("the request is not valid HTTP", param: nil), incoming, context)
            closeAfterWrites()
        case .receiving, .running, .discarding, .closing: close()
        case .idle, .passing, .closed:
            gate.open()
            context.fireErrorCaught(error)
        }
    }
}
