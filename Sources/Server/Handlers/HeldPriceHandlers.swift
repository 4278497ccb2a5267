import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage
import Vendors

/// Prices of lists that wait for an admin's word.
struct HeldPriceHandlers: Sendable {
    let snapshots: SnapshotHolder
    let store: any PricingStore & AdminStore
    let reloader: ConfigurationReloader
    let pricing: PricingHandlers
    let clock: ServerClock

    private var held: HeldPriceList { HeldPriceList(snapshots.snapshot.configuration, store: store) }

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let items = try await storing("price") { try await held.all() }
        return Envelope.ok(
            .array(
                items.map { item in
                    .object([
                        .init("model_name", .string(item.row.modelName)), .init("provider", .string(item.row.provider)),
                        .init("source", .string(item.source)), .init("changes", .string(item.changes)),
                        .init("basis", .string(item.row.price.basis.rawValue)), .init("pricing_input", .usd(item.row.price.rates.input)),
                        .init("pricing_output", .usd(item.row.price.rates.output)),
                    ])
                }))
    }

    func accept(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, PriceDescriptions.accept)
        let name = try fields.requiredString("model_name")
        let audit = try context.audit("pricing.accept", at: clock.unixSeconds, [.init("model_name", .string(name))])
        let row = try await storing("price") { try await held.accept(name, now: clock.unixSeconds, audit: audit) }
        guard let row else { throw ManagementError.notFound("held price of '\(name)'") }
        try await storing("price") { try await reloader.catalogueChanged() }
        return Envelope.ok(pricing.json(row))
    }
}
