import GatewayState
import Logging
import Platform
import RouterCore

/// The parts of the gateway that an ``Attempt`` works with. A class: each attempt keeps one reference, not five.
final class AttemptServices: Sendable {
    let clock: ServerClock
    let health: HealthRegistry
    let transport: any UpstreamTransport
    let metrics: GatewayMetrics
    let logger: Logger

    init(clock: ServerClock, health: HealthRegistry, transport: any UpstreamTransport, metrics: GatewayMetrics, logger: Logger) {
        self.clock = clock
        self.health = health
        self.transport = transport
        self.metrics = metrics
        self.logger = logger
    }
}
