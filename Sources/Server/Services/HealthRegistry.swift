import Config
public import RouterCore
import Synchronization

/// The health table behind a lock, with the randomness that plans need.
public final class HealthRegistry: Sendable {
    private struct State {
        var table: HealthTable
        var rng: SplitMix64
    }
    private let state: Mutex<State>
    private let clock: ServerClock

    public init(settings: RoutingSettings, clock: ServerClock, seed: UInt64) {
        state = Mutex(State(table: HealthTable(settings: settings), rng: SplitMix64(seed: seed)))
        self.clock = clock
    }

    func plan(_ query: RouteQuery, _ snapshot: GatewaySnapshot) -> RoutePlan {
        let now = clock.monotonic
        return state.withLock { state in
            RouterCore.Router.plan(
                query, table: snapshot.configuration.routes, health: state.table, now: now,
                capabilities: { snapshot.capabilities(of: $0) }, rng: &state.rng)
        }
    }

    func began(_ target: HealthTarget) -> Bool {
        let now = clock.monotonic
        return state.withLock { $0.table.began(target, now: now) }
    }

    func succeeded(_ target: HealthTarget) {
        let now = clock.monotonic
        state.withLock { $0.table.succeeded(target, now: now) }
    }

    func failed(_ target: HealthTarget, _ failure: UpstreamFailure) {
        let now = clock.monotonic
        state.withLock { $0.table.failed(target, failure, now: now, rng: &$0.rng) }
    }

    func released(_ target: HealthTarget) {
        let now = clock.monotonic
        state.withLock { $0.table.released(target, now: now) }
    }

    /// For `GET /api/channel`.
    public func report() -> [HealthReportRow] {
        let now = clock.monotonic
        return state.withLock { $0.table.report(now: now) }
    }

    func apply(_ routes: RouteTable) {
        state.withLock { state in
            state.table.apply(settings: routes.settings)
            state.table.prune(keeping: Set(routes.channels.map(\.id)))
        }
    }
}
