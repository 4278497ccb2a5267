public import Config
package import GatewayState
import NIOCore
import RouterCore
public import Storage
import Transport

/// Refreshes the price table from vendors' own lists of models and from the price list: asks each provider that an enabled channel uses,
/// compares, writes.
public struct CatalogueSync: Sendable {
    public struct Problem: Error, Sendable {
        public var message: String
    }

    /// What came of one provider.
    public struct Outcome: Sendable {
        public var provider: String
        public var diff = CatalogueDiff()
        /// Rows that were written.
        public var written = 0
        /// Why the list could not be had; the table is untouched then.
        public var problem: String?
        /// The vendor has no list that this gateway can read, which is nobody's fault.
        public var hasNoList = false
    }

    private let snapshot: GatewaySnapshot
    private let store: any PricingStore & AdminStore
    private let client: VendorClient
    /// Whether a list may make a model free that had a price, or ten times cheaper.
    private var acceptsFalls = false
    /// Only rows of these models are written; nil = of all.
    private var models: Set<String>?
    /// Whether somebody has asked for it, so that it goes on record; the schedule is the gateway's own doing.
    private var isAsked = false

    private static let limit = Duration.seconds(60)
    private static let maxBytes = 64 << 20

    init(snapshot: GatewaySnapshot, store: any PricingStore & AdminStore, client: VendorClient) {
        self.snapshot = snapshot
        self.store = store
        self.client = client
    }

    /// For the command line, with a transport of its own.
    /// - Parameters:
    ///   - provider: nil = all that enabled channels use.
    ///   - now: Unix seconds, of the new versions.
    /// - Throws: ``Problem`` when no enabled channel uses the provider, ``StoreError``.
    public static func once(
        _ configuration: GatewayConfiguration, store: any PricingStore & AdminStore, provider: String?, isDryRun: Bool, acceptsFalls: Bool,
        now: Int64
    ) async throws -> [Outcome] {
        let transport = try CurlTransport()
        var sync = CatalogueSync(snapshot: GatewaySnapshot(configuration), store: store, client: VendorClient(transport: transport))
        sync.acceptsFalls = acceptsFalls
        sync.isAsked = true
        do {
            let outcomes = try await sync.run(provider: provider, isDryRun: isDryRun, now: now)
            await transport.shutdown()
            return outcomes
        } catch {
            await transport.shutdown()
            throw error
        }
    }

    /// For the management API: all lists of all providers that enabled channels use.
    /// - Parameter models: those whose rows are written; nil = of all.
    /// - Throws: ``StoreError``.
    package static func asked(
        _ snapshot: GatewaySnapshot, store: any PricingStore & AdminStore, client: VendorClient, models: Set<String>?, isDryRun: Bool,
        now: Int64
    ) async throws -> [Outcome] {
        var sync = CatalogueSync(snapshot: snapshot, store: store, client: client)
        sync.models = models
        sync.isAsked = true
        return try await sync.run(provider: nil, isDryRun: isDryRun, now: now)
    }

    /// Forgets what a provider's list said: its models that no file names are served no more, and the file's prices come back with the next
    /// start or reload (rows of models that only the list has keep theirs).
    /// - Returns: how many models were forgotten; nil when nothing was known.
    /// - Throws: ``StoreError``.
    public static func forget(_ provider: String, store: any PricingStore & AdminStore) async throws -> Int? {
        guard let text = try await store.setting(Catalogue.settingPrefix + provider) else { return nil }
        let known = Catalogue.decode(text).count
        try await Catalogue().save(provider, to: store)
        return known == 0 ? nil : known
    }

    /// The enabled channels by provider.
    private var channels: [String: [RouterCore.Channel]] {
        Dictionary(grouping: snapshot.configuration.routes.channels.filter(\.isEnabled)) { $0.provider.name }
    }

    /// All lists of one provider, or of all: the vendors' and the price list.
    func run(provider only: String?, isDryRun: Bool, now: Int64) async throws -> [Outcome] {
        let used = channels.keys.sorted()
        if let only, !used.contains(only) {
            throw Problem(message: "no enabled channel uses the provider '\(only)'; those in use: \(used.joined(separator: ", "))")
        }
        let outcomes = try await vendors(Set(only.map { [$0] } ?? used), isDryRun: isDryRun, now: now)
        return outcomes + (try await priceList(only: only, isDryRun: isDryRun, now: now))
    }

