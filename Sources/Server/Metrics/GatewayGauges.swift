import Gateway
import GatewayState
import Metering
import RouterCore
import Storage

/// Gauges: values held by the parts of the gateway, read on demand.
struct GatewayGauges: Sendable {
    let plane: DataPlane
    let meter: Meter
    let poster: Poster
    let health: HealthRegistry
    let responses: ResponseKeeper
    let channels: ChannelHandlers

    func readings() -> [MetricReading] {
        let drains = plane.drains.statistics
        let stored = responses.counts
        return [
            MetricReading(.openHolds, Int64(meter.openHolds)),
            MetricReading(.clientConnections, Int64(plane.connections.value)),
            MetricReading(.drains, drains.running),
            MetricReading(
                .drainsEnded, counts: [(["answer"], drains.ended), (["time"], drains.outOfTime), (["room"], drains.outOfRoom)]),
            MetricReading(.runningCalls, Int64(plane.relays.count)),
            MetricReading(.postedRecords, poster.postedCount),
            MetricReading(.ledgerHealthy, poster.isHealthy ? 1 : 0),
            MetricReading(.fenced, meter.membership.isFenced ? 1 : 0),
            MetricReading(.liveGateways, Int64(meter.membership.liveGateways)),
            MetricReading(.unpostedRecords, Int64(meter.unpostedCount)),
            MetricReading(.poisonRecords, poster.setAsideCount),
            MetricReading(.journalBytes, meter.journalBytes),
            MetricReading(.retriesRefused, health.refusedRetries),
            MetricReading(
                .storedResponses, counts: [(["kept"], stored.kept), (["refused"], stored.refused), (["lost"], stored.lost)]),
            MetricReading(.responseBytes, responses.bytes),
            MetricReading(.responsesWaiting, Int64(responses.waiting)),
        ] + channels.gauges()
    }
}
