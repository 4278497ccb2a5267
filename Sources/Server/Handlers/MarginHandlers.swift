import Config
import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage

/// The earnings of calls: their charges less what vendors bill us for them.
struct MarginHandlers: Sendable {
    let store: any UsageStore
    let snapshots: SnapshotHolder
    let clock: ServerClock

    /// `GET /api/margin?by=`: from the sums of the log, so that it takes no longer with a longer log.
    func margin(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, MarginDescriptions.margin)
        let dimension = try fields.choice("by", MarginQuery.Dimension.self) ?? .model
        let to = try fields.integer("to") ?? clock.unixSeconds
        let from = try fields.integer("from") ?? to - 7 * 86_400
        let filter = UsageFilter(
            channelID: try fields.integer("channel_id"), provider: fields.text("provider"), model: fields.text("model"))
        let rows = try await query(dimension, from, to, filter).rows(store)
        let names = dimension == .channel ? channelNames : [:]
        return Envelope.ok(.array(rows.map { Self.json($0, name: dimension == .channel ? names[$0.key] : $0.key) }))
    }

    private func query(_ dimension: MarginQuery.Dimension, _ from: Int64, _ to: Int64, _ filter: UsageFilter) throws -> MarginQuery {
        do {
            return try MarginQuery(by: dimension, from: from, to: to, filter: filter)
        } catch TimeBuckets.Problem.tooMany {
            throw ManagementError.invalid("from", "at most \(MarginQuery.mostDays) days before 'to'")
        } catch is TimeBuckets.Problem {
            throw ManagementError.invalid("from", "a time before 'to'")
        }
    }

    private var channelNames: [String: String] {
        let channels = snapshots.snapshot.configuration.routes.channels.map { ("\($0.id)", $0.name) }
        return Dictionary(channels) { first, _ in first }
    }

    private static func json(_ row: UsageRow, name: String?) -> JSONValue {
        let sums = row.sums
        return .object([
            .init("key", .string(row.key)), .init("name", .optional(name)), .init("requests", .integer(sums.requests - sums.void)),
            .init("charged", .usd(sums.charge)), .init("upstream_cost", .usd(sums.upstreamCost)), .init("vendor_cost", .usd(sums.cost)),
            .init("margin", .usd(sums.margin)), .init("requests_without_cost", .integer(sums.uncosted)),
            .init("charged_without_cost", .usd(sums.uncostedCharge)),
        ])
    }
}
