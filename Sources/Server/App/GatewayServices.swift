public import Logging
public import RouterCore
public import Storage

/// Everything that handlers and the relay share, made once by ``Gateway`` and passed by value.
public struct GatewayServices: Sendable {
    public var clock: ServerClock
    public var requestIDs: RequestIDSource
    public var snapshots: SnapshotHolder
    public var store: any Store
    public var meter: Meter
    public var settler: Settler
    public var poster: Poster
    public var prices: PriceBook
    public var keys: KeyDirectory
    public var health: HealthRegistry
    public var transport: any UpstreamTransport
    public var metrics: GatewayMetrics
    public var reloader: ConfigurationReloader
    let relays: RelayTasks
    let connections: ClientConnectionCount
    public var logger: Logger
    /// Unix seconds.
    public var startedAt: Int64
    /// Version of this build, shown at `/api/status`.
    public var version: String
}
