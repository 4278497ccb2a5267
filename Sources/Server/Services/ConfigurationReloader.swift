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

    init(
        path: String, environment: [String: String], snapshots: SnapshotHolder, health: HealthRegistry,
        prices: PriceBook, store: any Store, clock: ServerClock, builtinBaseURL: String?, logger: Logger
    ) {
        self.path = path
        self.environment = environment
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
            configuration = try ConfigLoader(environment: merged).reload(path: path)
        } catch {
            logger.error("configuration not reloaded; the old one stays in force")
            for diagnostic in error.diagnostics { logger.error("\(diagnostic)") }
            throw error
        }
        if GatewaySnapshot.needsBuiltin(configuration), builtinBaseURL == nil {
            logger.warning("the demo channel was added after the start and stays off until a restart")
        }
        let changed = try await store.seedPrices(
            PriceSeed.rows(of: configuration.providers), now: clock.unixSeconds)
        if changed > 0 { prices.replaceAll(try await store.allPrices()) }
        let old = snapshots.snapshot.configuration.routes
        let snapshot = GatewaySnapshot(configuration, builtinBaseURL: builtinBaseURL)
        let known = Set(old.channels.map(\.id))
        // Before the swap: a channel that an operator has switched off does not come back for a moment.
        let new = snapshot.configuration.routes.channels.map(\.id).filter { !known.contains($0) }
        try await ChannelSwitches(store: store, health: health).load(new)
        snapshots.replace(snapshot)
        health.apply(snapshot.configuration.routes, replacing: old)
        logger.notice(
            "configuration reloaded",
            metadata: ["channels": "\(configuration.routes.channels.count)", "prices_changed": "\(changed)"])
        for warning in configuration.warnings { logger.warning("\(warning)") }
        return configuration.warnings
    }
}

/// Price rows from provider files.
enum PriceSeed {
    /// One row per model that has a price. When two files price one model, the first by name of the provider wins,
    /// so that the result does not depend on the order of reading.
    static func rows(of providers: [ProviderSpec]) -> [PricingRow] {
        var rows: [String: PricingRow] = [:]
        for provider in providers.sorted(by: { $0.name < $1.name }) {
            for model in provider.models where rows[model.id] == nil {
                guard let price = model.price else { continue }
                rows[model.id] = PricingRow(
                    modelName: model.id, displayName: model.displayName ?? model.id, provider: provider.name,
                    description: model.description ?? "", contextLength: model.contextLength,
                    maxOutputTokens: model.maxOutputTokens, price: price)
            }
        }
        return rows.values.sorted { $0.modelName < $1.modelName }
    }
}
