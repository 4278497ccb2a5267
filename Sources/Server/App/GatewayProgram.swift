public import Config
import Gateway
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

/// The composition root: creates every part once, in the order of their dependencies, and runs them as services that stop in the opposite
/// order. No other file knows how the parts are assembled.
public struct GatewayProgram: Sendable {
    public struct Options: Sendable {
        /// Path of gateway.yaml.
        public var configPath: String
        /// The process environment, without the variables of `.env`.
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

    /// Parts that outlive ``make(_:options:logger:)`` because a service or a test needs them.
    struct Parts: Sendable {
        var store: any Store
        var journal: any Journal
        var meter: Meter
        var settler: Settler
        var poster: Poster
        var snapshots: SnapshotHolder
        var health: HealthRegistry
        var keys: KeyDirectory
        var keyChanges = AsyncGate()
        var limits: RequestLimits
        var doors: Doors
        var tokenLookups = TokenLookups()
        var logins: LoginRecords
        var vocabulary: Vocabulary
        var responses: ResponseKeeper
        var reloader: ConfigurationReloader
        var vault: ConsoleVault
        var transport: UpstreamSwitch
        /// For calls that do not belong to a client's request.
        var vendors: VendorClient
        var plane: DataPlane
        var web: WebSource
        var simulator: Simulator?
    }

    let parts: Parts
    let configuration: GatewayConfiguration
    let options: Options
    let logger: Logger
    /// Unix seconds.
    let startedAt: Int64

    /// Opens the stores, replays the journal, and loads everything that is kept in memory. After this the gateway can serve. A metrics
    /// backend of the program (`MetricsSystem.bootstrap`) has to be set up before.
    /// - Parameter files: the configuration without the console, which may have providers that only the console knows
    ///   (``UnseenProviders/any``): once the database is open, it is read again with the console, and strictly.
    /// - Throws: ``ConfigErrors``, ``StoreError``.
    public static func make(
        _ files: GatewayConfiguration, options: Options, logger: Logger
    ) async throws -> GatewayProgram {
        let (store, journal) = try await openBooks(files, options, logger)
        // Checked first: a gateway with a different secret must not work on this ledger.
        let sealer = try await SessionSecret.sealer(files, store: store)
        let vault = ConsoleVault(store: store, sealer: sealer)
        let console = try await vault.load()
        let configuration = try withConsole(console, files, options)
        for warning in configuration.warnings { logger.warning("\(warning)") }
        let signal = PostSignal()
        let meter = Meter(
            journal: journal, store: store, postSignal: signal, clock: options.clock,
            leaseLifetime: configuration.metering.leaseLifetime.components.seconds, isOff: configuration.metering.admission == .off)
        let doors = Doors(configuration, sealer: sealer, store: store, clock: options.clock)
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
        keys.load(users: users, tokens: try await store.allTokens(), memberships: try await store.allMemberships())
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
            path: options.configPath, environment: options.environment, configuration: configuration, console: console,
            snapshots: snapshots, health: health, keys: keys, store: store, vault: vault, clock: options.clock,
            builtinBaseURL: builtinBaseURL, logger: logger)
        let limits = RequestLimits(clock: options.clock, gateway: TokenSecrets.random(22))
        let settler = Settler(meter: meter, logger: logger)
        let vocabulary = Vocabulary(path: Vocabulary.locate(options.environment))
        let responses = try await openResponses(configuration, store, meter.holder.gatewayID, options.clock, logger)
        let plane = DataPlane(
            clock: options.clock, snapshots: snapshots, keys: keys, limits: limits, meter: meter, settler: settler, health: health,
            transport: transport, vocabulary: vocabulary, responses: responses,
            metrics: GatewayMetrics(overheadObserver: MetricsPublisher.backend.map(MetricsPublisher.overheadObserver)), logger: logger)
        await LimitKeeper(limits: limits, store: store, clock: options.clock, logger: logger).begin()
        return GatewayProgram(
            parts: Parts(
                store: store, journal: journal, meter: meter, settler: settler, poster: poster, snapshots: snapshots, health: health,
                keys: keys, limits: limits, doors: doors,
                logins: LoginRecords(store: store, clock: options.clock, logger: logger), vocabulary: vocabulary, responses: responses,
                reloader: reloader, vault: vault,
                transport: transport, vendors: VendorClient(transport: transport.sideCalls), plane: plane,
                web: WebSource(configuration, environment: options.environment, logger: logger), simulator: simulator),
            configuration: configuration, options: options, logger: logger, startedAt: options.clock.unixSeconds)
    }

