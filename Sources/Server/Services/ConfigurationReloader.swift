public import Config
import Logging
import RouterCore
import Storage
import Synchronization

/// Replaces the configuration of a running gateway, whole or not at all.
public actor ConfigurationReloader {
    private let path: String
    private let environment: [String: String]
    private let snapshots: SnapshotHolder
    private let health: HealthRegistry
    private let prices: PriceBook
    private let store: any Store
    private let clock: ServerClock
    private let logger: Logger
    private let builtinBaseURL: String?
    /// As the files have it, without what vendors' lists add.
    private var configuration: GatewayConfiguration
    /// Counts reloads.
    private var generation = 0

    init(
        path: String, environment: [String: String], configuration: GatewayConfiguration, snapshots: SnapshotHolder, health: HealthRegistry,
        prices: PriceBook, store: any Store, clock: ServerClock, builtinBaseURL: String?, logger: Logger
    ) {
        self.path = path
        self.environment = environment
        self.configuration = configuration
        self.snapshots = snapshots
        self.health = health
        self.prices = prices
        self.store = store
        self.clock = clock
        self.builtinBaseURL = builtinBaseURL
        self.logger = logger
    }

    /// Reads and validates everything, then swaps. Requests in flight keep what they started with.
    /// - Returns: the warnings of the new configuration.
    /// - Throws: ``ConfigErrors``, and ``StoreError`` when new prices cannot be stored; the old one runs on in both cases.
    @discardableResult
    public func reload() async throws -> [Diagnostic] {
        let configuration: GatewayConfiguration
        do {
            // `.env` is read again: a key that was added there is a reason to reload.
            let merged = DotEnv.load(directory: ".", environment: environment)
            configuration = try ConfigLoader(environment: merged).reload(path: path, keeping: self.configuration.providers)
        } catch {
            logger.error("configuration not reloaded; the old one stays in force")
            for diagnostic in error.diagnostics { logger.error("\(diagnostic)") }
            throw error
        }
        if GatewaySnapshot.needsBuiltin(configuration), builtinBaseURL == nil {
            logger.warning("the demo channel was added after the start and stays off until a restart")
        }
        let catalogue = try await Catalogue.load(store, configuration)
        let changed = try await store.seedPrices(PriceSeed.rows(of: configuration, catalogue), now: clock.unixSeconds)
        // Also what a command has written beside us.
        prices.replaceAll(try await store.allPrices())
        try await take(configuration, catalogue)
        logger.notice(
            "configuration reloaded",
            metadata: ["channels": "\(configuration.routes.channels.count)", "prices_changed": "\(changed)"])
        for warning in configuration.warnings { logger.warning("\(warning)") }
        return configuration.warnings
    }

    /// Takes up what a sync with vendors' lists has written: prices, and models that no file lists.
    /// - Throws: ``StoreError``; the old snapshot stays then.
    func catalogueChanged() async throws {
        // A reload that comes in between has read newer files; then this is done over them.
        var isDone = false
        while !isDone {
            let seen = generation
            let catalogue = try await Catalogue.load(store, configuration)
            prices.replaceAll(try await store.allPrices())
            isDone = try await take(configuration, catalogue, onlyIn: seen)
        }
    }

    /// - Returns: false when another reload came first, where that matters.
    @discardableResult
    private func take(_ configuration: GatewayConfiguration, _ catalogue: Catalogue, onlyIn seen: Int? = nil) async throws -> Bool {
        let snapshot = GatewaySnapshot(configuration, builtinBaseURL: builtinBaseURL, catalogue: catalogue, prices: prices)
        let known = Set(snapshots.snapshot.configuration.routes.channels.map(\.id))
        // Before the swap: a channel that an operator has switched off does not come back for a moment.
        let new = snapshot.configuration.routes.channels.map(\.id).filter { !known.contains($0) }
        try await ChannelSwitches(store: store, health: health).load(new)
        if let seen, seen != generation { return false }
        let old = snapshots.snapshot.configuration.routes
        snapshots.replace(snapshot)
        health.apply(snapshot.configuration.routes, replacing: old)
        self.configuration = configuration
        if seen == nil { generation += 1 }
        return true
    }
}
