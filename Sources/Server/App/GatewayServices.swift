import GatewayState
import Logging
import Metering
import Platform
import RouterCore
import Storage
import Vendors

/// Everything that handlers and the relay share, made once by ``Gateway``. A class, because every step of every request holds
/// it: one reference counts up and down, not twenty.
final class GatewayServices: Sendable {
    let clock: ServerClock
    let requestIDs: RequestIDSource
    let snapshots: SnapshotHolder
    let store: any Store
    let meter: Meter
    let settler: Settler
    let poster: Poster
    let keys: KeyDirectory
    let doors: Doors
    let limits: RequestLimits
    let health: HealthRegistry
    let transport: any UpstreamTransport
    /// For calls beside the traffic.
    let vendors: VendorClient
    let vocabulary: Vocabulary
    let metrics: GatewayMetrics
    let reloader: ConfigurationReloader
    let tokenLookups: TokenLookups
    let relays: RelayTasks
    let connections: ClientConnectionCount
    let drains = Drains()
    let thinkingSpeed = ThinkingSpeed()
    /// Changes of users and keys, one after the other: what is written last is what the directory of keys has last.
    let keyChanges = AsyncGate()
    /// Failed logins, as far as they are put on record.
    let logins: LoginRecords
    let logger: Logger
    /// Unix seconds.
    let startedAt: Int64
    /// Version of this build, shown at `/api/status`.
    let version: String

    init(
        clock: ServerClock, requestIDs: RequestIDSource, snapshots: SnapshotHolder, store: any Store, meter: Meter,
        settler: Settler, poster: Poster, keys: KeyDirectory, doors: Doors, health: HealthRegistry,
        transport: any UpstreamTransport, vendors: VendorClient, vocabulary: Vocabulary, metrics: GatewayMetrics,
        reloader: ConfigurationReloader,
        tokenLookups: TokenLookups, relays: RelayTasks, connections: ClientConnectionCount, logger: Logger, startedAt: Int64,
        version: String
    ) {
        self.clock = clock
        self.requestIDs = requestIDs
        self.snapshots = snapshots
        self.store = store
        self.meter = meter
        self.settler = settler
        self.poster = poster
        self.keys = keys
        self.doors = doors
        limits = RequestLimits(clock: clock, gateway: TokenSecrets.random(22))
        self.health = health
        self.transport = transport
        self.vendors = vendors
        self.vocabulary = vocabulary
        self.metrics = metrics
        self.reloader = reloader
        self.tokenLookups = tokenLookups
        self.relays = relays
        logins = LoginRecords(store: store, clock: clock, logger: logger)
        self.connections = connections
        self.logger = logger
        self.startedAt = startedAt
        self.version = version
    }
}
