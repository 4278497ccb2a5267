import Hummingbird
import RouterCore
import Storage

/// Reports on the ledger: charges by our own count, and margins.
struct LedgerHandlers: Sendable {
    let store: any LogStore & ReconciliationStore

    /// `GET /api/ledger/unreconciled?state=`: charges by our own count that the vendor has not confirmed: `pending` (the vendor will be
    /// asked), `unresolved` (it cannot be asked, or had no record). `state=resolved` shows those that were corrected.
    func unreconciled(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = QueryFields(request, MoneyDescriptions.unreconciled)
        let page = try query.page()
        let state = try query.choice("state", ReconciliationRow.State.self)
        let rows = try await store.reconciliations(state, open: state == nil, page)
        return Envelope.page(rows.items.map(json), total: rows.total, (page.page, page.size))
    }

    private func json(_ row: ReconciliationRow) -> JSONValue {
        .object([
            .init("request_id", .string(row.requestID.description)), .init("user_id", .integer(row.userID)),
            .init("channel_id", .integer(row.channelID)), .init("provider", .string(row.provider)),
            .init("model", .string(row.model)), .init("generation_id", .optional(row.generationID)),
            .init("charge", .usd(row.charge)), .init("state", .string(row.state.rawValue)), .init("tries", .integer(row.tries)),
            .init("next_at", row.state == .pending ? .integer(row.nextAt) : .null), .init("note", .string(row.note)),
            .init("created_at", .integer(row.createdAt)),
        ])
    }

    /// `GET /api/ledger/margin?from=&to=` (Unix seconds): charges and costs by model and channel.
    func margin(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = QueryFields(request, MoneyDescriptions.margin)
        let from = try query.integer("from") ?? 0
        let to = try query.integer("to") ?? .max
        guard from <= to else {
            throw ManagementError.invalid("from", Expected("at most 'to'", codes: ["max:to"]), message: "'from' must not be behind 'to'")
        }
        let rows = try await store.margins(in: from..<to)
        return Envelope.ok(
            .array(
                rows.map { row in
                    .object([
                        .init("model", .string(row.model)), .init("channel_id", .integer(row.channelID)),
                        .init("requests", .integer(row.requests)), .init("charged", .usd(row.charged)),
                        .init("upstream_cost", .usd(row.upstreamCost)), .init("vendor_cost", .usd(row.cost)),
                        .init("requests_without_cost", .integer(row.unknownCost)),
                        .init("charged_without_cost", .usd(row.unknownCharge)), .init("margin", .usd(row.margin)),
                    ])
                }))
    }
}
