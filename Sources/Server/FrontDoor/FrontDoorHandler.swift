import Config
import HTTPTypes
import NIOCore
import NIOHTTP1
import RouterCore

/// The first to see the requests of one connection. Model calls are served from here, on the connection's event loop; everything else goes on
/// to Hummingbird behind it. One request of a connection is worked on at a time; what a client sends meanwhile waits.
final class FrontDoorHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case idle
        /// Hummingbird's turn.
        case passing(requestEnded: Bool, responseEnded: Bool)
        /// A model call whose body is on its way.
        case receiving(Accepted, ByteBuffer)
        /// A model call at work.
        case running
        /// Answered before the body had come: the rest is thrown away, up to a limit.
        case discarding(left: Int)
        /// The last answer is on its way to the system; nothing more is taken.
        case closing
        case closed
    }

    enum WriteResult { case taken, full, gone }

    private let door: FrontDoor
    private let writer: AnswerWriter
    private let gate: HummingbirdGate
    private var state = State.idle
    private var context: ChannelHandlerContext?
    private var presence: ClientPresence?
    private var peer = ""
    /// The peer is a trusted proxy, so that each request may come from somebody else.
    private var isBehindProxy = false
    private var keepsAlive = true
    /// Of the call that is or was last answered. A call's task may outlive its answer; what it still says then must not touch the next one.
    private var number = 0
    private var version = HTTPVersion.http1_1
    /// Set while the body of an answer goes out in pieces.
    private var isAnswering = false
    private var writableWaiter: CheckedContinuation<Bool, Never>?
    /// What came while a request was worked on.
    private var waiting = CircularBuffer<HTTPServerRequestPart>()
    /// What that takes up, heads included.
    private var waitingBytes = 0
    /// Waiting parts are being taken up; what ends a request meanwhile leaves the next one to that.
    private var isAdvancing = false
    private var owesRead = false
    private var isQuiescing = false
    /// Of the body that is on its way, if it is large.
    private var share: BodyShare?
    private var lastActivity = NIODeadline.now()
    /// When the body that is on its way began to come.
    private var receivingSince = NIODeadline.now()
    private var idleTimer: Scheduled<Void>?
    /// Bytes that the system had not taken when idleness was last looked at.
    private var unsent = 0

    /// A client that sends on while it waits is read no further than this.
    private static let maximumWaiting = 64 * 1024

    init(door: FrontDoor, writer: AnswerWriter, gate: HummingbirdGate) {
        self.door = door
        self.writer = writer
        self.gate = gate
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastActivity = .now()
        let part = unwrapInboundIn(data)
        if !waiting.isEmpty || isBusy(with: part) {
            waiting.append(part)
            waitingBytes += Self.weight(part)
            return
        }
        receive(part, context)
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
        case .running: true
        case .passing(let requestEnded, _): requestEnded
        // Who does not take answers is not asked for more questions.
        case .idle: context?.channel.isWritable == false
        case .receiving, .discarding, .closing, .closed: false
        }
    }

    private func receive(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch (state, part) {
        case (.idle, .head(let head)):
            if let call = door.call(head) {
                begin(call, head, context)
            } else {
                state = .passing(requestEnded: false, responseEnded: false)
                receivingSince = lastActivity
                gate.open()
                context.fireChannelRead(wrapInboundOut(part))
            }
        case (.passing(_, let responseEnded), _):
            if case .end = part { state = responseEnded ? .idle : .passing(requestEnded: true, responseEnded: false) }
            context.fireChannelRead(wrapInboundOut(part))
        case (.receiving(let accepted, var body), .body(let bytes)):
            // Given up first, so that the bytes are not copied when they are appended.
            state = .idle
            if body.readableBytes == 0 { body = bytes } else { body.writeImmutableBuffer(bytes) }
            let limit = accepted.snapshot.configuration.server.maxBodyBytes
            if body.readableBytes > limit {
                refuse(APIError.bodyTooLarge(limit), accepted.request, context)
            } else if !hold(body.readableBytes, limit) {
                door.services.metrics.refusedByLoad()
                refuse(APIError.unavailable("The gateway holds as many large requests as it may; try again in a moment."), accepted.request, context)
            } else {
                state = .receiving(accepted, body)
            }
        case (.receiving(let accepted, let body), .end): run(accepted, body)
        case (.discarding(let left), .body(let bytes)):
            state = .discarding(left: left - bytes.readableBytes)
            if bytes.readableBytes > left { close() }
        case (.discarding, .end): next()
        case (.idle, _), (.receiving, .head), (.running, _), (.discarding, .head), (.closing, _), (.closed, _): break
        }
    }

    private func begin(_ call: FrontDoor.Call, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        version = head.version
        keepsAlive = head.isKeepAlive && head.version == .http1_1
        let presence = presence ?? ClientPresence()
        self.presence = presence
        let address = isBehindProxy ? door.services.doors.proxies.address(behind: peer) { head.headers[$0] } : peer
        let request = door.request(call, head, address, presence, context.eventLoop)
        do {
            let accepted = try door.accept(request)
            if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
                context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: .continue))), promise: nil)
            }
            state = .receiving(accepted, ByteBuffer())
            receivingSince = lastActivity
        } catch {
            refuse(error, request, context)
        }
    }

    /// Counts a body that is large. - Returns: whether there is room for it.
    private func hold(_ bytes: Int, _ limit: Int) -> Bool {
        if bytes <= BodyMemory.free { return true }
        let share = share ?? door.bodies.share()
        self.share = share
        return share.grow(to: bytes, largest: limit)
    }

    /// Answers before the body has come.
    private func refuse(_ error: any Error, _ request: ClientRequest, _ context: ChannelHandlerContext) {
        share = nil
        let answer = door.answer(to: error, request)
        // The next request's turn comes when this one has been read to its end.
        state = .discarding(left: door.maximumDiscarded)
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
        // Hummingbird's side takes parts up when it hears that a read is complete.
        if case .passing = state { context.fireChannelReadComplete() }
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

    private func close() {
        if case .closed = state { return }
        state = .closed
        waiting.removeAll()
        context?.close(promise: nil)
    }

    /// What was written goes out first; closing at once would throw away what the system has not taken yet.
    private func closeAfterWrites() {
        switch state {
        case .closing, .closed: return
        case .idle, .passing, .receiving, .running, .discarding: state = .closing
        }
        waiting.removeAll()
        guard let context else { return }
        lastActivity = .now()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        writer.whenWritten { bound.value.close() }
    }

    // MARK: Hummingbird's answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        lastActivity = .now()
        context.write(data, promise: promise)
        guard case .end = unwrapOutboundIn(data), case .passing(let requestEnded, _) = state else { return }
        // Hummingbird decides itself about the connection.
        keepsAlive = true
        if requestEnded { next() } else { state = .passing(requestEnded: false, responseEnded: true) }
    }

    // MARK: The connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        peer = context.channel.remoteAddress?.ipAddress ?? ""
        isBehindProxy = door.services.doors.proxies.contains(peer)
        door.services.connections.opened()
        watchIdleness(after: door.idleTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        leave()
        door.services.connections.closed()
        self.context = nil
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
        let limit = door.services.snapshots.snapshot.configuration.server.drainTimeout + .seconds(2)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: TimeAmount(limit)) { bound.value.context?.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch state {
        case .receiving(let accepted, _) where error is HTTPParserError:
            keepsAlive = false
            refuse(APIError.badRequest("the request is not valid HTTP", param: nil), accepted.request, context)
            closeAfterWrites()
        case .receiving, .running, .discarding, .closing: close()
        case .idle, .passing, .closed:
            gate.open()
            context.fireErrorCaught(error)
        }
    }

    /// Closes a connection that says nothing, or takes nothing, for too long. While an upstream is waited for, its own limits count.
    private func watchIdleness(after delay: TimeAmount) {
        guard let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        idleTimer = context.eventLoop.scheduleTask(in: delay) { bound.value.checkIdleness() }
    }

    /// A client that takes an answer slowly but steadily is not idle.
    private func noteProgress() {
        guard let left = try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes) else { return }
        if left > 0, left != unsent { lastActivity = .now() }
        unsent = left
    }

    private func checkIdleness() {
        let isWorking: Bool
        switch state {
        case .running: isWorking = writableWaiter == nil
        case .passing(let requestEnded, _): isWorking = requestEnded
        case .idle, .receiving, .discarding, .closing: isWorking = false
        case .closed: return
        }
        noteProgress()
        // Who sends a body byte by byte is not idle, but holds what he has sent.
        switch state {
        case .receiving, .passing(requestEnded: false, _):
            if .now() - receivingSince > door.maximumReceiving { return close() }
        default: break
        }
        let rest = lastActivity + door.idleTimeout - .now()
        if isWorking {
            watchIdleness(after: door.idleTimeout)
        } else if rest > .zero {
            watchIdleness(after: rest)
        } else {
            close()
        }
    }
}
