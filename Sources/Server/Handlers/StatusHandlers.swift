import Config
import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore
import Storage

/// Channels, health, metrics, reload.
enum StatusHandlers {
    static func channels(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let report = Dictionary(grouping: services.health.report()) { $0.target.channelID }
        let now = services.clock.monotonic
        let channels = services.snapshots.snapshot.configuration.routes.channels.map { channel -> JSONValue in
            let health = (report[channel.id] ?? []).map { row -> JSONValue in
                var members: [JSONValue.Member] = [
                    .init("key", .integer(row.target.keyIndex)), .init("model", .string(row.target.model)),
                    .init("failures", .integer(row.consecutiveFailures)), .init("last_failure", .optional(row.lastKind?.rawValue)),
                ]
                switch row.state {
                case .closed: members.append(.init("state", "closed"))
                case .halfOpen: members.append(.init("state", "half_open"))
                case .open(let until):
                    members.append(.init("state", "open"))
                    members.append(.init("open_for_ms", .integer(Int64(now.duration(to: until) / .milliseconds(1)))))
                }
                return .object(members)
            }
            return .object([
                .init("id", .integer(channel.id)), .init("name", .string(channel.name)),
                .init("provider", .string(channel.provider.name)), .init("enabled", .boolean(channel.isEnabled)),
                .init("disabled_reason", .optional(channel.disabledReason)), .init("weight", .integer(channel.weight)),
                .init("priority", .integer(channel.priority)), .init("groups", .array(channel.groups.sorted().map { .string($0) })),
                .init("models", .array(channel.models.map { .string($0.pattern) })), .init("keys", .integer(channel.keys.count)),
                .init("health", .array(health)),
            ])
        }
        return Envelope.ok(.array(channels))
    }

    static func reload(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        do {
            let warnings = try await services.reloader.reload()
            return Envelope.ok(["warnings": .array(warnings.map { .string($0.description) })])
        } catch {
            throw ManagementError.badRequest("the configuration was not reloaded: \(error)")
        }
    }

    static func status(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let configuration = services.snapshots.snapshot.configuration
        return Envelope.ok(
            .object([
                .init("name", "APIRouter"), .init("version", .string(services.version)),
                .init("started_at", .integer(services.startedAt)), .init("models", .integer(configuration.routes.models.count)),
                .init("registration", .boolean(configuration.server.registration)), .init("currency", "USD"),
            ]))
    }

    static func live(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        Envelope.response(status: .ok, ["status": "live"])
    }

    /// Ready = the ledger answers and the poster is not failing.
    static func ready(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        var problems: [JSONValue] = []
        do {
            try await services.store.ping()
        } catch {
            problems.append("the ledger's database does not answer")
        }
        if !services.poster.isHealthy { problems.append("settlements cannot be posted; the journal keeps them") }
        if problems.isEmpty { return Envelope.response(status: .ok, ["status": "ready"]) }
        return Envelope.response(
            status: .serviceUnavailable, .object([.init("status", "not ready"), .init("problems", .array(problems))]))
    }

    /// Open to the same machine, where scrapers run; an admin's otherwise.
    static func metrics(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let isLocal = context.clientIP == "127.0.0.1" || context.clientIP == "::1"
        if !isLocal {
            guard let user = try await AccessCheck.user(request, services), user.role >= .admin else {
                throw ManagementError(.unauthorized, "metrics are for the loopback address or an admin's access token")
            }
        }
        let text = services.metrics.exposition(gauges: [
            ("apirouter_open_holds", "Requests that hold money.", Int64(services.meter.openHolds)),
            ("apirouter_client_connections", "Open client connections.", Int64(services.presences.count)),
            ("apirouter_posted_records", "Records posted to the ledger since the start.", services.poster.postedCount),
            ("apirouter_ledger_healthy", "1 while settlements can be posted.", services.poster.isHealthy ? 1 : 0),
        ])
        var headers = HTTPFields()
        headers[.contentType] = "text/plain; version=0.0.4; charset=utf-8"
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
