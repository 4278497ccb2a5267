import Config
import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import Metering
import NIOCore
import Platform
import RouterCore
import Storage

/// Health of the gateway itself, metrics, reload.
struct StatusHandlers: Sendable {
    let snapshots: SnapshotHolder
    let catalogue: CatalogueHandlers
    let meter: Meter
    let poster: Poster
    let plane: DataPlane
    let reloader: ConfigurationReloader
    let gauges: GatewayGauges
    let check: SessionCheck
    let clock: ServerClock
    let version: String
    let startedAt: Int64

    func reload(_ request: Request, _ context: GatewayContext) async throws -> Response {
        do {
            let warnings = try await reloader.reload(audit: try context.audit("config.reload", at: clock.unixSeconds))
            return Envelope.ok(["warnings": .array(warnings.map { .string($0.description) })])
        } catch let error as ConfigErrors {
            throw ManagementError(
                .badRequest, "the configuration was not reloaded: \(error)", code: .configInvalid,
                details: ["diagnostics": .array(error.diagnostics.map(\.json))])
        }
    }

    func status(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let configuration = snapshots.snapshot.configuration
        return Envelope.ok(
            .object([
                .init("name", "APIRouter"), .init("version", .string(version)),
                .init("started_at", .integer(startedAt)), .init("models", .integer(configuration.routes.models.count)),
                .init("served_models", .integer(catalogue.count)),
                .init("registration", .boolean(configuration.server.registration)), .init("currency", "USD"),
                .init("public_url", .optional(configuration.server.publicURL?.origin)),
                .init("console", .boolean(configuration.console.isEnabled)),
                .init("rankings", .string(configuration.console.rankings.rawValue)),
            ]))
    }

    func live(_ request: Request, _ context: GatewayContext) async throws -> Response {
        Envelope.response(status: .ok, ["status": "live"])
    }

    /// Ready = this gateway takes calls, the ledger answers, and the poster is not failing. Answered from memory, which background tasks
    /// keep up to date, so that frequent checks cost nothing.
    func ready(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let problems = problems
        if problems.isEmpty { return Envelope.response(status: .ok, ["status": "ready"]) }
        return Envelope.response(
            status: .serviceUnavailable, ["status": "not ready", "problems": .array(problems.map { .string($0) })])
    }

    /// Why this gateway is not ready; empty when it is.
    var problems: [String] {
        var problems: [String] = []
        if let reason = meter.membership.fencedReason { problems.append("fenced: \(reason)") }
        if meter.membership.isLedgerAway { problems.append("the ledger's database does not answer") }
        if !poster.isHealthy { problems.append("settlements cannot be posted; the journal keeps \(meter.unpostedCount) of them") }
        return problems
    }

    /// Open to clients on the same machine, such as scrapers; others need an admin's token. The address is the client's if a trusted proxy
    /// reports it; a request with a forwarding header from any other proxy on this machine does not count as local.
    func metrics(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let isLocal = IPAddress(context.clientIP)?.isLoopback == true
        let isPassedOn =
            !context.origin.isForwarded
            && ["forwarded", "x-forwarded-for", "x-real-ip", "via"].contains { name in
                HTTPField.Name(name).map { request.headers.contains($0) } ?? false
            }
        if !isLocal || isPassedOn {
            guard let user = try await check.user(request, context), user.role >= .admin else {
                throw ManagementError(.unauthorized, "metrics are for the loopback address or an admin's access token")
            }
        }
        let text = plane.metrics.exposition(gauges: gauges.readings())
        var headers = HTTPFields()
        headers[.contentType] = "text/plain; version=0.0.4; charset=utf-8"
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}

extension Diagnostic {
    /// For `details.diagnostics`.
    var json: JSONValue {
        .object([
            .init("file", .string(file)), .init("line", .integer(line)), .init("column", .integer(column)),
            .init("severity", .string(severity.rawValue)), .init("path", .string(path)), .init("message", .string(message)),
        ])
    }
}
