import Config
import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage

/// Sums of the log over time, and who has the most of it.
struct StatsHandlers: Sendable {
    let store: any UsageStore & LogStore
    let access: OrganizationAccess
    let snapshots: SnapshotHolder
    let clock: ServerClock

    // MARK: Series

    func series(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, StatsDescriptions.series)
        let caller = try context.user()
        let buckets = try buckets(fields)
        let filter = try await filter(fields, caller)
        let dimension = try dimension(fields)
        let top = Int(try fields.integer("top") ?? 8)
        let total = try await store.usage(UsageQuery([buckets.range], filter: filter)).first?.sums ?? UsageSums()
        let series = try await series(buckets, filter, by: dimension, top: top, caller)
        return Envelope.ok(
            .object([
                .init("from", .integer(buckets.range.lowerBound)), .init("to", .integer(buckets.range.upperBound)),
                .init("bucket", .string((try fields.choice("bucket", TimeBuckets.Unit.self) ?? .day).rawValue)),
                .init("tz", .string(fields.text("tz") ?? "UTC")),
                .init("starts", .array(buckets.ranges.map { .integer($0.lowerBound) })), .init("series", .array(series)),
                .init("total", Self.json(total: total, showsCost: caller.role >= .admin)),
            ]))
    }

    private func series(
        _ buckets: TimeBuckets, _ filter: UsageFilter, by dimension: UsageDimension?, top: Int, _ caller: User
    ) async throws -> [JSONValue] {
        let count = buckets.ranges.count
        guard let dimension else {
            return [Self.json("all", nil, try await store.usage(UsageQuery(buckets.ranges, filter: filter, isWhole: false)), count)]
        }
        var best = try await store.usage(
            UsageQuery([buckets.range], filter: filter, by: dimension, top: .init(.cost, limit: top + 1), isWhole: false))
        let hasMore = best.count > top
        if hasMore { best.removeLast() }
        // A few users are found without the others; of channels and models, those that are not asked for are passed in any case.
        let isByUser = dimension == .user || dimension == .token
        let parts = try await store.usage(
            UsageQuery(
                buckets.ranges, filter: filter, by: dimension, keys: best, sumsRest: hasMore && !isByUser, isWhole: false))
        let byKey = Dictionary(grouping: parts.filter { !$0.isRest }, by: \.key)
        let names = try await names(best, dimension, caller)
        var series = best.map { Self.json($0.key, names[$0.key], byKey[$0.key] ?? [], count) }
        guard hasMore else { return series }
        var rest = parts.filter(\.isRest)
        if isByUser {
            rest = Self.rest(try await store.usage(UsageQuery(buckets.ranges, filter: filter, isWhole: false)), parts)
        }
        series.append(Self.json("other", nil, rest, count))
        return series
    }

    /// The part of the sums that is not in the parts.
    static func rest(_ sums: [UsageRow], _ parts: [UsageRow]) -> [UsageRow] {
        var rest = sums
        var places: [Int: Int] = [:]
        for (place, row) in sums.enumerated() { places[row.bucket] = place }
        for part in parts {
            // A request that was posted between the two questions may be in a part alone.
            guard let place = places[part.bucket] else { continue }
            rest[place].sums.requests = max(0, rest[place].sums.requests - part.sums.requests)
            rest[place].sums.errors = max(0, rest[place].sums.errors - part.sums.errors)
            rest[place].sums.promptTokens = max(0, rest[place].sums.promptTokens - part.sums.promptTokens)
            rest[place].sums.completionTokens = max(0, rest[place].sums.completionTokens - part.sums.completionTokens)
            rest[place].sums.charge = max(.zero, NanoUSD(nanos: rest[place].sums.charge.nanos - part.sums.charge.nanos))
        }
        return rest
    }

    private static func json(_ key: String, _ name: String?, _ rows: [UsageRow], _ count: Int) -> JSONValue {
        var sums = Array(repeating: UsageSums(), count: count)
        for row in rows { sums[row.bucket] = row.sums }
        return .object([
            .init("key", .string(key)), .init("name", .optional(name)), .init("requests", .array(sums.map { .integer($0.requests) })),
            .init("errors", .array(sums.map { .integer($0.errors) })), .init("cost", .array(sums.map { .usd($0.charge) })),
            .init("prompt_tokens", .array(sums.map { .integer($0.promptTokens) })),
            .init("completion_tokens", .array(sums.map { .integer($0.completionTokens) })),
        ])
    }

    private static func json(total sums: UsageSums, showsCost: Bool) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("requests", .integer(sums.requests)), .init("errors", .integer(sums.errors)), .init("cost", .usd(sums.charge)),
            .init("prompt_tokens", .integer(sums.promptTokens)), .init("completion_tokens", .integer(sums.completionTokens)),
            .init("cached_tokens", .integer(sums.cachedTokens)),
            .init("first_token_p50", .integer(sums.firstToken.percentile(50))),
            .init("first_token_p95", .integer(sums.firstToken.percentile(95))),
            .init("latency_p50", .integer(sums.latency.percentile(50))), .init("latency_p95", .integer(sums.latency.percentile(95))),
        ]
        if showsCost { members.insert(contentsOf: cost(sums), at: 3) }
        return .object(members)
    }

    /// For admins.
    private static func cost(_ sums: UsageSums) -> [JSONValue.Member] {
        [
            .init("upstream_cost", .usd(sums.upstreamCost)), .init("vendor_cost", .usd(sums.cost)), .init("margin", .usd(sums.margin)),
            .init("requests_without_cost", .integer(sums.uncosted)),
        ]
    }

    // MARK: Lists

    func top(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, StatsDescriptions.top)
        let caller = try context.user()
        let (from, to) = try time(fields)
        let range = try Self.checked { () throws(TimeBuckets.Problem) in try TimeBuckets.range(from: from, to: to) }
        let filter = try await filter(fields, caller)
        guard let dimension = try dimension(fields) else {
            throw ManagementError.invalid("by", .oneOf(UsageDimension.self))
        }
        let order = try fields.choice("sort", UsageQuery.Order.self) ?? .cost
        let limit = Int(try fields.integer("limit") ?? 10)
        let best = try await store.usage(
            UsageQuery([range], filter: filter, by: dimension, top: .init(order, limit: limit), isWhole: false))
        // Percentiles are summed up for those alone that are shown.
        let whole = try await store.usage(UsageQuery([range], filter: filter, by: dimension, keys: best))
        let byKey = Dictionary(uniqueKeysWithValues: whole.map { ($0.key, $0) })
        let rows = best.compactMap { byKey[$0.key] }
        let names = try await names(rows, dimension, caller)
        return Envelope.ok(
            .array(
                rows.map { row in
                    let sums = row.sums
                    var members: [JSONValue.Member] = [
                        .init("key", .string(row.key)), .init("name", .optional(names[row.key])),
                        .init("requests", .integer(sums.requests)), .init("errors", .integer(sums.errors)),
                        .init("cost", .usd(sums.charge)), .init("tokens", .integer(sums.tokens)),
                        .init("first_token_p50", .integer(sums.firstToken.percentile(50))),
                        .init("latency_p50", .integer(sums.latency.percentile(50))),
                    ]
                    if caller.role >= .admin { members.insert(contentsOf: Self.cost(sums), at: 5) }
                    return .object(members)
                }))
    }

    // MARK: Parameters

    /// By default the last seven days.
    private func time(_ fields: QueryFields) throws -> (from: Int64, to: Int64) {
        let to = try fields.integer("to") ?? clock.unixSeconds
        return (try fields.integer("from") ?? to - 7 * 86_400, to)
    }

    private func buckets(_ fields: QueryFields) throws -> TimeBuckets {
        let (from, to) = try time(fields)
        let unit = try fields.choice("bucket", TimeBuckets.Unit.self) ?? .day
        let zone = fields.text("tz") ?? "UTC"
        return try Self.checked { () throws(TimeBuckets.Problem) in try TimeBuckets(from: from, to: to, unit: unit, zone: zone) }
    }

    static func checked<Value>(_ body: () throws(TimeBuckets.Problem) -> Value) throws(ManagementError) -> Value {
        do throws(TimeBuckets.Problem) {
            return try body()
        } catch {
            switch error {
            case .unknownZone:
                throw ManagementError.invalid(
                    "tz", Expected("the IANA name of a time zone, such as Europe/Berlin, or UTC", codes: ["time_zone"]))
            case .order: throw ManagementError.invalid("from", Expected("a time before 'to'", codes: ["unix_seconds", "max:to"]))
            case .tooMany:
                throw ManagementError.invalid(
                    "bucket",
                    Expected(
                        "such that there are at most \(TimeBuckets.most) of them between 'from' and 'to'",
                        codes: ["max_items:\(TimeBuckets.most)"]))
            case .oddZone:
                throw ManagementError.invalid(
                    "tz", Expected("a zone that is whole quarter hours away from UTC at that time", codes: ["time_zone"]))
            }
        }
    }

    /// nil = nothing is told apart.
    private func dimension(_ fields: QueryFields) throws -> UsageDimension? {
        if fields.text("by") == "none" { return nil }
        return try fields.choice("by", UsageDimension.self)
    }

    /// Users see their own requests only, and admins those of everybody, unless they ask for less.
    private func filter(_ fields: QueryFields, _ caller: User) async throws -> UsageFilter {
        let scope = fields.text("scope") ?? ""
        guard scope.isEmpty || scope == "self" else {
            throw ManagementError.invalid("scope", Expected("self, or left out", codes: ["self", "absent"]))
        }
        if let organization = try fields.integer("organization_id") {
            let member = try await access.member(wanted: try fields.integer("user_id"), in: organization, by: caller)
            if let by = try dimension(fields), [.channel, .provider].contains(by) {
                throw ManagementError.invalid(
                    "by", Expected("model, token or user for an organization", codes: ["model", "token", "user"]))
            }
            for name in ["channel_id", "provider"] where fields.text(name) != nil {
                throw ManagementError.invalid(name, Expected("left out for an organization", codes: ["absent"]))
            }
            return UsageFilter(
                userID: member, tokenID: try fields.integer("token_id"), model: fields.text("model"), accountID: organization)
        }
        let isOwn = caller.role < .admin || scope == "self"
        let wanted = try fields.integer("user_id")
        var filter = UsageFilter(
            userID: isOwn ? caller.id : wanted, tokenID: try fields.integer("token_id"), channelID: try fields.integer("channel_id"),
            provider: fields.text("provider"), model: fields.text("model"))
        if let token = filter.tokenID, filter.userID == nil {
            // The sums are in the order of users. The key of one who is gone is looked for among all.
            filter.userID = try await store.names(tokens: [token], users: []).owners[token]
        }
        return filter
    }

    /// Names for the keys of rows; a model's or a provider's key is its name. Channels have names for admins only.
    private func names(_ rows: [UsageRow], _ dimension: UsageDimension, _ caller: User) async throws -> [String: String] {
        let ids = Set(rows.compactMap { Int64($0.key) }).subtracting([0])
        var names: [Int64: String] = [:]
        switch dimension {
        case .model, .provider: return Dictionary(uniqueKeysWithValues: rows.map { ($0.key, $0.key) })
        case .token: names = try await store.names(tokens: ids, users: []).tokens
        case .user: names = try await store.names(tokens: [], users: ids).users
        case .channel where caller.role >= .admin:
            for channel in snapshots.snapshot.configuration.routes.channels { names[channel.id] = channel.name }
        case .channel: break
        }
        return Dictionary(uniqueKeysWithValues: ids.compactMap { id in names[id].map { ("\(id)", $0) } })
    }
}
