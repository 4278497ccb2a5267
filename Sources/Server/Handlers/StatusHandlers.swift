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
    let meter: Meter
    let poster: Poster
    let plane: DataPlane
    let health: HealthRegistry
    let reloader: ConfigurationReloader
    let channels: ChannelHandlers
    let check: SessionCheck
    let clock: ServerClock
    let version: String
    let startedAt: Int64

    func reload(_ request: Request, _ context: GatewayContext) async throws -> Response {
        do {
            let warnings = try await reloader.reload(audit: try context.audit("config.reload", at: clock.unixSeconds))
            return Envelope.ok(["warnings": .array(warnings.map { .string($0.description) })])
        } catch let error as ConfigErrors {
            throw ManagementError.badRequest("the configuration was not reloaded: \(error)")
        }
    }

    func status(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let configuration = snapshots.snapshot.configuration
        return Envelope.ok(
            .object([
                .init("name", "APIRouter"), .init("version", .string(version)),
                .init("started_at", .integer(startedAt)), .init("models", .integer(configuration.routes.models.count)),
                .init("registration", .boolean(configuration.server.registration)), .init("currency", "USD"),
            ]))
    }

    func live(_ request: Request, _ context: GatewayContext) async throws -> Response {
        Envelope.response(status: .ok, ["status": "live"])
    }

    /// Ready = this gateway takes calls, the ledger answers, and the poster is not failing. Answered from memory: tasks in the background
    /// keep it, so that whoever asks often costs nothing.
    func ready(_ request: Request, _ context: GatewayContext) async throws -> Response {
        var problems: [JSONValue] = []
        if let reason = meter.membership.fencedReason { problems.append(.string("fenced: \(reason)")) }
        if meter.membership.isLedgerAway { problems.append("the ledger's database does not answer") }
        if !poster.isHealthy {
            problems.append(.string("settlements cannot be posted; the journal keeps \(meter.unpostedCount) of them"))
        }
        if problems.isEmpty { return Envelope.response(status: .ok, ["status": "ready"]) }
        return Envelope.response(
            status: .serviceUnavailable, .object([.init("status", "not ready"), .init("problems", .array(problems))]))
    }

    /// Open to the same machine, where scrapers run; an admin's otherwise. The address is the client's, where a trusted proxy names it;
    /// what another proxy on this machine passes on is not ours, and anything that tells of one closes the door.
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
        let drains = plane.drains.statistics
        let text = plane.metrics.exposition(
            gauges: [
                .init("apirouter_open_holds", "Requests that hold money.", Int64(meter.openHolds)),
                .init("apirouter_client_connections", "Open client connections.", Int64(plane.connections.value)),
                .init(
                    "apirouter_drains", "Upstream calls that are read on for their figures although the client has left.", drains.running),
                .init(
                    "apirouter_drains_ended", "Such calls since the start, by what ended them.",
                    values: [
                        ("end=\"answer\"", drains.ended), ("end=\"time\"", drains.outOfTime), ("end=\"room\"", drains.outOfRoom),
                    ]),
                .init(
                    "apirouter_running_calls", "Model calls at work, those whose client has left included.", Int64(plane.relays.count)),
                .init("apirouter_posted_records", "Records posted to the ledger since the start.", poster.postedCount),
                .init("apirouter_ledger_healthy", "1 while settlements can be posted.", poster.isHealthy ? 1 : 0),
                .init(
                    "apirouter_fenced", "1 while this gateway has lost its place at the ledger and takes no calls.",
                    meter.membership.isFenced ? 1 : 0),
                .init("apirouter_live_gateways", "Gateways at work on this ledger.", Int64(meter.membership.liveGateways)),
                .init(
                    "apirouter_unposted_records", "Settled requests that are not in the ledger yet.", Int64(meter.unpostedCount)),
                .init("apirouter_poison_records", "Records that the ledger refused since the start.", poster.setAsideCount),
                .init("apirouter_journal_bytes", "Bytes that the journal's records take up.", meter.journalBytes),
                .init("apirouter_retries_refused", "Retries that the retry budget did not allow.", health.refusedRetries),
            ] + channels.gauges())
        var headers = HTTPFields()
        headers[.contentType] = "text/plain; version=0.0.4; charset=utf-8"
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