    /// Vendors' own lists, one provider after the other, by name, so that of two which list the same model the first one prices it.
    func vendors(_ providers: Set<String>, isDryRun: Bool, now: Int64) async throws -> [Outcome] {
        let channels = channels
        let used = Set(channels.keys)
        var outcomes: [Outcome] = []
        for name in used.intersection(providers).sorted() {
            outcomes.append(try await sync(name, channels[name] ?? [], others: used.subtracting([name]), isDryRun, now))
        }
        return outcomes
    }

    /// The list for models that those lists and the files leave without a price; read after them.
    func priceList(only: String?, isDryRun: Bool, now: Int64) async throws -> [Outcome] {
        // The prices that the lists have just given.
        let catalogue = try await Catalogue.load(store, snapshot.configuration)
        let current = GatewaySnapshot(snapshot.configuration, builtinBaseURL: nil, catalogue: catalogue, prices: snapshot.prices)
        let sync = PriceListSync(
            snapshot: current, store: store, client: client, acceptsFalls: acceptsFalls, isAsked: isAsked, models: models)
        return try await sync.run(channels, only: only, isDryRun: isDryRun, now: now)
    }

    private func sync(
        _ provider: String, _ channels: [RouterCore.Channel], others: Set<String>, _ isDryRun: Bool, _ now: Int64
    ) async throws -> Outcome {
        var outcome = Outcome(provider: provider)
        var listed: [ListedModel] = []
        // The first channel that answers speaks for the vendor.
        for channel in channels where listed.isEmpty {
            do throws(Problem) {
                listed = try await list(channel) ?? []
                outcome.problem = nil
            } catch {
                outcome.problem = error.message
            }
        }
        guard !listed.isEmpty else {
            outcome.hasNoList = outcome.problem == nil
            return outcome
        }
        let diff = CatalogueDiff.between(
            provider: outcome.provider, listed: listed, rows: try await store.allPrices(), others: others,
            acceptsFalls: acceptsFalls)
        outcome.diff = diff
        guard !isDryRun else { return outcome }
        let audit = AuditEntry(actorID: nil, action: "models.sync", detail: [.init("provider", .string(provider))], at: now)
        let rows = diff.rows.filter { models?.contains($0.modelName) ?? true }
        outcome.written = try await store.seedPrices(rows, now: now, audit: isAsked ? audit : nil)
        try await HeldPrices.replace(.vendor, of: provider, by: diff.heldEntries(.vendor), in: store)
        var catalogue = Catalogue()
        let foreign = Set(diff.elsewhere.map(\.model))
        // A price that was left out of the sync is not the list's, unless an earlier sync has taken it.
        let left = Set(models.map { models in diff.rows.map(\.modelName).filter { !models.contains($0) } } ?? [])
        catalogue.set(
            listed.map { model in
                let had = snapshot.catalogue.entry(provider, model.id)?.hasPrice == true
                let hasPrice = left.contains(model.id) ? had : diff.priced.contains(model.id) && !foreign.contains(model.id)
                return Catalogue.Entry(model: model, hasPrice: hasPrice)
            }, of: outcome.provider)
        try await catalogue.save(outcome.provider, to: store)
        return outcome
    }

    /// - Returns: nil when the vendor has no list that this gateway can read.
    private func list(_ channel: RouterCore.Channel) async throws(Problem) -> [ListedModel]? {
        let base = channel.baseURL ?? channel.provider.baseURL
        guard base != GatewaySnapshot.builtinSimulator, let provider = snapshot.provider(of: channel),
            let call = provider.call(.listModels, baseURL: channel.baseURL, key: channel.keys.first)
        else { return nil }
        let head: UpstreamHead
        let body: ByteBuffer
        do throws(TransportFailure) {
            (head, body) = try await client.call(call, proxy: channel.proxy, within: Self.limit, atMost: Self.maxBytes)
        } catch {
            throw Problem(message: "could not be asked for its models: \(error.detail)")
        }
        guard head.status == 200 else { throw Problem(message: "answered \(head.status) when asked for its models") }
        guard let models = provider.models(body) else { throw Problem(message: "answered with something that is no list of models") }
        // An empty list is a mistake of the vendor's or ours, and not the end of all models.
        guard !models.isEmpty else { throw Problem(message: "answered with an empty list of models") }
        return models
    }
}
