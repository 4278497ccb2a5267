import Config
import GatewayState
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Platform
import RouterCore
import Storage
import Vendors

/// Channels: what they are, how they are, and what an operator can do about it.
enum ChannelHandlers {
    // MARK: Reading

    static func list(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let report = services.health.report()
        let now = services.clock.monotonic
        let channels = services.snapshots.snapshot.configuration.routes.channels.map { channel -> JSONValue in
            json(channel, report.filter { bears($0, on: channel) }, now, services)
        }
        return Envelope.ok(.array(channels))
    }

    private static func bears(_ row: HealthReportRow, on channel: RouterCore.Channel) -> Bool {
        row.scope.channelID == channel.id || (row.scope.account != nil && row.scope.account == channel.account)
    }

    /// `on`, `off` (by the file), `disabled`, `draining`, `drained`.
    private static func status(_ channel: RouterCore.Channel, _ services: GatewayServices) -> String {
        guard channel.isEnabled else { return "off" }
        switch services.health.operatorSwitch(channel.id) {
        case .on: return "on"
        case .disabled: return "disabled"
        case .draining: return services.health.inFlight(channel.id) == 0 ? "drained" : "draining"
        }
    }

    private static func json(
        _ channel: RouterCore.Channel, _ health: [HealthReportRow], _ now: MonotonicInstant, _ services: GatewayServices
    ) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("id", .integer(channel.id)), .init("name", .string(channel.name)),
            .init("provider", .string(channel.provider.name)), .init("enabled", .boolean(channel.isEnabled)),
            .init("disabled_reason", .optional(channel.disabledReason)), .init("status", .string(status(channel, services))),
            .init("in_flight", .integer(services.health.inFlight(channel.id))), .init("weight", .integer(channel.weight)),
            .init("priority", .integer(channel.priority)),
            .init("groups", .array(channel.groups.sorted().map { .string($0) })),
            .init("models", .array(channel.models.map { .string($0.pattern) })), .init("keys", .integer(channel.keys.count)),
            .init("account", .optional(channel.account)),
        ]
        let limits = channel.limits
        let bounds: [JSONValue.Member] = [
            .init("rpm", optional(limits.requestsPerMinute)), .init("tpm", optional(limits.tokensPerMinute)),
            .init("concurrency", optional(limits.concurrency)),
        ]
        members.append(.init("limits", .object(bounds)))
        members.append(.init("health", .array(health.map { row($0, now) })))
        return .object(members)
    }

    private static func optional(_ value: Int64?) -> JSONValue { value.map { .integer($0) } ?? .null }

    private static func row(_ row: HealthReportRow, _ now: MonotonicInstant) -> JSONValue {
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
    static func gauges(_ services: GatewayServices) -> [GatewayMetrics.Gauge] {
        let channels = services.snapshots.snapshot.configuration.routes.channels
        let report = services.health.report()
        func values(_ value: (RouterCore.Channel) -> Int64) -> [(labels: String, value: Int64)] {
            channels.map { ("channel=\"\($0.id)\"", value($0)) }
        }
        func isOpen(_ row: HealthReportRow) -> Bool { if case .open = row.state { true } else { false } }
        return [
            .init(
                "apirouter_channel_up", "1 while the channel takes requests (by its file and by operators).",
                values: values { status($0, services) == "on" ? 1 : 0 }),
            .init(
                "apirouter_channel_in_flight", "Upstream calls under way.",
                values: values { services.health.inFlight($0.id) }),
            .init(
                "apirouter_channel_cooling", "Health records of the channel (or its account) that are open.",
                values: values { channel in Int64(report.count { isOpen($0) && bears($0, on: channel) }) }),
        ]
    }

    // MARK: Operating

    private static func channel(_ context: GatewayContext, _ services: GatewayServices) throws -> RouterCore.Channel {
        let id = try context.pathID()
        guard let channel = services.snapshots.snapshot.configuration.routes.channel(id: id) else {
            throw ManagementError.notFound("channel \(id)")
        }
        return channel
    }

    /// `POST /api/channel/{id}/enable|disable|drain`: at once, and for good until it is changed again. What is under way goes on to its
    /// end.
    static func turn(
        _ value: OperatorSwitch, _ request: Request, _ context: GatewayContext, _ services: GatewayServices
    ) async throws -> Response {
        let user = try context.user()
        let channel = try channel(context, services)
        if value == .on, !channel.isEnabled {
            throw ManagementError(
                .conflict, "channel \(channel.id) is off by its file: \(channel.disabledReason ?? "enabled: false"); change channels.yaml")
        }
        let audit = try context.audit("channel.\(value.rawValue)", services, [.init("channel", .integer(channel.id))])
        try await ChannelSwitches(store: services.store, health: services.health).set(value, channel, audit: audit)
        services.logger.notice(
            "channel switched by an operator",
            metadata: ["channel": "\(channel.name)", "to": "\(value.rawValue)", "by": "\(user.username)"])
        return Envelope.ok(
            [
                "id": .integer(channel.id), "status": .string(status(channel, services)),
                "in_flight": .integer(services.health.inFlight(channel.id)),
            ])
    }

    /// `POST /api/channel/{id}/test {model?}`: one cheap real call, whatever the channel's state.
    static func test(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let channel = try channel(context, services)
        let hasBody = request.headers[.contentLength].map { $0 != "0" } ?? (request.headers[.transferEncoding] != nil)
        let model = hasBody ? try await RequestFields(request, allowed: ["model"]).string("model") : nil
        let tester = ChannelTester(
            snapshot: services.snapshots.snapshot, channel: channel, health: services.health, client: services.vendors,
            clock: services.clock)
        // Before the call: it costs money at the vendor, and what cannot be put on record does not happen.
        try await services.store.audit(try context.audit("channel.test", services, [.init("channel", .integer(channel.id))]))
        do {
            return Envelope.ok(try await tester.run(model: model))
        } catch ChannelTester.Problem.channel(let message) {
            throw ManagementError(.conflict, message)
        } catch ChannelTester.Problem.model(let message) {
            throw ManagementError.badRequest(message)
        }
    }
}
