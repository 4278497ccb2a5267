import Adaptors
import Config
import GatewayState
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import Metering
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1
import NIOPosix
import Platform
import RouterCore
import Storage

/// Sorts what comes to the port: model calls are served by the relay on the connection's own event loop, the rest by Hummingbird.
struct FrontDoor: Sendable {
    /// A route of the table that is a model call.
    struct Call: Sendable {
        var endpoint: Endpoint
        var route: String
        var path: String
        var query: String
        var target: GeminiTarget?
        /// Its tokens are counted, and no vendor is asked.
        var isCount = false
    }

    let services: GatewayServices
    let limits: DoorLimits
    let connections: ConnectionLimits
    let bodies: BodyMemory
    /// `server.max_body_bytes`.
    let largestBody: Int
    let crossOrigin: CrossOrigin?
    /// Bodies beyond this are worked on outside of the event loop, so that small requests beside them are not held up.
    private static let maximumBodyOnLoop = 128 * 1024

    private let calls: [String: (endpoint: Endpoint, route: String, isCount: Bool)]
    /// Bounds of the bodies of routes that handlers answer.
    private let bounds: [String: Route.Body]
    private let loops: [ObjectIdentifier: (executor: LoopExecutor, load: LoadGauge)]
    private let dates = DateHeader()

    init(
        services: GatewayServices, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, bodies: BodyMemory = BodyMemory(),
        limits: DoorLimits = DoorLimits()
    ) {
        self.services = services
        self.bodies = bodies
        self.limits = limits
        // Read once: `server` takes effect at the next start.
        let server = services.snapshots.snapshot.configuration.server
        connections = ConnectionLimits(maximum: server.maxConnections, perAddress: server.maxConnectionsPerAddress)
        largestBody = server.maxBodyBytes
        crossOrigin = CrossOrigin(server.corsOrigins)
        var calls: [String: (endpoint: Endpoint, route: String, isCount: Bool)] = [:]
        var bounds: [String: Route.Body] = [:]
        for route in GatewayRoutes.all {
            switch route.work {
            case .relay(let endpoint): calls[route.path] = (endpoint, route.path, false)
            case .count(let endpoint): calls[route.path] = (endpoint, route.path, true)
            case .handler: bounds[route.path] = route.body
            }
        }
        self.calls = calls
        self.bounds = bounds
        var loops: [ObjectIdentifier: (executor: LoopExecutor, load: LoadGauge)] = [:]
        for loop in group.makeIterator() {
            let load = LoadGauge(loop)
            load.start()
            loops[ObjectIdentifier(loop)] = (LoopExecutor(loop), load)
        }
        self.loops = loops
    }

    // MARK: Set-up

    /// The whole application: this door, and behind it the routes that are not model calls.
    func application(
        host: String, port: Int, onServerRunning: @escaping @Sendable (any NIOCore.Channel) async -> Void = { _ in }
    )
        -> Application<RouterResponder<GatewayContext>>
    {
        var quiet = services.logger
        // Hummingbird's own lines (bound address, lost connections) are debugging matter; ours say the same once.
        quiet.logLevel = max(services.logger.logLevel, .warning)
        return Application(
            router: buildRouter(services),
            server: HTTPServerBuilder { responder in
                DoorChannel(door: self, behind: HTTP1Channel(responder: responder, configuration: Self.channelConfiguration))
            },
            configuration: ApplicationConfiguration(address: .hostname(host, port: port), serverName: nil, backlog: 1024),
            onServerRunning: onServerRunning, logger: quiet)
    }

    private static let channelConfiguration = HTTP1Channel.Configuration(
        httpDecoderConfiguration: .init(
            maxHeaderFieldSize: DoorLimits.headBytes, maxHeaderListSize: DoorLimits.headBytes, maxHeaderFieldCount: 256))

    // MARK: Requests

    /// What the body of a request may be that is no call.
    func bound(_ head: HTTPRequestHead) -> BodyBound {
        limits.bound(bounds[Self.plain(head.uri)] ?? .management, largest: largestBody)
    }

    /// A path as Hummingbird's routes see it, which take `//api/user/login/` for `/api/user/login`.
    private static func plain(_ uri: String) -> String {
        let path = uri.prefix { $0 != "?" }
        return path.split(separator: "/").reduce(into: "") { $0 += "/" + $1 }
    }

    var callBound: BodyBound { limits.bound(.modelCall, largest: largestBody) }

    /// Whether a body is to be counted with those of strangers: its key is not known to have money. Asked for large ones only.
    func isStranger(_ accepted: Accepted?) -> Bool {
        guard let accepted else { return true }
        if accepted.snapshot.configuration.metering.admission == .off { return false }
        guard let account = services.meter.account(accepted.principal.userID) else { return true }
        return account.uncommitted <= .zero
    }

    /// - Returns: nil for what only has to be passed on to Hummingbird.
    func call(_ head: HTTPRequestHead) -> Call? {
        guard head.method == .POST else { return nil }
        var path = head.uri
        var query = ""
        if let mark = head.uri.firstIndex(of: "?") {
            path = String(head.uri[..<mark])
            query = String(head.uri[head.uri.index(after: mark)...])
        }
        guard let known = calls[path] else {
            // The model stands in the path, so that no table has it.
            guard let target = GeminiTarget(path: path, query: query) else { return nil }
            guard let endpoint = target.endpoint else {
                guard target.method == "countTokens" else { return nil }
                return Call(endpoint: .gemini, route: target.route, path: path, query: query, target: target, isCount: true)
            }
            return Call(endpoint: endpoint, route: target.route, path: path, query: query, target: target)
        }
        return Call(endpoint: known.endpoint, route: known.route, path: path, query: query, isCount: known.isCount)
    }

