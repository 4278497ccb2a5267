import Config
import GatewayState
import HTTPTypes
import NIOCore
import NIOHTTP1
import RouterCore

/// The first to see the requests of one connection. Model calls are served from here, on the connection's event loop; everything else goes
/// on to the server behind it. One request of a connection is worked on at a time; what a client sends meanwhile waits.
final class FrontDoorHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    enum State {
        case idle
        /// The turn of the server behind: it has the whole request.
        case passing
        /// A request whose body is on its way.
        case receiving(Incoming, ByteBuffer)
        /// A model call at work.
        case running
        /// Answered before the body had come: the rest is thrown away, up to a limit.
        case discarding(left: Int)
        /// The last answer is on its way to the system; nothing more is taken.
        case closing
        case closed
    }

    /// A request that is coming: a call, or one that is passed on.
    struct Incoming {
        /// nil = nobody has been asked for a key.
        var accepted: Accepted?
        /// Head of a request that is passed on; nil = a call.
        var head: HTTPRequestHead?
        var bound: BodyBound
    }

    enum WriteResult { case taken, full, gone }

    let door: FrontDoor
    private let writer: AnswerWriter
    private let gate: PassingGate
    var state = State.idle
    private(set) var context: ChannelHandlerContext?
    private var presence: ClientPresence?
    private var peer = ""
    /// The peer is a trusted proxy, so that each request may come from somebody else.
    private var isBehindProxy = false
    /// Whose connections are counted together; nil where they are not.
    private var source: AddressRange?
    private var hasPlace = false
    var keepsAlive = true
    /// Number of the call that is or was last answered. A call's task may outlive its answer; what it still says then must not touch the
    /// next one.
    private var number = 0
    private var version = HTTPVersion.http1_1
    /// Set while the body of an answer goes out in pieces.
    private var isAnswering = false
    private var writableWaiter: CheckedContinuation<Bool, Never>?
    /// The answer stands still because the client does not take it.
    var isWaitingForClient: Bool { writableWaiter != nil }
    /// What came while a request was worked on.
    private var waiting = CircularBuffer<HTTPServerRequestPart>()
    /// What that takes up, heads included.
    private var waitingBytes = 0
    /// Waiting parts are being taken up; what ends a request meanwhile leaves the next one to that.
    private var isAdvancing = false
    private var owesRead = false
    private var isQuiescing = false
    /// Share of the body memory that a large body has, on its way or passed on.
    private var share: BodyShare?
    var lastActivity = NIODeadline.now()
    /// Nothing has been asked on this connection yet.
    private(set) var isFresh = true
    /// What came since the last read was complete held a whole part of a request.
    private var hasPart = false
    /// When the body that is on its way began to come.
    private(set) var receivingSince = NIODeadline.now()
    /// Set while a head or a body is incomplete; see FrontDoorHandler+Arrival.swift.
    var arrivalTimer: Scheduled<Void>?
    /// Bytes of the body that had come when the timer was set.
    var receivedBefore = 0
    var idleTimer: Scheduled<Void>?
    /// Bytes that the system had not taken when idleness was last looked at.
    var unsent = 0

    /// A client that sends on while it waits is read no further than this.
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
        // Bytes have come, and no part: a head is on its way.
        case .idle where !hasPart: watchArrival()
        case .idle, .passing, .running, .closing, .closed: break
        }
        hasPart = false
        context.fireChannelReadComplete()
    }

    /// About what a part takes up in memory.
    private static func weight(_ part: HTTPServerRequestPart) -> Int {
        switch part {
        case .head(let head): head.headers.reduce(256 + head.uri.utf8.count) { $0 + $1.name.utf8.count + $1.value.utf8.count + 64 }
        case .body(let bytes): bytes.readableBytes + 64
        case .end: 64
        }
    }

    /// Whether a part belongs to a request whose turn has not come.
    private func isBusy(with part: HTTPServerRequestPart) -> Bool {
        switch state {
        case .running, .passing: true
        // A client that does not read its answers may not send more requests.
        case .idle: context?.channel.isWritable == false
        case .receiving, .discarding, .closing, .closed: false
        }
    }

    private func receive(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch (state, part) {
        case (.idle, .head(let head)): begin(head, context)
        case (.receiving(let incoming, var body), .body(let bytes)):
            // Given up first, so that the bytes are not copied when they are appended.
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

    /// The client's, as far as it can be believed.
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
            // Where this request ends is as doubtful as where it was meant to go.
            keepsAlive = false
            refuse(door.refusal(.badRequest(problem, param: nil), head, address(head)), context)
            return closeAfterWrites()
        }
        if let crossOrigin = door.crossOrigin, let answer = crossOrigin.preflight(head) { return refuse(answer, context) }
        var accepted: Accepted?
        var bound = door.callBound
        if let call = door.call(head) {
            let presence = presence ?? ClientPresence()
            self.presence = presence
            let request = door.request(call, head, address(head), presence, context.eventLoop)
            do { accepted = try door.accept(request) } catch { return refuse(door.answer(to: error, request), context) }
        } else {
            bound = door.bound(head)
            if let length = head.headers.first(name: "content-length").flatMap(Int.init), length > bound.bytes {
                return refuse(door.refusal(.bodyTooLarge(bound.bytes), head, address(head)), context)
            }
        }
        if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
            context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: .continue))), promise: nil)
        }
        state = .receiving(Incoming(accepted: accepted, head: accepted == nil ? head : nil, bound: bound), ByteBuffer())
    }

    /// Counts a body that is large. - Returns: why there is no room for it.
    private func excess(_ bytes: Int, _ incoming: Incoming) -> APIError? {
        if bytes > incoming.bound.bytes { return .bodyTooLarge(incoming.bound.bytes) }
        if bytes <= incoming.bound.free { return nil }
        let share = share ?? door.bodies.share(isStranger: door.isStranger(incoming.accepted))
        self.share = share
        if share.grow(to: bytes, largest: door.largestBody) { return nil }
        door.metrics.refusedByLoad()
        return .noRoom()
    }

    /// Answers before the body has come.
    func refuse(_ error: APIError, _ incoming: Incoming, _ context: ChannelHandlerContext) {
        if let accepted = incoming.accepted {
            refuse(door.answer(to: error, accepted.request), context)
        } else if let head = incoming.head {
            refuse(door.refusal(error, head, address(head)), context)
        }
    }

    private func refuse(_ answer: ClientAnswer, _ context: ChannelHandlerContext) {
        share = nil
        // The next request's turn comes when this one has been read to its end.
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

    /// Hands a whole request to the server behind, which thus never waits for one, and never holds more of it than was bounded here.
    private func pass(_ head: HTTPRequestHead, _ body: ByteBuffer, _ context: ChannelHandlerContext) {
        state = .passing
        gate.open()
        context.fireChannelRead(wrapInboundOut(.head(head)))
        if body.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(.body(body))) }
        context.fireChannelRead(wrapInboundOut(.end(nil)))
    }

    /// The request is answered and read: the next one's turn.
    private func next() {
        guard keepsAlive, !isQuiescing else { return closeAfterWrites() }
        state = .idle
        lastActivity = .now()
        advance()
    }

    /// Takes up what waits, as far as its turn has come.
    private func advance() {
        // Thousands of refused requests may wait in a row: each ends within the loop, none within another.
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
        // The server behind takes parts up when it hears that a read is complete.
        case .passing: context.fireChannelReadComplete()
        // Perhaps nothing more comes.
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

    /// - Parameter length: of the body; nil = it comes in pieces.
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

    /// Told false when the client leaves first.
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

    /// The call's task is over; whatever is not complete never will be.
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

    /// What was written goes out first; closing at once would throw away what the system has not taken yet.
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
        // That server decides itself about the connection.
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

    /// One connection too many: it is told so and closed, whatever it wants.
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
            // No client of an HTTP API shuts its sending side down and still waits for an answer, but many libraries close that way.
            switch state {
            case .running:
                keepsAlive = false
                presence?.leave()
            case .receiving, .discarding: close()
            case .closing: break
            case .idle, .passing, .closed:
                gate.open()
                context.fireUserInboundEventTriggered(event)
            }
        case is ChannelShouldQuiesceEvent:
            isQuiescing = true
            closeAfterDrain(context)
            switch state {
            case .running, .closing: break
            // Nothing has been asked of anybody yet, and nobody knows when the rest would come.
            case .receiving, .discarding: close()
            case .idle, .passing, .closed: context.fireUserInboundEventTriggered(event)
            }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// An orderly stop waits for clients no longer than for upstreams; whoever trickles is cut off, and what he was sent is settled.
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
