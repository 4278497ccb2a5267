import Config
import GatewayState
import HTTPTypes
import NIOCore
import RouterCore
import Storage

/// Prices models that nobody else has priced from a public list (`models.price_list`): those of a provider file without a price, those of a
/// vendor's list without one, and those that a channel names. A price of a file, of a vendor's own list or of an admin is left alone.
struct PriceListSync: Sendable {
    let snapshot: GatewaySnapshot
    let store: any PricingStore & AdminStore
    let client: VendorClient
    var acceptsFalls = false
    var isAsked = false
    /// Only rows of these models are written; nil = of all.
    var models: Set<String>?

    private static let limit = Duration.seconds(60)
    /// The list of November 2026 has 4 MB.
    private static let maxBytes = 32 << 20
    /// The models that the list has priced for a provider.
    private static let settingPrefix = "price_list."

    /// - Parameter channels: the enabled channels by provider. - Throws: ``StoreError``.
    func run(
        _ channels: [String: [RouterCore.Channel]], only: String?, isDryRun: Bool, now: Int64
    ) async throws -> [CatalogueSync.Outcome] {
        guard let url = snapshot.configuration.models.priceList else { return [] }
        let list: PriceList
        do throws(CatalogueSync.Problem) {
            list = try await fetch(url)
        } catch {
            var outcome = CatalogueSync.Outcome(provider: "price list")
            outcome.problem = error.message
            return [outcome]
        }
        var outcomes: [CatalogueSync.Outcome] = []
        // A price that the first provider takes is one that the next finds.
        for name in channels.keys.sorted() where only == nil || name == only {
            let others = Set(channels.keys).subtracting([name])
            if let outcome = try await sync(name, channels[name] ?? [], list, others, isDryRun, now) { outcomes.append(outcome) }
        }
        return outcomes
    }

    private func sync(
        _ provider: String, _ channels: [RouterCore.Channel], _ list: PriceList, _ others: Set<String>, _ isDryRun: Bool, _ now: Int64
    ) async throws -> CatalogueSync.Outcome? {
        guard let spec = channels.first?.provider, spec.defaultPrice == nil else { return nil }
        let rows = try await store.allPrices()
        let own = try await ownModels(provider)
        let known = Dictionary(rows.map { ($0.modelName, $0) }) { first, _ in first }
        let open = unpriced(spec, channels).filter { model in known[model].map { !$0.isEdited && own.contains(model) } ?? true }
        let listed = list.models(of: spec.catalogue.priceListNames ?? [provider], among: open)
        guard !listed.isEmpty else { return nil }
        var diff = CatalogueDiff.between(
            provider: provider, listed: listed, rows: rows, others: others, acceptsFalls: acceptsFalls, isOwnList: false)
        // The list is asked for these models alone.
        diff.gone = []
        var outcome = CatalogueSync.Outcome(provider: "\(provider) (price list)")
        outcome.diff = diff
        guard !isDryRun else { return outcome }
        let audit = AuditEntry(
            actorID: nil, action: "models.sync", detail: [.init("provider", .string(provider)), .init("price_list", .boolean(true))],
            at: now)
        try await setOwnModels(own.union(listed.map(\.id).filter { models?.contains($0) ?? true }), provider)
        let taken = diff.rows.filter { models?.contains($0.modelName) ?? true }
        outcome.written = try await store.seedPrices(taken, now: now, audit: isAsked ? audit : nil)
        try await HeldPrices.replace(.priceList, of: provider, by: diff.heldEntries(.priceList), in: store)
        return outcome
    }

    /// The vendor's names of models that are served, or would be, and that neither the file nor the vendor's list has priced.
    private func unpriced(_ spec: ProviderSpec, _ channels: [RouterCore.Channel]) -> Set<String> {
        var models = Set(spec.models.map(\.id))
        models.formUnion(snapshot.catalogue.models(of: spec.name))
        for model in channels.flatMap(\.models) where !model.pattern.contains("*") { models.insert(model.upstream ?? model.pattern) }
        models.subtract(spec.models.filter { $0.price != nil }.map(\.id))
        return models.filter { snapshot.catalogue.entry(spec.name, $0)?.hasPrice != true }
    }

    private func ownModels(_ provider: String) async throws -> Set<String> {
        guard let text = try await store.setting(Self.settingPrefix + provider),
            let list = (try? JSONValue(parsing: ByteBuffer(string: text)))?.arrayValue
        else { return [] }
        return Set(list.compactMap(\.stringValue))
    }

    private func setOwnModels(_ models: Set<String>, _ provider: String) async throws {
        try await store.setSetting(Self.settingPrefix + provider, JSONValue.array(models.sorted().map { .string($0) }).text)
    }

    private func fetch(_ url: String) async throws(CatalogueSync.Problem) -> PriceList {
        let request = UpstreamRequest(method: .get, url: url, headers: [.accept: "application/json", .userAgent: "apirouter"])
        let head: UpstreamHead
        let body: ByteBuffer
        do throws(TransportFailure) {
            (head, body) = try await client.call(request, within: Self.limit, atMost: Self.maxBytes + 1)
        } catch {
            throw CatalogueSync.Problem(message: "could not be fetched: \(error.detail)")
        }
        guard head.status == 200 else { throw CatalogueSync.Problem(message: "answered \(head.status)") }
        guard body.readableBytes <= Self.maxBytes else { throw CatalogueSync.Problem(message: "is larger than \(Self.maxBytes) bytes") }
        guard let list = PriceList(body), !list.isEmpty else {
            throw CatalogueSync.Problem(message: "is no list of prices in LiteLLM's form")
        }
        return list
    }
}