    /// The configuration with the channels, providers and secrets that the ledger's database has; read anew where there are any, and where
    /// the files name a provider that was not known without them.
    private static func withConsole(
        _ console: ConsoleConfiguration, _ files: GatewayConfiguration, _ options: Options
    ) throws(ConfigErrors) -> GatewayConfiguration {
        guard !console.isEmpty || !files.origins.unseenProviders.isEmpty else { return files }
        let environment = DotEnv.load(directory: ".", environment: options.environment)
        return try ConfigLoader(environment: environment, console: console).load(path: options.configPath)
    }

    /// Opens the ledger and the journal, with file permissions for the owner only.
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

    /// Opens the store of responses, where there is to be one: beside a ledger that is a file, else in the ledger's database.
    private static func openResponses(
        _ configuration: GatewayConfiguration, _ store: any Store, _ gateway: String, _ clock: ServerClock, _ logger: Logger
    ) async throws -> ResponseKeeper {
        let keeper = ResponseKeeper(
            store: configuration.responses.isStored ? try await StoreOpening.openResponses(configuration.storage, store) : nil,
            gateway: gateway, clock: clock, logger: logger)
        // Responses of earlier starts count towards the bounds from the first request on.
        try await keeper.sweep()
        return keeper
    }

    /// Starts the demo upstream, if an enabled channel points to it.
    private static func startDemo(_ configuration: GatewayConfiguration) async throws -> Simulator? {
        guard GatewaySnapshot.needsBuiltin(configuration) else { return nil }
        let simulator = Simulator(configuration: .init())
        try await simulator.start()
        return simulator
    }

    /// Serves until SIGTERM or SIGINT, then drains: no new connections, running answers may finish within `server.drain_timeout`,
    /// settlements go to the journal, and the journal to the ledger.
    public func run() async throws {
        let (parts, clock, logger) = (parts, options.clock, logger)
        // Stopped in reverse order.
        var members: [any Service] = [
            StoreService(store: parts.store, journal: parts.journal, responses: parts.responses, simulator: parts.simulator),
            ResponseWriter(keeper: parts.responses, snapshots: parts.snapshots, logger: logger),
            LeaseKeeper(recovery: Recovery(meter: parts.meter, poster: parts.poster, logger: logger), logger: logger),
            parts.poster,
            parts.settler,
            TransportService(transport: parts.transport),
            LoginRecordWriter(logins: parts.logins),
            TokenUseWriter(keys: parts.keys, store: parts.store, logger: logger),
            Reconciler(
                records: VendorRecords(snapshots: parts.snapshots, client: parts.vendors), meter: parts.meter, store: parts.store,
                clock: clock, logger: logger),
            BatchKeeper(
                settler: BatchSettler(
                    snapshots: parts.snapshots, store: parts.store, meter: parts.meter, client: parts.vendors, clock: clock,
                    logger: logger),
                snapshots: parts.snapshots, store: parts.store, clock: clock, logger: logger),
            ResponsePoller(
                settler: responseSettler, snapshots: parts.snapshots, store: parts.store, clock: clock, logger: logger),
            ChangeWatcher(
                store: parts.store, snapshots: parts.snapshots, health: parts.health, keys: parts.keys, keyChanges: parts.keyChanges,
                tokenLookups: parts.tokenLookups, meter: parts.meter, reloader: parts.reloader, logger: logger),
            LimitKeeper(limits: parts.limits, store: parts.store, clock: clock, logger: logger),
            CreditKeeper(store: parts.store, meter: parts.meter, clock: clock, logger: logger),
            LevelKeeper(desk: levelDesk, store: parts.store, clock: clock, logger: logger),
            LogKeeper(store: parts.store, snapshots: parts.snapshots, clock: clock, logger: logger),
            HealthWriter(health: parts.health, store: parts.store, clock: clock, logger: logger),
            ChannelProber(
                snapshots: parts.snapshots, health: parts.health, client: parts.vendors, clock: clock,
                report: { [metrics = parts.plane.metrics] in metrics.probe(channelID: $0, result: $1) }),
            CatalogueKeeper(
                snapshots: parts.snapshots, store: parts.store, client: parts.vendors, clock: clock, logger: logger,
                takeUp: { [reloader = parts.reloader] in try await reloader.catalogueChanged() }),
            MemoryKeeper(connections: parts.plane.connections),
            VocabularyService(vocabulary: parts.vocabulary, logger: logger),
            ConfigurationWatcher(reloader: parts.reloader, clock: clock, logger: logger, paths: configuration.watchedPaths),
            HTTPService(
                door: frontDoor(), router: router, settings: configuration.server, transport: parts.transport,
                relays: parts.plane.relays, logger: logger),
        ]
        if case .sqlite = configuration.storage {
            members.append(PriceWatcher(store: parts.store, snapshots: parts.snapshots, reloader: parts.reloader, logger: logger))
        }
        // Stopped after every service that still counts.
        if let publisher = metricsPublisher { members.insert(publisher, at: 1) }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: members.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger))
        try await group.run()
    }
}
