import Config
import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Platform
import RouterCore
import Storage
import Vendors

/// Channels: their configuration, their state, and the operator's actions on them.
struct ChannelHandlers: Sendable {
    let snapshots: SnapshotHolder
    let health: HealthRegistry
    let store: any AdminStore
    let vendors: VendorClient
    let clock: ServerClock
    let logger: Logger

    // MARK: Reading

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let configuration = snapshots.snapshot.configuration
        let report = health.report()
        return Envelope.ok(.array((configuration.routes.channels + configuration.origins.shadowed).map { item($0, report) }))
    }

    /// A channel as lists show it, without secrets.
    func item(_ channel: RouterCore.Channel, _ report: [HealthReportRow]? = nil) -> JSONValue {
        let configuration = snapshots.snapshot.configuration
        let rows = (report ?? health.report()).filter { bears($0, on: channel) }
        var members = members(channel, rows, clock.monotonic)
        let isShadowed = configuration.origins.shadowed.contains(channel)
        let source = isShadowed ? .console : configuration.origins.channels[channel.id] ?? .console
        // The address of the provider as it is declared: the demo's address is known to this process alone.
        let provider = configuration.providers.first { $0.name == channel.provider.name } ?? channel.provider
        members += [
            .init("source", source.json), .init("display", .string(provider.displayName)),
            .init("base_url", .string(channel.baseURL ?? provider.baseURL)),
            .init("proxy", .optional(channel.proxy.map { ProxyText.shown($0) })),
            .init("timeouts", ChannelDocument.timeouts(channel.timeouts)),
            .init(
                "model_map",
                .array(channel.models.map { ["name": .string($0.pattern), "upstream": .string($0.upstream ?? $0.pattern)] })),
            .init("missing_secrets", .array(configuration.origins.missingSecrets(channel.id).map { .string($0) })),
        ]
        return .object(members)
    }

    private func bears(_ row: HealthReportRow, on channel: RouterCore.Channel) -> Bool {
        row.scope.channelID == channel.id || (row.scope.account != nil && row.scope.account == channel.account)
    }

    /// `on`, `off` (by the configuration), `disabled`, `draining`, `drained`.
    private func status(_ channel: RouterCore.Channel) -> String {
        guard channel.isEnabled else { return "off" }
        switch health.operatorSwitch(channel.id) {
        case .on: return "on"
        case .disabled: return "disabled"
        case .draining: return health.inFlight(channel.id) == 0 ? "drained" : "draining"
        }
    }

    private func members(
        _ channel: RouterCore.Channel, _ report: [HealthReportRow], _ now: MonotonicInstant
    ) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("id", .integer(channel.id)), .init("name", .string(channel.name)),
            .init("provider", .string(channel.provider.name)), .init("enabled", .boolean(channel.isEnabled)),
            .init("disabled_reason", .optional(channel.disabledReason)), .init("status", .string(status(channel))),
            .init("in_flight", .integer(health.inFlight(channel.id))), .init("weight", .integer(channel.weight)),
            .init("priority", .integer(channel.priority)),
            .init("groups", .array(channel.groups.sorted().map { .string($0) })),
            .init("models", .array(channel.models.map { .string($0.pattern) })), .init("keys", .integer(channel.keys.count)),
            .init("account", .optional(channel.account)), .init("conversion", .optional(channel.conversion?.rawValue)),
        ]
        let limits = channel.limits
        let bounds: [JSONValue.Member] = [
            .init("rpm", optional(limits.requestsPerMinute)), .init("tpm", optional(limits.tokensPerMinute)),
            .init("concurrency", optional(limits.concurrency)),
        ]
        members.append(.init("limits", .object(bounds)))
        members.append(.init("health", .array(report.map { row($0, now) })))
        return members
    }

    private func optional(_ value: Int64?) -> JSONValue { value.map { .integer($0) } ?? .null }

    private func row(_ row: HealthReportRow, _ now: MonotonicInstant) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("key", row.scope.keyIndex.map { .integer($0) } ?? .null), .init("model", .string(row.scope.model ?? "*")),
            .init("account", .optional(row.scope.account)), .init("failures", .integer(row.consecutiveFailures)),
            .init("openings", .integer(row.openings)), .init("last_failure", .optional(row.lastKind?.rawValue)),
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

    /// For `/metrics`. The label is the id from the configuration, so the number of series is bounded.
    func gauges() -> [MetricReading] {
        let channels = snapshots.snapshot.configuration.routes.channels
        let report = health.report()
        func reading(_ metric: Metric, _ value: (RouterCore.Channel) -> Int64) -> MetricReading {
            MetricReading(metric, counts: channels.map { (["\($0.id)"], value($0)) })
        }
        func isOpen(_ row: HealthReportRow) -> Bool { if case .open = row.state { true } else { false } }
        return [
            reading(.channelUp) { status($0) == "on" ? 1 : 0 },
            reading(.channelInFlight) { health.inFlight($0.id) },
            reading(.channelCooling) { channel in Int64(report.count { isOpen($0) && bears($0, on: channel) }) },
        ]
    }

    // MARK: Operating

    func channel(_ context: GatewayContext) throws -> RouterCore.Channel {
        let id = try context.pathID()
        guard let channel = snapshots.snapshot.configuration.routes.channel(id: id) else {
            throw ManagementError.notFound("channel \(id)")
        }
        return channel
    }

    /// `POST /api/channel/{id}/enable|disable|drain`: takes effect at once and remains until it is changed again. Running requests are
    /// finished.
    func turn(
        _ value: OperatorSwitch, _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        let user = try context.user()
        let channel = try channel(context)
        if value == .on, !channel.isEnabled {
            throw ManagementError(
                .conflict,
                "channel \(channel.id) is off by its configuration: \(channel.disabledReason ?? "enabled: false"); change it there",
                code: .channelOff)
        }
        let audit = try context.audit("channel.\(value.rawValue)", at: clock.unixSeconds, [.init("channel", .integer(channel.id))])
        try await ChannelSwitches(store: store, health: health).set(value, channel, audit: audit)
        logger.notice(
            "channel switched by an operator",
            metadata: ["channel": "\(channel.name)", "to": "\(value.rawValue)", "by": "\(user.username)"])
        return Envelope.ok(
            [
                "id": .integer(channel.id), "status": .string(status(channel)),
                "in_flight": .integer(health.inFlight(channel.id)),
            ])
    }

    /// `POST /api/channel/{id}/test {model?}`: one cheap real call, whatever the channel's state.
    func test(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let channel = try channel(context)
        let model = try await RequestFields(request, OperationDescriptions.test).string("model")
        let tester = ChannelTester(
            snapshot: snapshots.snapshot, channel: channel, health: health, client: vendors,
            clock: clock)
        // Before the call: it costs money at the vendor, so it must not happen without an audit record.
        try await store.audit(try context.audit("channel.test", at: clock.unixSeconds, [.init("channel", .integer(channel.id))]))
        do {
            return Envelope.ok(try await tester.run(model: model))
        } catch ChannelTester.Problem.channel(let message) {
            throw ManagementError(.conflict, message)
        } catch ChannelTester.Problem.model(let message) {
            throw ManagementError.badRequest(message)
        }
    }
}
