import GatewayState
import Logging
import Metering
import Platform

/// The parts of the gateway that a ``Settlement`` works with. A class: each request keeps one reference, not nine.
final class SettlementServices: Sendable {
    let clock: ServerClock
    let health: HealthRegistry
    let meter: Meter
    let settler: Settler
    let vocabulary: Vocabulary
    let metrics: GatewayMetrics
    let drains: Drains
    let thinkingSpeed = ThinkingSpeed()
    let logger: Logger

    init(
        clock: ServerClock, health: HealthRegistry, meter: Meter, settler: Settler, vocabulary: Vocabulary, metrics: GatewayMetrics,
        drains: Drains, logger: Logger
    ) {
        self.clock = clock
        self.health = health
        self.meter = meter
        self.settler = settler
        self.vocabulary = vocabulary
        self.metrics = metrics
        self.drains = drains
        self.logger = logger
    }
}
