public import Config
import GatewayState
import Hummingbird
public import Logging
import Metering
import NIOCore
import NIOPosix
public import Platform
import RouterCore
import ServiceLifecycle
import Simulator
import Storage
import Transport
import UnixSignals
import Vendors

/// The composition root: makes every part once, in the order in which they need each other, and runs them as services that
/// stop in the opposite order. Nothing outside this file knows how the parts are put together.
public struct Gateway: Sendable {
    public struct Options: Sendable {
        /// Path of gateway.yaml.
        public var configPath: String
        /// The process environment, without `.env`.
        public var environment: [String: String]
        public var version: String
        public var clock: ServerClock

        public init(
            configPath: String, environment: [String: String], version: String, clock: ServerClock = .system
        ) {
            self.configPath = configPath
            self.environment = environment
            self.version = version
            self.clock = clock
        }
    }

    let services: GatewayServices
    let configuration: GatewayConfiguration
    let transport: UpstreamSwitch
    let simulator: Simulator?
    let journal: any Journal
    let options: Options

    /// Opens the stores, replays the journal, loads what lives in memory. After this the gateway can serve.
    /// - Throws: ``ConfigErrors``, ``StoreError``.
    public static func make(
        _ configuration: GatewayConfiguration, options: Options, logger: Logger
    ) async throws -> Gateway {
        for warning in configuration.warnings { logger.warning("\(warning)") }
        let (store, journal) = try await openBooks(configuration, options, logger)
        let signal = PostSignal()
        let meter = Meter(
            journal: journal, store: store, postSignal: signal, clock: options.clock,
            leaseLifetime: configuration.metering.leaseLifetime.components.seconds, isOff: configuration.metering.admission == .off)
        // Before anything is taken up: a gateway with a secret of its own has no business at this ledger.
        let doors = Doors(
            configuration, sealer: try await SessionSecret.sealer(configuration, store: store), store: store, clock: options.clock)
        if configuration.metering.admission == .off {
            logger.warning("metering.admission is off: requests are neither held nor charged nor logged")
        }
        let poster = Poster(journal: journal, meter: meter, signal: signal, logger: logger)
        let recovery = Recovery(meter: meter, poster: poster, logger: logger)
        try await recovery.start()

        try await Bootstrap.firstStart(
            store: store, bootstrap: configuration.bootstrap, dataDirectory: configuration.dataDirectory,
            clock: options.clock, logger: logger)
        let users = try await store.allUsers()
        let keys = KeyDirectory()
        keys.setGroups(configuration.groupLimits)
        keys.load(users: users, tokens: try await store.allTokens())
        let catalogue = try await Catalogue.load(store, configuration)
        _ = try await store.seedPrices(
            PriceSeed.rows(of: configuration, catalogue, current: try await store.allPrices()), now: options.clock.unixSeconds)
        let prices = PriceTable(try await store.allPrices())

        let simulator = try await startDemo(configuration)
        let builtinBaseURL = simulator.map { "http://127.0.0.1:\($0.port)/v1" }
        let snapshots = SnapshotHolder(
            GatewaySnapshot(configuration, builtinBaseURL: builtinBaseURL, catalogue: catalogue, prices: prices))
        var seed = SystemRandomNumberGenerator()
        let health = HealthRegistry(
            settings: configuration.routes.settings, clock: options.clock, seed: seed.next())
        let channels = snapshots.snapshot.configuration.routes.channels
        try await ChannelSwitches(store: store, health: health).load(channels.map(\.id))
        health.restore(try await store.loadHealth(), channels: channels)
        let transport = try UpstreamSwitch()
        let reloader = ConfigurationReloader(
            path: options.configPath, environment: options.environment, configuration: configuration, snapshots: snapshots,
            health: health, keys: keys, store: store, clock: options.clock, builtinBaseURL: builtinBaseURL,
            logger: logger)
        let services = GatewayServices(
            clock: options.clock, requestIDs: RequestIDSource(clock: options.clock), snapshots: snapshots,
            store: store, meter: meter, settler: Settler(meter: meter, logger: logger), poster: poster,
            keys: keys, doors: doors, health: health, transport: transport,
            vendors: VendorClient(transport: transport.sideCalls), vocabulary: Vocabulary(path: Vocabulary.locate(options.environment)),
            metrics: GatewayMetrics(),
            reloader: reloader, tokenLookups: TokenLookups(), relays: RelayTasks(), connections: ClientConnectionCount(), logger: logger,
            startedAt: options.clock.unixSeconds, version: options.version)
        await LimitKeeper(limits: services.limits, store: store, clock: options.clock, logger: logger).begin()
        return Gateway(
            services: services, configuration: configuration, transport: transport, simulator: simulator,
            journal: journal, options: options)
    }

