import Config
import GatewayState
import Hummingbird
import RouterCore
import Storage

/// The request log.
struct LogHandlers: Sendable {
    let store: any LogStore
    let access: OrganizationAccess
    let snapshots: SnapshotHolder

    func all(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, OperationDescriptions.log)
        return try await page(try adminQuery(fields, fields.page()), fields, isAdmin: true)
    }

    func own(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, OperationDescriptions.ownLog)
        return try await page(try await ownQuery(fields, try context.user(), fields.page()), fields, isAdmin: false)
    }

    /// Sums over the whole log for an admin, over their own entries for other users.
    func statistics(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = QueryFields(request, OperationDescriptions.statistics)
        let wanted = try fields.integer("user_id")
        let sums = try await store.logStatistics(
            try query(fields, userID: user.role >= .admin ? wanted : user.id, PageRequest()))
        return Envelope.ok(
            .object([
                .init("requests", .integer(sums.requests)), .init("prompt_tokens", .integer(sums.promptTokens)),
                .init("completion_tokens", .integer(sums.completionTokens)), .init("cost", .usd(sums.cost)),
                .init("upstream_cost", .usd(sums.upstreamCost)),
            ]))
    }

    /// The caller's own requests, or those that an organisation has paid for, as far as the caller may see them.
    func ownQuery(_ fields: QueryFields, _ caller: User, _ page: PageRequest) async throws -> LogQuery {
        let wanted = try fields.integer("user_id")
        guard let organization = try fields.integer("organization_id") else { return try query(fields, userID: caller.id, page) }
        let member = try await access.member(wanted: wanted, in: organization, by: caller)
        var query = try query(fields, userID: member, page)
        query.accountID = organization
        return query
    }

    func adminQuery(_ fields: QueryFields, _ page: PageRequest) throws -> LogQuery {
        var query = try query(fields, userID: try fields.integer("user_id"), page)
        query.provider = fields.text("provider")
        return query
    }

    func query(_ fields: QueryFields, userID: Int64?, _ page: PageRequest) throws -> LogQuery {
        var query = LogQuery(userID: userID, page: page)
        query.outcome = try fields.choice("outcome", RequestRecord.Outcome.self)
        query.tokenID = try fields.integer("token_id")
        query.channelID = try fields.integer("channel_id")
        query.model = fields.text("model")
        query.from = try fields.integer("from")
        query.to = try fields.integer("to")
        if let text = fields.text("request_id") {
            guard let id = RouterCore.RequestID(text) else {
                throw ManagementError.invalid("request_id", Expected("a UUID", codes: ["uuid"]))
            }
            query.requestID = id
        }
        return query
    }

    /// By number, with the sum of all; or, with `before_id`, from a row on, without counting.
    private func page(_ query: LogQuery, _ fields: QueryFields, isAdmin: Bool) async throws -> Response {
        guard let before = try fields.integer("before_id") else {
            let rows = try await store.logs(query)
            let names = try await names(rows.items, isAdmin: isAdmin)
            return Envelope.page(rows.items.map { json($0, names) }, total: rows.total, (query.page.page, query.page.size))
        }
        let rows = try await store.logs(query, before: before == 0 ? .max : before)
        let names = try await names(rows.items, isAdmin: isAdmin)
        return Envelope.cursor(rows.items.map { json($0, names) }, nextBefore: rows.nextBefore)
    }

    private struct Names {
        var records: RecordNames
        /// nil = not for this reader.
        var channels: [Int64: String]?
    }

    private func names(_ rows: [LogRow], isAdmin: Bool) async throws -> Names {
        let users = isAdmin ? Set(rows.map(\.record.userID)) : []
        let names = try await store.names(tokens: Set(rows.compactMap(\.record.tokenID)), users: users)
        guard isAdmin else { return Names(records: names) }
        let channels = snapshots.snapshot.configuration.routes.channels.map { ($0.id, $0.name) }
        return Names(records: names, channels: Dictionary(channels) { first, _ in first })
    }

    /// The upstream calls. A single successful one is not stored separately, because the row describes it.
    private func attempts(_ record: RequestRecord, isAdmin: Bool) -> JSONValue {
        var list = record.attemptList
        if list.isEmpty, record.attempts == 1, let channel = record.channelID {
            list = [
                AttemptRecord(
                    channelID: channel, upstreamModel: record.upstreamModel, status: 200,
                    milliseconds: record.firstTokenMilliseconds ?? record.latencyMilliseconds)
            ]
        }
        return .array(
            list.map { attempt in
                var members: [JSONValue.Member] = [
                    .init("channel_id", .integer(attempt.channelID)), .init("upstream_model", .string(attempt.upstreamModel)),
                    .init("status", attempt.status.map { .integer($0) } ?? .null), .init("failure", .optional(attempt.kind?.rawValue)),
                    .init("ms", .integer(attempt.milliseconds)),
                    .init("billed_tokens", attempt.billedTokens.map { .integer($0) } ?? .null),
                    .init("upstream_cost", attempt.upstreamCost.map { .usd($0) } ?? .null),
                ]
                if isAdmin { members.append(.init("vendor_cost", attempt.cost.map { .usd($0.amount) } ?? .null)) }
                return .object(members)
            })
    }

    private func json(_ row: LogRow, _ names: Names) -> JSONValue {
        let record = row.record
        let usage = record.usage
        var members: [JSONValue.Member] = [
            .init("id", .integer(row.id)), .init("request_id", .string(record.requestID.description)),
            .init("user_id", .integer(record.userID)), .init("account_id", .integer(record.accountID)),
            .init("token_id", .integer(record.tokenID)),
            .init("channel_id", .integer(record.channelID)), .init("provider", .string(record.provider)),
            .init("model_name", .string(record.model)), .init("upstream_model", .string(record.upstreamModel)),
            .init("endpoint", .string(record.endpoint.rawValue)), .init("prompt_tokens", .integer(usage.promptTokens)),
            .init("completion_tokens", .integer(usage.completionTokens)), .init("cached_tokens", .integer(usage.cacheRead)),
            .init("cache_write_tokens", .integer(usage.cacheWrite5m + usage.cacheWrite1h)),
            .init("reasoning_tokens", .integer(usage.reasoning)), .init("images", .integer(usage.images)),
            .init("searches", .integer(usage.searches)), .init("characters", .integer(usage.characters)),
            .init("audio_milliseconds", .integer(usage.audioMilliseconds)),
            .init("image_input_tokens", .integer(usage.imageInput)), .init("service_tier", .optional(usage.serviceTier)),
        ]
        members += [
            .init("cost", .usd(record.charge ?? .zero)), .init("uncharged", .usd(record.uncharged)),
            .init("upstream_cost", usage.upstreamCost.map { .usd($0.roundedToNano) } ?? .null),
            .init("usage_source", .string(record.usageSource.rawValue)),
            .init("pricing_version", .integer(record.pricingVersion)), .init("outcome", .string(record.outcome.rawValue)),
            .init("status", .integer(record.status)), .init("error_code", .optional(record.errorCode)),
            .init("is_stream", .boolean(record.isStream)), .init("attempts", .integer(record.attempts)),
            .init("attempt_list", attempts(record, isAdmin: names.channels != nil)),
            .init("dropped_fields", .array(record.droppedFields.map { .string($0) })),
            .init("generation_id", .optional(record.generationID)), .init("answer_id", .optional(record.answerID)),
            .init("finish_reason", .optional(record.finish?.rawValue)),
            .init("latency_ms", .integer(record.latencyMilliseconds)),
            .init("first_token_ms", .integer(record.firstTokenMilliseconds)), .init("client_ip", .string(record.clientIP)),
            .init("created_at", .integer(record.createdAt)),
            .init("token_name", .optional(record.tokenID.flatMap { names.records.tokens[$0] })),
        ]
        if let channels = names.channels {
            members += [
                .init("channel_name", .optional(record.channelID.flatMap { channels[$0] })),
                .init("username", .optional(names.records.users[record.userID])),
                .init("vendor_cost", record.knownCost.map { .usd($0.amount) } ?? .null),
                .init("vendor_cost_source", .optional(record.knownCost?.source.rawValue)),
                .init("margin", record.margin.map { .usd($0) } ?? .null),
            ]
        }
        return .object(members)
    }
}