    func request(
        _ call: Call, _ head: HTTPRequestHead, _ clientIP: String, _ presence: ClientPresence, _ eventLoop: any EventLoop
    ) -> ClientRequest {
        ClientRequest(
            requestID: services.requestIDs.next(), receivedAt: services.clock.monotonic, endpoint: call.endpoint, isCount: call.isCount,
            route: call.route,
            path: call.path, query: call.query, target: call.target, headers: head.headers, clientIP: clientIP, presence: presence,
            eventLoop: eventLoop)
    }

    /// Whether there is room, and who asks, before the body is read.
    /// - Throws: ``APIError``.
    func accept(_ request: ClientRequest) throws -> Accepted {
        let server = services.snapshots.snapshot.configuration.server
        let wait = loops[ObjectIdentifier(request.eventLoop)]?.load.wait ?? .zero
        if services.relays.count >= server.maxCalls || (server.maxLag > .zero && wait > server.maxLag) {
            services.metrics.refusedByLoad()
            throw APIError.unavailable("The gateway is at the limit of its load; try again in a moment.")
        }
        return try Accept(services: services).run(request)
    }

    /// - Parameter share: of a large body; held until the call is over.
    func run(
        _ accepted: Accepted, _ body: ByteBuffer, _ share: BodyShare?, _ connection: ClientConnection, on loop: any EventLoop
    ) {
        guard hasRoom(toTakeApart: body, share) else {
            services.metrics.refusedByLoad()
            let answer = answer(to: APIError.noRoom(), accepted.request)
            if case .bytes(let bytes) = answer.body { connection.send(answer.status, answer.headers, bytes) }
            return connection.end()
        }
        let executor = body.readableBytes <= Self.maximumBodyOnLoop ? loops[ObjectIdentifier(loop)]?.executor : nil
        services.relays.start(on: executor) { [self] in
            defer { withExtendedLifetime(share) {} }
            let answer: ClientAnswer
            do {
                let plain =
                    accepted.request.isCount
                    ? try TokenCount.answer(accepted, body, services)
                    : try await RelayPipeline.respond(accepted, body, services, executor: executor)
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

    /// Memory for each JSON value of a body that is translated into another dialect. There are about as many values as commas.
    private static let bytesPerValue = 64

    /// Whether a large body may be taken apart.
    private func hasRoom(toTakeApart body: ByteBuffer, _ share: BodyShare?) -> Bool {
        guard let share else { return true }
        let commas = body.withUnsafeReadableBytes { bytes in bytes.reduce(0) { $0 + ($1 == 0x2C ? 1 : 0) } }
        return share.grow(to: body.readableBytes + commas * Self.bytesPerValue, largest: largestBody)
    }

    /// In a task of its own: the memory of a task stays what it was at its most, and the steps before need more than the stream, which may
    /// last for hours.
    private func stream(
        _ write: @escaping @Sendable (ClientConnection) async throws -> Void, to connection: ClientConnection, _ share: BodyShare?,
        _ executor: LoopExecutor?
    ) {
        services.relays.start(on: executor) {
            defer { withExtendedLifetime(share) {} }
            // An error has been booked and told already; the connection that breaks is all that is left to say.
            try? await write(connection)
            connection.end()
        }
    }

    /// The answer to a request that was refused, logged.
    func answer(to error: any Error, _ request: ClientRequest) -> ClientAnswer { finished(errorAnswer(error, request), request) }

    private func errorAnswer(_ error: any Error, _ request: ClientRequest) -> ClientAnswer {
        APIError(any: error, services, request.requestID).answer(request.endpoint, request.requestID, request.errorStyle)
    }

    private func finished(_ answer: ClientAnswer, _ request: ClientRequest) -> ClientAnswer {
        var answer = request.target?.shaped(answer) ?? answer
        answer.headers[AccessLog.requestIDHeader] = request.requestID.description
        if let crossOrigin { crossOrigin.expose(to: request.header("origin"), &answer.headers) }
        AccessLog(services: services).write(
            method: "POST", route: request.route, status: answer.status.code, receivedAt: request.receivedAt,
            requestID: request.requestID, clientIP: request.clientIP)
        return answer
    }

    /// The answer to what is refused before anybody has looked whose it is, in the shape of its area, logged.
    func refusal(_ error: APIError, _ head: HTTPRequestHead, _ clientIP: String) -> ClientAnswer {
        let requestID = services.requestIDs.next()
        let path = head.uri
        var answer: ClientAnswer
        if path.hasPrefix("/v1") || path.hasPrefix("/api/v1") {
            let endpoint: Endpoint = path.hasPrefix("/v1beta/") ? .gemini : path.contains("/messages") ? .messages : .chat
            answer = error.answer(endpoint, requestID, DialectError.Style(path: path))
        } else {
            answer = ManagementError(error.status, error.message, headers: error.headers).answer()
            SecurityHeaders.add(to: &answer.headers, publicURL: services.doors.publicURL)
        }
        answer.headers[AccessLog.requestIDHeader] = requestID.description
        if let crossOrigin, CrossOrigin.covers(path) {
            crossOrigin.expose(to: head.headers.first(name: "origin"), &answer.headers)
        }
        AccessLog(services: services).write(
            method: head.method.rawValue, route: "-", status: answer.status.code, receivedAt: services.clock.monotonic,
            requestID: requestID, clientIP: clientIP)
        return answer
    }

    func date() -> String { dates.text(services.clock.unixSeconds) }
}
