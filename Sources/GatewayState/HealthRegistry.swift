import Config
package import Platform
package import RouterCore
package import Storage
import Synchronization

/// The health table and the retry budget behind one lock, with the clock and the randomness that they need.
package final class HealthRegistry: Sendable {
    private struct State {
        var table: HealthTable
        var budget: RetryBudget
        var rng: SplitMix64
    }
    private let state: Mutex<State>
    private let clock: ServerClock

    package init(settings: RoutingSettings, clock: ServerClock, seed: UInt64) {
        state = Mutex(
            State(
                table: HealthTable(settings: settings),
                budget: RetryBudget(settings: settings.retryBudget, now: clock.monotonic), rng: SplitMix64(seed: seed)))
        self.clock = clock
    }

    // MARK: Requests

    package func plan(_ query: RouteQuery, _ table: RouteTable, _ facts: RouteFacts) -> RoutePlan {
        let now = clock.monotonic
        return state.withLock { state in
            RouterCore.Router.plan(query, table: table, health: state.table, now: now, facts: facts, rng: &state.rng)
        }
    }

    /// A request begins its attempts: it earns its part of a retry.
    package func requestBegan() { state.withLock { $0.budget.requestBegan() } }

    package func step(_ sequence: inout AttemptSequence) -> AttemptSequence.Step {
        let now = clock.monotonic
        return state.withLock { sequence.step(&$0.table, &$0.budget, now: now, rng: &$0.rng) }
    }

    package func delivered(_ ticket: AttemptTicket) {
        let now = clock.monotonic
        state.withLock { $0.table.delivered(ticket, firstContent: ticket.startedAt.duration(to: now), now: now) }
    }

    package func ended(_ ticket: AttemptTicket, _ end: AttemptEnd, tokens: Int64? = nil, tokensPerSecond: Int64? = nil) {
        let now = clock.monotonic
        state.withLock {
            $0.table.ended(ticket, end, tokens: tokens, tokensPerSecond: tokensPerSecond, now: now, rng: &$0.rng)
        }
    }

    // MARK: Operations

    package func probed(channelID: Int64, keyIndex: Int, failure: UpstreamFailure?) {
        let now = clock.monotonic
        state.withLock {
            $0.table.probed(channelID: channelID, keyIndex: keyIndex, failure: failure, now: now, rng: &$0.rng)
        }
    }

    package func set(_ operatorSwitch: OperatorSwitch, channelID: Int64) {
        state.withLock { $0.table.set(operatorSwitch, channelID: channelID) }
    }

    package func clear(_ channel: RouterCore.Channel) {
        state.withLock { $0.table.clear(channelID: channel.id, account: channel.account) }
    }

    package func prove(_ target: HealthTarget) { state.withLock { $0.table.prove(target) } }

    package func operatorSwitch(_ channelID: Int64) -> OperatorSwitch { state.withLock { $0.table.operatorSwitch(channelID) } }
    package func state(of target: HealthTarget) -> HealthState {
        let now = clock.monotonic
        return state.withLock { $0.table.state(of: target, now: now) }
    }
    package func inFlight(_ channelID: Int64) -> Int64 { state.withLock { $0.table.inFlight(channelID) } }
    package var refusedRetries: Int64 { state.withLock { $0.budget.refusals } }

    /// Everything that is not in plain health.
    package func report() -> [HealthReportRow] {
        let now = clock.monotonic
        return state.withLock { $0.table.report(now: now) }
    }

    package func apply(_ new: RouteTable, replacing old: RouteTable) {
        state.withLock { state in
            state.table.apply(settings: new.settings, channels: new.channels, old: old.channels)
            state.budget.apply(new.settings.retryBudget)
        }
    }

    // MARK: Storing

    package var revision: UInt64 { state.withLock { $0.table.revision } }

    /// More than anybody looks at.
    private static let maximumRows = 1_000

    /// Those that are not closed, in the form of `channel_health`: instants become Unix seconds.
    package func rows() -> [ChannelHealthRow] {
        let now = clock.monotonic
        let unix = clock.unixSeconds
        let report = state.withLock { $0.table.report(now: now) }
        return report.filter { $0.state != .closed }.prefix(Self.maximumRows).map { row in
            var stored = ChannelHealthRow(
                scope: row.scope, state: .closed, kind: row.lastKind, failures: row.consecutiveFailures,
                openings: row.openings, isWished: row.isWished)
            switch row.state {
            case .closed: break
            case .halfOpen: stored.state = .halfOpen
            case .open(let until):
                stored.state = .open
                stored.openUntil = unix + now.duration(to: until).wholeSecondsUp
            }
            return stored
        }
    }

    /// Takes up the cool-downs of an earlier run that still last. Not those of credentials: whoever restarts a gateway may have
    /// paid the bill or renewed the key, and finding out costs one request.
    package func restore(_ rows: [ChannelHealthRow], channels: [Channel]) {
        let now = clock.monotonic
        let unix = clock.unixSeconds
        let ids = Set(channels.map(\.id))
        let accounts = Set(channels.compactMap(\.account))
        for row in rows {
            guard row.state == .open, let until = row.openUntil, until > unix else { continue }
            guard row.kind != .credentialRefused, row.kind != .credentialExhausted else { continue }
            guard row.scope.channelID.map(ids.contains) ?? accounts.contains(row.scope.account ?? "") else { continue }
            let instant = now.advanced(by: .seconds(min(until - unix, 86_400)))
            let report = HealthReportRow(
                scope: row.scope, state: .open(until: instant), consecutiveFailures: row.failures, openings: row.openings,
                lastKind: row.kind, isWished: row.isWished)
            state.withLock { $0.table.restore(report, now: now) }
        }
    }
}
