import Config
import Foundation
import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage
import Vendors

/// Prices as an admin looks after them: what they were, which models have none, and what lists would change.
struct PriceReviewHandlers: Sendable {
    let snapshots: SnapshotHolder
    let store: any PricingStore & AdminStore
    let vendors: VendorClient
    let reloader: ConfigurationReloader
    let pricing: PricingHandlers
    let clock: ServerClock

    private static let mostVersions = 200
    private static let mostModels = 1_000

    /// `GET /api/pricing/history?model=`
    func history(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let model = QueryFields(request, PriceReviewDescriptions.history).text("model") else {
            throw ManagementError.invalid("model", Expected("the public name of a model", codes: ["model_name"]))
        }
        let rows = try await storing("price") { try await store.priceHistory(model, limit: Self.mostVersions) }
        return Envelope.ok(.array(rows.map(pricing.pastJSON)))
    }

    /// `GET /api/pricing/missing`: models that an enabled channel would serve if they had a price.
    func missing(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let snapshot = snapshots.snapshot
        var found: [String: (channels: [String], reason: String)] = [:]
        for channel in snapshot.configuration.routes.channels where channel.isEnabled {
            var models: [(name: String, upstream: String, reason: String)] = []
            for model in channel.models where !model.pattern.contains("*") {
                models.append((model.pattern, model.upstream ?? model.pattern, "the channel names it, and nobody has priced it"))
            }
            for model in channel.provider.models where channel.takesAny(model.id) {
                models.append((model.id, model.id, "the provider's file lists it without a price"))
            }
            for model in snapshot.catalogue.models(of: channel.provider.name) where channel.takesAny(model) {
                models.append((model, model, "the vendor's list names it without a price"))
            }
            for model in models {
                let group = channel.groups.sorted().first ?? "default"
                guard snapshot.offer(channel, model: model.name, upstream: model.upstream, group: group) == nil else { continue }
                if found[model.name]?.channels.contains(channel.name) == true { continue }
                found[model.name, default: ([], model.reason)].channels.append(channel.name)
            }
        }
        return Envelope.ok(
            .array(
                found.sorted { $0.key < $1.key }.prefix(Self.mostModels).map { name, row in
                    .object([
                        .init("model", .string(name)), .init("channels", .array(row.channels.map { .string($0) })),
                        .init("reason", .string(row.reason)),
                    ])
                }))
    }

    /// `POST /api/pricing/sync`: asks vendors' lists and the price list; writes only with `apply`.
    func sync(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, PriceReviewDescriptions.sync)
        let isApplied = try fields.boolean("apply") ?? false
        let models = try fields.strings("models").map { Set($0) }
        guard isApplied || models == nil else {
            throw ManagementError.invalid(
                "models", Expected("left out without 'apply': true", codes: ["absent"]),
                message: "'models' says which changes are taken, so it needs 'apply': true")
        }
        if isApplied {
            let names = models.map { JSONValue.integer($0.count) } ?? .null
            try await store.audit(try context.audit("models.sync", at: clock.unixSeconds, [.init("models", names)]))
        }
        let outcomes = try await storing("price") {
            try await CatalogueSync.asked(
                snapshots.snapshot, store: store, client: vendors, models: models, isDryRun: !isApplied, now: clock.unixSeconds)
        }
        if isApplied { try await storing("price") { try await reloader.catalogueChanged() } }
        return Envelope.ok(answer(outcomes))
    }

    private func answer(_ outcomes: [CatalogueSync.Outcome]) -> JSONValue {
        var changes: [JSONValue] = []
        var new: [JSONValue] = []
        var held: [JSONValue] = []
        var problems: [JSONValue] = []
        for outcome in outcomes {
            if let problem = outcome.problem {
                problems.append(["provider": .string(outcome.provider), "message": .string(problem)])
            }
            for change in outcome.diff.changed { changes += change.fields.map { Self.change(change.row, $0, outcome.provider) } }
            for row in outcome.diff.new { new.append(pricing.json(row)) }
            for change in outcome.diff.held {
                held.append([
                    "model": .string(change.row.modelName), "provider": .string(outcome.provider),
                    "changes": .string(change.fields.joined(separator: "; ")),
                ])
            }
        }
        return .object([
            .init("changes", .array(changes)), .init("new_models", .array(new)), .init("held", .array(held)),
            .init("problems", .array(problems)), .init("written", .integer(outcomes.reduce(0) { $0 + $1.written })),
        ])
    }

    /// - Parameter text: `input 0.5 → 0.6`, in USD per million tokens or per unit.
    private static func change(_ row: PricingRow, _ text: String, _ provider: String) -> JSONValue {
        let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        let values = parts.count > 1 ? String(parts[1]).components(separatedBy: " → ") : []
        return [
            "model": .string(row.modelName), "provider": .string(provider), "field": .string(String(parts.first ?? "")),
            "old": .string(values.first ?? ""), "new": .string(values.dropFirst().joined(separator: " → ")),
        ]
    }
}
