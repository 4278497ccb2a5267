import Config
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1
import NIOPosix
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
    }

    let services: GatewayServices
    let idleTimeout = TimeAmount.seconds(120)
    /// How long a body may take to come; looked at when idleness is.
    let maximumReceiving = TimeAmount.minutes(10)
    let bodies: BodyMemory
    /// Of a body that nobody wants.
    let maximumDiscarded = 16 * 1024 * 1024
    /// Bodies beyond this are worked on outside of the event loop, so that small requests beside them are not held up.
    private static let maximumBodyOnLoop = 128 * 1024

    private let calls: [String: (endpoint: Endpoint, route: String)]
    private let loops: [ObjectIdentifier: (executor: LoopExecutor, load: LoadGauge)]
    private let dates = DateHeader()

    init(services: GatewayServices, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, bodies: BodyMemory = BodyMemory()) {
        self.services = services
        self.bodies = bodies
        var calls: [String: (endpoint: Endpoint, route: String)] = [:]
        for route in GatewayRoutes.all {
            if case .relay(let endpoint) = route.work { calls[route.path] = (endpoint, route.path) }
        }
        self.calls = calls
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
    func application(host: String, port: Int, onServerRunning: @escaping @Sendable (any NIOCore.Channel) async -> Void = { _ in })
        -> Application<RouterResponder<GatewayContext>>
    {
        var quiet = services.logger
        // Hummingbird's own lines (bound address, lost connections) are debugging matter; ours say the same once.
        quiet.logLevel = max(services.logger.logLevel, .warning)
        return Application(
            router: buildRouter(services),
            server: HTTPServerBuilder { responder in DoorChannel(door: self, behind: HTTP1Channel(responder: responder)) },
            configuration: ApplicationConfiguration(address: .hostname(host, port: port), serverName: nil, backlog: 1024),
            onServerRunning: onServerRunning, logger: quiet)
    }

    // MARK: Requests

    /// - Returns: nil for what Hummingbird serves.
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
            guard let target = GeminiTarget(path: path, query: query), let endpoint = target.endpoint else { return nil }
            return Call(endpoint: endpoint, route: target.route, path: path, query: query, target: target)
        }
        return Call(endpoint: known.endpoint, route: known.route, path: path, query: query)
    }

    func request(
        _ call: Call, _ head: HTTPRequestHead, _ clientIP: String, _ presence: ClientPresence, _ eventLoop: any EventLoop
    ) -> ClientRequest {
        ClientRequest(
            requestID: services.requestIDs.next(), receivedAt: services.clock.monotonic, endpoint: call.endpoint, route: call.route,
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
        let executor = body.readableBytes <= Self.maximumBodyOnLoop ? loops[ObjectIdentifier(loop)]?.executor : nil
        services.relays.start(on: executor) { [self] in
            defer { withExtendedLifetime(share) {} }
            let answer: ClientAnswer
            do {
                answer = finished(try await RelayEndpoint.respond(accepted, body, services, executor: executor), accepted.request)
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

    /// In a task of its own: the memory of a task stays what it was at its most, and the steps before need more than the stream, which may last for
    /// hours.
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
        AccessLog(services: services).write(
            method: "POST", route: request.route, status: answer.status.code, receivedAt: request.receivedAt,
            requestID: request.requestID, clientIP: request.clientIP)
        return answer
    }

    func date() -> String { dates.text(services.clock.unixSeconds) }
}