    /// The ledger and the journal, in files that are nobody else's business.
    private static func openBooks(
        _ configuration: GatewayConfiguration, _ options: Options, _ logger: Logger
    ) async throws -> (any Store, FileJournal) {
        let path: String? = if case .sqlite(let path) = configuration.storage { path } else { nil }
        for note in try PrivateFiles.mend(directory: configuration.dataDirectory, database: path) { logger.notice("\(note)") }
        let settings = configuration.journal
        let store = try await StoreOpening.open(
            configuration.storage, durability: settings.durability, environment: options.environment, now: options.clock.unixSeconds)
        let journal = try await FileJournal.open(
            directory: configuration.dataDirectory, durability: settings.durability == .power ? .power : .process,
            maximumBytes: settings.maxBytes, keep: JournalKeep(seconds: settings.keep.components.seconds, bytes: settings.keepBytes),
            now: { options.clock.unixSeconds })
        for note in try await store.notes() + journal.notes { logger.warning("\(note)") }
        return (store, journal)
    }

    /// The demo upstream, only when an enabled channel points to it.
    private static func startDemo(_ configuration: GatewayConfiguration) async throws -> Simulator? {
        guard GatewaySnapshot.needsBuiltin(configuration) else { return nil }
        let simulator = Simulator(configuration: .init())
        try await simulator.start()
        return simulator
    }

    /// Serves until SIGTERM or SIGINT, then drains: no new connections, running answers to their end within
    /// `server.drain_timeout`, settlements to the journal, the journal to the ledger.
    public func run() async throws {
        let logger = services.logger
        let http = HTTPService(gateway: self)
        // Stopped from the last to the first.
        let members: [any Service] = [
            StoreService(store: services.store, journal: journal, simulator: simulator),
            LeaseKeeper(recovery: Recovery(meter: services.meter, poster: services.poster, logger: logger), logger: logger),
            services.poster,
            services.settler,
            TransportService(transport: transport),
            LoginRecordWriter(logins: services.logins),
            TokenUseWriter(keys: services.keys, store: services.store, logger: logger),
            Reconciler(
                records: VendorRecords(snapshots: services.snapshots, client: services.vendors), meter: services.meter,
                store: services.store, clock: services.clock, logger: logger),
            ChangeWatcher(services: services),
            LimitKeeper(limits: services.limits, store: services.store, clock: services.clock, logger: logger),
            HealthWriter(health: services.health, store: services.store, clock: services.clock, logger: logger),
            ChannelProber(
                snapshots: services.snapshots, health: services.health, client: services.vendors, clock: services.clock,
                report: { [metrics = services.metrics] in metrics.probe(channelID: $0, result: $1) }),
            CatalogueKeeper(
                snapshots: services.snapshots, store: services.store, client: services.vendors, clock: services.clock, logger: logger,
                takeUp: { [reloader = services.reloader] in try await reloader.catalogueChanged() }),
            MemoryKeeper(connections: services.connections),
            VocabularyService(vocabulary: services.vocabulary, logger: logger),
            ConfigurationWatcher(services: services, paths: configuration.watchedPaths),
            http,
        ]
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: members.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger))
        try await group.run()
    }
}
