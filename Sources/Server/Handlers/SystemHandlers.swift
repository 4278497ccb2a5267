import CPlatform
import Config
import Gateway
import GatewayState
import Hummingbird
import Metering
import NIOCore
import Platform
import RouterCore
import Storage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The state of this gateway and of its books, for root.
struct SystemHandlers: Sendable {
    let snapshots: SnapshotHolder
    let store: any Store
    let meter: Meter
    let poster: Poster
    let plane: DataPlane
    let responses: ResponseKeeper
    let status: StatusHandlers
    let clock: ServerClock

    private static let mostPoison = 1_000

    /// `GET /api/system`
    func system(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let configuration = snapshots.snapshot.configuration
        let now = clock.unixSeconds
        let kind = if case .sqlite = configuration.storage { "sqlite" } else { "postgres" }
        let problems = status.problems
        // The rest of the page is there while the database is not.
        let gateways = (try? await store.gateways(now: now)) ?? []
        return Envelope.ok(
            .object([
                .init("version", .string(status.version)), .init("started_at", .integer(status.startedAt)),
                .init("uptime", .integer(max(0, now - status.startedAt))), .init("pid", .integer(Int64(getpid()))),
                .init("memory_bytes", .integer(Self.residentBytes())),
                .init("cpu_seconds", .integer(apir_processor_microseconds() / 1_000_000)),
                .init("database", ["kind": .string(kind), "answers": .boolean(!meter.membership.isLedgerAway)]),
                .init(
                    "journal",
                    [
                        "unposted": .integer(meter.unpostedCount), "bytes": .integer(meter.journalBytes),
                        "fsync": .boolean(configuration.journal.durability == .power),
                        "poison": .integer(poster.setAsideCount),
                    ]),
                .init("gateways", .array(gateways.map { Self.json($0, own: meter.holder) })),
                .init("readiness", ["ready": .boolean(problems.isEmpty), "problems": .array(problems.map { .string($0) })]),
                .init("streams", .integer(plane.relays.count)), .init("connections", .integer(plane.connections.value)),
                .init("background_responses", .integer(responses.running.count)),
            ]))
    }

    private static func json(_ life: GatewayLife, own: LeaseHolder) -> JSONValue {
        .object([
            .init("id", .string(life.gatewayID)), .init("started_at", .integer(life.startedAt)), .init("seen_at", .integer(life.seenAt)),
            .init("silent_seconds", .integer(life.silence)), .init("is_fenced", .boolean(life.isFenced)),
            .init("is_this", .boolean(life.incarnation == own.incarnation)),
        ])
    }

    /// 0 where the system does not tell.
    private static func residentBytes() -> Int64 {
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let room = bytes.count
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, room, 0) }
        guard count > 0 else { return 0 }
        let words = String(decoding: bytes[..<count], as: UTF8.self).split(separator: " ")
        return (words.count > 1 ? Int64(words[1]) ?? 0 : 0) * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// `POST /api/ledger/verify`
    func verify(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try await store.audit(try context.audit("ledger.verify", at: clock.unixSeconds))
        let report = try await storing("ledger") { try await store.verify() }
        return Envelope.ok(
            .object([
                .init("ok", .boolean(report.differences.isEmpty)), .init("checked", .integer(report.entries)),
                .init("users", .integer(report.users)), .init("differences", .array(report.differences.map { .string($0) })),
            ]))
    }

    /// `GET /api/ledger/poison`
    func poison(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let rows = try await storing("ledger") { try await store.poisonRecords(limit: Self.mostPoison) }
        return Envelope.ok(
            .array(
                rows.map {
                    ["request_id": .string($0.requestID), "reason": .string($0.reason), "created_at": .integer($0.createdAt)]
                }))
    }
}
