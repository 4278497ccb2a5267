import Config
package import GatewayState
package import Logging
package import Metering
package import NIOCore
import NIOPosix
package import Platform
package import RouterCore

/// Assembles the data plane: client connections, model calls, their answers and their settlements. It knows no other HTTP server, no
/// database and no file.
package struct DataPlane: Sendable {
    package let requestIDs: RequestIDSource
    package let keyCheck: KeyCheck
    package let accessLog: AccessLog
    package let metrics: GatewayMetrics
    package let relays = RelayTasks()
    package let connections = ClientConnectionCount()
    package let drains: Drains

    private let clock: ServerClock
    private let snapshots: SnapshotHolder
    private let meter: Meter
    private let pipeline: RelayPipeline
    private let logger: Logger

    package init(
        clock: ServerClock, snapshots: SnapshotHolder, keys: KeyDirectory, limits: RequestLimits, meter: Meter, settler: Settler,
        health: HealthRegistry, transport: any UpstreamTransport, vocabulary: Vocabulary, responses: ResponseKeeper,
        metrics: GatewayMetrics, logger: Logger
    ) {
        self.clock = clock
        self.snapshots = snapshots
        self.meter = meter
        self.metrics = metrics
        self.logger = logger
        requestIDs = RequestIDSource(clock: clock)
        keyCheck = KeyCheck(keys: keys, clock: clock, logger: logger)
        accessLog = AccessLog(metrics: metrics, clock: clock, logger: logger)
        let drains = Drains()
        self.drains = drains
        pipeline = RelayPipeline(
            limits: limits, plan: Plan(health: health), admit: Admit(meter: meter),
            attempts: AttemptServices(clock: clock, health: health, transport: transport, metrics: metrics, logger: logger),
            settlements: SettlementServices(
                clock: clock, health: health, meter: meter, settler: settler, vocabulary: vocabulary, metrics: metrics, drains: drains,
                logger: logger),
            responses: responses, relays: relays)
    }

    /// Makes the front door of one port.
    /// - Parameters:
    ///   - behind: the routes that are not model calls.
    ///   - group: the event loops that the connections run on.
    package func frontDoor(
        proxies: TrustedProxies, behind: RoutesBehind, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        bodies: BodyMemory = BodyMemory(), limits: DoorLimits = DoorLimits()
    ) -> FrontDoor {
        // Read once: changes of `server` take effect at the next start.
        let server = snapshots.snapshot.configuration.server
        return FrontDoor(
            settings: server, limits: limits, bodies: bodies, proxies: proxies, behind: behind, group: group, clock: clock,
            requestIDs: requestIDs, snapshots: snapshots, accept: Accept(keyCheck: keyCheck, snapshots: snapshots, clock: clock),
            pipeline: pipeline, meter: meter, relays: relays, connectionCount: connections, metrics: metrics, accessLog: accessLog,
            logger: logger)
    }
}
