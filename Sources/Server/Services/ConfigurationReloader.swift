public import Config
import GatewayState
import Logging
import Platform
import RouterCore
public import Storage
import Synchronization

/// Replaces the configuration of a running gateway, completely or not at all.
public actor ConfigurationReloader {
    private let path: String
    private let environment: [String: String]
    private let snapshots: SnapshotHolder
    private let health: HealthRegistry
    private let keys: KeyDirectory
    private let store: any PricingStore & AdminStore
    private let vault: ConsoleVault
    private let clock: ServerClock
    private let logger: Logger
    private let builtinBaseURL: String?
    /// The console's part of the configuration in force.
    private var console: ConsoleConfiguration
    /// The configuration from the files and the console, without the additions of vendors' lists.
    private var configuration: GatewayConfiguration
    /// Counts every change that took effect, prices included: a reader of files or tables reads again if a change occurred in the meantime.
    private var generation = 0

    init(
        path: String, environment: [String: String], configuration: GatewayConfiguration, console: ConsoleConfiguration,
        snapshots: SnapshotHolder, health: HealthRegistry, keys: KeyDirectory, store: any PricingStore & AdminStore, vault: ConsoleVault,
        clock: ServerClock, builtinBaseURL: String?, logger: Logger
    ) {
        self.path = path
        self.environment = environment
        self.configuration = configuration
        self.snapshots = snapshots
        self.health = health
        self.keys = keys
        self.store = store
        self.vault = vault
        self.console = console
        self.clock = clock
        self.builtinBaseURL = builtinBaseURL
        self.logger = logger
    }

    /// Reads and validates everything, then swaps. Requests in flight keep the snapshot that they started with.
    /// - Parameter audit: the caller; written with the prices, before the swap. nil = the change has its own row.
    /// - Returns: the warnings of the new configuration.
    /// - Throws: ``ConfigErrors``, and ``StoreError`` when new prices or the row of `audit_log` cannot be stored; the old configuration
    ///   remains in use in both cases.
    @discardableResult
    public func reload(audit: AuditEntry?) async throws -> [Diagnostic] {
        var changed = 0
        // Written once, however often files change in the meantime.
        var due = audit
        while true {
            // A concurrent reload that finishes first may have read older files; this one is then repeated.
            let seen = generation
            let stored = try await vault.load()
            let configuration = try read(stored)
            let catalogue = try await Catalogue.load(store, configuration)
            let rows = PriceSeed.rows(of: configuration, catalogue, current: try await store.allPrices())
            changed += try await store.seedPrices(rows, now: clock.unixSeconds, audit: due)
            due = nil
            guard try await take(configuration, catalogue, onlyIn: seen) else { continue }
            console = stored
            logger.notice(
                "configuration reloaded",
                metadata: ["channels": "\(configuration.routes.channels.count)", "prices_changed": "\(changed)"])
            for warning in configuration.warnings { logger.warning("\(warning)") }
            return configuration.warnings
        }
    }

    private func read(_ console: ConsoleConfiguration) throws(ConfigErrors) -> GatewayConfiguration {
        let configuration: GatewayConfiguration
        do throws(ConfigErrors) {
            configuration = try loader(console).reload(path: path, keeping: fileProviders)
        } catch {
            logger.error("configuration not reloaded; the old one stays in force")
            for diagnostic in error.diagnostics { logger.error("\(diagnostic)") }
            throw error
        }
        if GatewaySnapshot.needsBuiltin(configuration), builtinBaseURL == nil {
            logger.warning("the demo channel was added after the start and stays off until a restart")
        }
        return configuration
    }

    private func loader(_ console: ConsoleConfiguration) -> ConfigLoader {
        // `.env` is read again, because a key may have been added there.
        ConfigLoader(environment: DotEnv.load(directory: ".", environment: environment), console: console)
    }

    /// A provider file with errors is replaced by the one in force, but never by a provider of the console.
    private var fileProviders: [ProviderSpec] {
        configuration.providers.filter { configuration.origins.providers[$0.name] != .console }
    }

    /// The configuration as it would be with another state of the console; nothing is changed.
    /// - Throws: ``ConfigErrors`` when the files have errors at the moment.
    func candidate(_ console: ConsoleConfiguration) throws(ConfigErrors) -> GatewayConfiguration {
        try loader(console).reload(path: path, keeping: fileProviders)
    }

    /// Applies what the console has stored, here or at another gateway of the database.
    /// - Throws: ``ConfigErrors`` when the files have errors: the change comes into force when they are mended. ``StoreError``.
    func consoleChanged() async throws {
        guard try await vault.load() != console else { return }
        try await reload(audit: nil)
    }

    /// Applies what a sync with vendors' lists has written: prices, and models that no file lists.
    /// - Throws: ``StoreError``; the old snapshot then remains in use.
    func catalogueChanged() async throws {
        // A concurrent reload has read newer files; this is then repeated with them.
        var isDone = false
        while !isDone {
            let seen = generation
            isDone = try await take(configuration, try await Catalogue.load(store, configuration), onlyIn: seen)
        }
    }

    /// Applies a price that was set here and is stored: it is in effect from the next request on, whatever else is being read in the
    /// meantime.
    func priceChanged(_ row: PricingRow) {
        generation += 1
        let old = snapshots.snapshot
        guard let prices = old.prices.replacing(row) else { return }
        install(GatewaySnapshot(configuration, builtinBaseURL: builtinBaseURL, catalogue: old.catalogue, prices: prices))
    }

    /// All queries are made before the swap.
    /// - Returns: false when another change took effect first.
    private func take(_ configuration: GatewayConfiguration, _ catalogue: Catalogue, onlyIn seen: Int) async throws -> Bool {
        // Includes prices that a command has written in the meantime.
        let prices = PriceTable(try await store.allPrices())
        let snapshot = GatewaySnapshot(configuration, builtinBaseURL: builtinBaseURL, catalogue: catalogue, prices: prices)
        let known = Set(snapshots.snapshot.configuration.routes.channels.map(\.id))
        // Loaded before the swap, so that a channel that an operator has switched off is not active even for a moment.
        let new = snapshot.configuration.routes.channels.map(\.id).filter { !known.contains($0) }
        try await ChannelSwitches(store: store, health: health).load(new)
        guard seen == generation else { return false }
        generation += 1
        self.configuration = configuration
        install(snapshot)
        keys.setGroups(configuration.groupLimits)
        return true
    }

    /// The only swap.
    private func install(_ snapshot: GatewaySnapshot) {
        let old = snapshots.snapshot.configuration.routes
        snapshots.replace(snapshot)
        health.apply(snapshot.configuration.routes, replacing: old)
    }
}
