import Adaptors
import Config
import GatewayState
import HTTPTypes
import Logging
import Metering
package import NIOCore
import NIOHTTP1
import Platform
import RouterCore

/// Dispatches the requests of the port: model calls are served by the relay on the connection's own event loop, all others are passed on to
/// the server behind. A class: each call keeps one reference.
package final class FrontDoor: Sendable {
    /// A model call, recognised by its route.
    struct Call: Sendable {
        var endpoint: Endpoint
        var route: String
        var path: String
        var query: String
        var target: GeminiTarget?
        /// Whether the tokens are only counted, without asking a vendor.
        var isCount = false
        /// Whether a session stands in place of a key.
        var isPlayground = false
    }

    let limits: DoorLimits
    let connections: ConnectionLimits
    let bodies: BodyMemory
    let proxies: TrustedProxies
    /// `server.max_body_bytes`.
    let largestBody: Int
    let crossOrigin: CrossOrigin?
    let connectionCount: ClientConnectionCount
    let metrics: GatewayMetrics
    /// Larger bodies (in bytes) are processed outside the event loop, so that they do not delay small requests.
    private static let maximumBodyOnLoop = 128 * 1024

    private let clock: ServerClock
    private let requestIDs: RequestIDSource
    private let snapshots: SnapshotHolder
    private let acceptStep: Accept
    private let pipeline: RelayPipeline
    private let meter: Meter
    private let relays: RelayTasks
    private let accessLog: AccessLog
    private let logger: Logger
    private let behind: RoutesBehind
    private let calls: [String: ModelCallRoute]
    private let loops: [ObjectIdentifier: (executor: LoopExecutor, load: LoadGauge)]
    private let dates = DateHeader()

    init(
        settings: GatewayConfiguration.Server, limits: DoorLimits, bodies: BodyMemory, proxies: TrustedProxies, behind: RoutesBehind,
        group: any EventLoopGroup, clock: ServerClock, requestIDs: RequestIDSource, snapshots: SnapshotHolder, accept: Accept,
        pipeline: RelayPipeline, meter: Meter, relays: RelayTasks, connectionCount: ClientConnectionCount, metrics: GatewayMetrics,
        accessLog: AccessLog, logger: Logger
    ) {
        self.limits = limits
        self.bodies = bodies
        self.proxies = proxies
        self.behind = behind
        self.clock = clock
        self.requestIDs = requestIDs
        self.snapshots = snapshots
        acceptStep = accept
        self.pipeline = pipeline
        self.meter = meter
        self.relays = relays
        self.connectionCount = connectionCount
        self.metrics = metrics
        self.accessLog = accessLog
        self.logger = logger
        connections = ConnectionLimits(maximum: settings.maxConnections, perAddress: settings.maxConnectionsPerAddress)
        largestBody = settings.maxBodyBytes
        crossOrigin = CrossOrigin(settings.corsOrigins)
        calls = Dictionary((ModelCallRoute.all + [.playground]).map { ($0.path, $0) }) { first, _ in first }
        var loops: [ObjectIdentifier: (executor: LoopExecutor, load: LoadGauge)] = [:]
        for loop in group.makeIterator() {
            let load = LoadGauge(loop)
            load.start()
            loops[ObjectIdentifier(loop)] = (LoopExecutor(loop), load)
        }
        self.loops = loops
    }

    /// The value in the present configuration.
    var drainTimeout: Duration { snapshots.snapshot.configuration.server.drainTimeout }

    /// Adds the door to the pipeline of a connection: its own output passes no other handler.
    /// - Parameters:
    ///   - codec: converts HTTP/1 parts to the types of the server behind.
    ///   - gate: opens when that server has a request to serve.
    package func addHandlers(
        to pipeline: ChannelPipeline.SynchronousOperations, before codec: some ChannelHandler, gate: PassingGate
    ) throws {
        let writer = AnswerWriter()
        try pipeline.addHandler(writer, position: .first)
        try pipeline.addHandler(FrontDoorHandler(door: self, writer: writer, gate: gate), position: .before(codec))
    }

    // MARK: Requests

    /// The body limits of a request that is not a model call.
    func bound(_ head: HTTPRequestHead) -> BodyBound {
        limits.bound(behind.bounds[Self.plain(head.uri)] ?? .management, largest: largestBody)
    }

    /// The account that pays for the upload of a file to a route behind; nil for every other request.
    /// - Throws: ``APIError`` 401 or 403: without a key, no byte of the file is read.
    func uploader(_ head: HTTPRequestHead, _ clientIP: String) throws -> Int64? {
        guard head.method == .POST, behind.bounds[Self.plain(head.uri)] == .upload else { return nil }
        let key = PresentedKey.find(speaksGoogle: false, queryKey: nil) { head.headers.first(name: $0) }
        return try acceptStep.keyCheck.principal(presented: key, clientIP: clientIP).payer
    }

    /// Normalises a path as the routes behind do, for which `//api/user/login/` is `/api/user/login`.
    private static func plain(_ uri: String) -> String {
        let path = uri.prefix { $0 != "?" }
        return path.split(separator: "/").reduce(into: "") { $0 += "/" + $1 }
    }

    var callBound: BodyBound { limits.bound(.modelCall, largest: largestBody) }

    /// Whether a body counts as a stranger's: its key is not known to have a positive balance. Called for large bodies only.
    /// - Parameter uploader: the user of a request that is passed on, where its key has been checked.
    func isStranger(_ accepted: Accepted?, uploader: Int64?) -> Bool {
        guard let userID = accepted?.principal.payer ?? uploader else { return true }
        if (accepted?.snapshot ?? snapshots.snapshot).configuration.metering.admission == .off { return false }
        guard let account = meter.account(userID) else { return true }
        return account.uncommitted <= .zero
    }

    /// - Returns: nil for a request that is passed on.
    func call(_ head: HTTPRequestHead) -> Call? {
        guard head.method == .POST else { return nil }
        var path = head.uri
        var query = ""
        if let mark = head.uri.firstIndex(of: "?") {
            path = String(head.uri[..<mark])
            query = String(head.uri[head.uri.index(after: mark)...])
        }
        guard let known = calls[path] else {
            // The model is part of the path, so the path is in no table.
            guard let target = GeminiTarget(path: path, query: query) else { return nil }
            guard let endpoint = target.endpoint else {
                guard target.method == "countTokens" else { return nil }
                return Call(endpoint: .gemini, route: target.route, path: path, query: query, target: target, isCount: true)
            }
            return Call(endpoint: endpoint, route: target.route, path: path, query: query, target: target)
        }
        return Call(
            endpoint: known.endpoint, route: known.path, path: path, query: query, isCount: known.isCount, isPlayground: known.isPlayground)
    }

    /// - Parameter peer: the other end of the connection, which may be a proxy.
    func request(
        _ call: Call, _ head: HTTPRequestHead, _ clientIP: String, peer: String, _ presence: ClientPresence, _ eventLoop: any EventLoop
    ) -> ClientRequest {
        let caller = call.isPlayground ? PlaygroundCaller(behind.session(peer) { head.headers[$0] }) : nil
        return ClientRequest(
            requestID: requestIDs.next(), receivedAt: clock.monotonic, endpoint: call.endpoint, isCount: call.isCount,
            route: call.route,
            path: call.path, query: call.query, target: call.target, playground: caller, headers: head.headers, clientIP: clientIP,
            presence: presence,
            eventLoop: eventLoop)
    }

    /// Checks capacity and the client's key before the body is read.
    /// - Throws: ``APIError``.
    func accept(_ request: ClientRequest) throws -> Accepted {
        let server = snapshots.snapshot.configuration.server
        let wait = loops[ObjectIdentifier(request.eventLoop)]?.load.wait ?? .zero
        if relays.count >= server.maxCalls || (server.maxLag > .zero && wait > server.maxLag) {
            metrics.refusedByLoad()
            throw APIError.unavailable("The gateway is at the limit of its load; try again in a moment.")
        }
        return try acceptStep.run(request)
    }

    /// - Parameter share: the memory share of a large body; held until the call is over.
    func run(
        _ accepted: Accepted, _ body: ByteBuffer, _ share: BodyShare?, _ connection: ClientConnection, on loop: any EventLoop
    ) {
        guard hasRoom(toTakeApart: body, share) else {
            metrics.refusedByLoad()
            let answer = answer(to: APIError.noRoom(), accepted.request)
            if case .bytes(let bytes) = answer.body { connection.send(answer.status, answer.headers, bytes) }
            return connection.end()
        }
        let executor = body.readableBytes <= Self.maximumBodyOnLoop ? loops[ObjectIdentifier(loop)]?.executor : nil
        relays.start(on: executor) { [self] in
            defer { withExtendedLifetime(share) {} }
            let answer: ClientAnswer
            do {
                let plain =
                    accepted.request.isCount
                    ? try pipeline.count(accepted, body)
                    : try await pipeline.respond(accepted, body, executor: executor, share: share)
                answer = finished(plain, accepted.request)
            } catch {
                answer = finished(errorAnswer(error, accepted.request), accepted.request)
            }
            switch answer.body {
            case .bytes(let bytes):
                connection.send(answer.status, answer.headers, bytes)
                connection.end()
            case .stream(let write):
                connection.begin(answer.status, answer.headers)
                stream(write, to: connection, share, executor)
            }
        }
    }

    /// Memory in bytes for each JSON value of a body that is translated into another dialect. The number of commas approximates the number
    /// of values.
    private static let bytesPerValue = 64

    /// Whether there is memory for parsing a large body into values.
    private func hasRoom(toTakeApart body: ByteBuffer, _ share: BodyShare?) -> Bool {
        guard let share else { return true }
        let commas = body.withUnsafeReadableBytes { bytes in bytes.reduce(0) { $0 + ($1 == 0x2C ? 1 : 0) } }
        return share.grow(to: body.readableBytes + commas * Self.bytesPerValue, largest: largestBody)
    }

    /// Runs the stream in a task of its own: a task's memory never shrinks below its maximum, and the earlier steps need more than the
    /// stream, which may last for hours.
    private func stream(
        _ write: @escaping @Sendable (ClientConnection) async throws -> Void, to connection: ClientConnection, _ share: BodyShare?,
        _ executor: LoopExecutor?
    ) {
        relays.start(on: executor) {
            defer { withExtendedLifetime(share) {} }
            // An error has been recorded and reported already; closing the connection is the only remaining signal.
            try? await write(connection)
            connection.end()
        }
    }

    /// The answer to a refused request; also logs it.
    func answer(to error: any Error, _ request: ClientRequest) -> ClientAnswer { finished(errorAnswer(error, request), request) }

    private func errorAnswer(_ error: any Error, _ request: ClientRequest) -> ClientAnswer {
        APIError(any: error, requestID: request.requestID, logger: logger).answer(
            request.endpoint.dialect, request.requestID, request.errorStyle)
    }

    private func finished(_ answer: ClientAnswer, _ request: ClientRequest) -> ClientAnswer {
        var answer = request.target?.shaped(answer) ?? answer
        answer.headers[AccessLog.requestIDHeader] = request.requestID.description
        if request.playground != nil {
            // Between the gateway and its own page.
            answer.headers[.cacheControl] = "no-store"
            answer.headers[.xContentTypeOptions] = "nosniff"
        } else if let crossOrigin {
            crossOrigin.expose(to: request.header("origin"), &answer.headers)
        }
        accessLog.write(
            method: "POST", route: request.route, status: answer.status.code, receivedAt: request.receivedAt,
            requestID: request.requestID, clientIP: request.clientIP)
        return answer
    }

    /// The same for an error of any kind.
    func refusal(_ error: any Error, _ head: HTTPRequestHead, _ clientIP: String) -> ClientAnswer {
        refusal((error as? APIError) ?? .internalError(), head, clientIP)
    }

    /// The answer to a request that is refused before the key is known, in the error shape of its area; also logs it.
    func refusal(_ error: APIError, _ head: HTTPRequestHead, _ clientIP: String) -> ClientAnswer {
        let requestID = requestIDs.next()
        let path = head.uri
        var answer: ClientAnswer
        if RequestArea.isOfModels(path) {
            let area = RequestArea(path: path, isPost: head.method == .POST, hasGoogleKey: head.headers.contains(name: "x-goog-api-key"))
            answer = error.answer(area.dialect, requestID, DialectError.Style(path: path))
        } else {
            answer = behind.refusal(error)
        }
        answer.headers[AccessLog.requestIDHeader] = requestID.description
        if let crossOrigin, CrossOrigin.covers(path) {
            crossOrigin.expose(to: head.headers.first(name: "origin"), &answer.headers)
        }
        accessLog.write(
            method: head.method.rawValue, route: "-", status: answer.status.code, receivedAt: clock.monotonic,
            requestID: requestID, clientIP: clientIP)
        return answer
    }

    func date() -> String { dates.text(clock.unixSeconds) }
}
