import Gateway
import HTTPTypes
import Hummingbird
import Metering
import NIOCore
import RouterCore
import Storage
import Synchronization

/// Whole tables as CSV, page by page: the memory that it takes does not depend on how many rows there are, and a slow reader holds up
/// nobody.
struct ExportHandlers: Sendable {
    let store: any LogStore & UsageStore & Ledger
    let logs: LogHandlers
    let balance: BalanceHandlers
    let meter: Meter
    let places = ExportPlaces()

    static let rowCount = HTTPField.Name("X-Row-Count")!
    /// Rows that are read at a time.
    private static let page = PageRequest(page: 1, size: 1_000)

    func allLogs(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, ExportDescriptions.logs)
        return try await logs(try logs.adminQuery(fields, Self.page), context, showsCost: true)
    }

    func ownLogs(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, ExportDescriptions.ownLogs)
        return try await logs(try await logs.ownQuery(fields, try context.user(), Self.page), context, showsCost: false)
    }

    /// - Parameter showsCost: what calls cost us, and what is left of their charges, at the end of each row.
    private func logs(_ query: LogQuery, _ context: GatewayContext, showsCost: Bool) async throws -> Response {
        let place = try places.take(context.user().id)
        return Self.stream(
            "log", place, { [channel = context.channel] in await channel.clientHasLeft() }, most: try await store.mostLogs(query),
            header: Self.logColumns + (showsCost ? Self.costColumns : []),
            page: { [store] before in try await store.logs(query, before: before) }, line: { Self.line($0, showsCost: showsCost) })
    }

    func transactions(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let caller = try context.user()
        let query = try await balance.query(QueryFields(request, ExportDescriptions.transactions), caller)
        let place = try places.take(caller.id)
        if let account = query.accountID ?? (query.userID == caller.id ? caller.id : nil) { await meter.waitPosted(account) }
        return Self.stream(
            "transactions", place, { [channel = context.channel] in await channel.clientHasLeft() },
            most: try await store.mostEntries(query),
            header: [
                "id", "user_id", "type", "amount", "balance_after", "reference_id", "description", "created_at", "account_id", "source",
                "gift",
            ],
            page: { [store] before in try await store.entries(query, before: before, size: Self.page.size) },
            line: { Self.line($0, showsBalance: query.showsBalance) })
    }

    // MARK: Rows

    private static let logColumns = [
        "id", "request_id", "created_at", "user_id", "token_id", "channel_id", "provider", "model", "upstream_model", "endpoint",
        "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost", "upstream_cost", "usage_source", "outcome",
        "status", "error_code", "is_stream", "attempts", "latency_ms", "first_token_ms", "finish_reason", "generation_id", "client_ip",
        "account_id",
    ]

    private static let costColumns = ["vendor_cost", "vendor_cost_source", "margin"]

    private static func line(_ row: LogRow, showsCost: Bool) -> String {
        let record = row.record
        let cost: [CSV.Cell] =
            showsCost
            ? [
                .digits(record.knownCost?.amount.usdText), .text(record.knownCost?.source.rawValue), .digits(record.margin?.usdText),
            ] : []
        let cells: [CSV.Cell] = [
            .number(row.id), .digits(record.requestID.description), .number(record.createdAt), .number(record.userID),
            .number(record.tokenID), .number(record.channelID), .text(record.provider), .text(record.model), .text(record.upstreamModel),
            .text(record.endpoint.rawValue), .number(record.usage.promptTokens), .number(record.usage.completionTokens),
            .number(record.usage.cacheRead), .number(record.usage.reasoning), .digits((record.charge ?? .zero).usdText),
            .digits(record.usage.upstreamCost?.roundedToNano.usdText), .text(record.usageSource.rawValue), .text(record.outcome.rawValue),
            .number(record.status), .text(record.errorCode), .digits(record.isStream ? "true" : "false"), .number(record.attempts),
            .number(record.latencyMilliseconds), .number(record.firstTokenMilliseconds), .text(record.finish?.rawValue),
            .text(record.generationID), .text(record.clientIP), .number(record.accountID),
        ]
        return CSV.line(cells + cost)
    }

    private static func line(_ entry: LedgerEntry, showsBalance: Bool) -> String {
        CSV.line([
            .number(entry.id), .number(entry.userID), .text(entry.kind.rawValue), .digits(entry.amount.usdText),
            .digits(showsBalance ? entry.balanceAfter.usdText : nil), .text(entry.referenceID), .text(entry.description),
            .number(entry.createdAt),
            .number(entry.accountID), .text(entry.source), .digits(entry.gift?.usdText),
        ])
    }

    /// - Parameters:
    ///   - place: given back with the answer.
    ///   - isGone: whether the client has left; asked where there is nothing to write, which would tell.
    ///   - most: no fewer than the rows that will come.
    static func stream<Row: Sendable>(
        _ name: String, _ place: ExportPlaces.Place, _ isGone: @escaping @Sendable () async -> Bool, most: Int64, header: [String],
        page: @escaping @Sendable (Int64) async throws -> CursorPage<Row>,
        line: @escaping @Sendable (Row) -> String
    ) -> Response {
        var headers = HTTPFields()
        headers[.contentType] = "text/csv; charset=utf-8; header=present"
        headers[.contentDisposition] = "attachment; filename=\"\(name).csv\""
        headers[.cacheControl] = "no-store"
        headers[rowCount] = "\(most)"
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                defer { withExtendedLifetime(place) {} }
                try await writer.write(ByteBuffer(string: header.joined(separator: ",") + "\r\n"))
                var before: Int64? = .max
                while let end = before {
                    try Task.checkCancellation()
                    let rows = try await page(end)
                    var bytes = ByteBuffer()
                    for row in rows.items { bytes.writeString(line(row)) }
                    if bytes.readableBytes > 0 {
                        try await writer.write(bytes)
                    } else if await isGone() {
                        throw ClientGone()
                    }
                    before = rows.nextBefore
                }
                try await writer.finish(nil)
            })
    }
}

/// The exports that are under way: each reads the database page by page, for as long as its client takes them.
final class ExportPlaces: Sendable {
    /// Exports of one user at the same time.
    static let perUser = 2

    private let counts = Mutex<[Int64: Int]>([:])

    /// Given back with its last reference, so that an answer that is dropped unread gives it back as well.
    final class Place: Sendable {
        private let userID: Int64
        private let places: ExportPlaces

        fileprivate init(_ userID: Int64, _ places: ExportPlaces) {
            self.userID = userID
            self.places = places
        }

        deinit { places.giveBack(userID) }
    }

    /// - Throws: ``ManagementError``.
    func take(_ userID: Int64) throws -> Place {
        let isFree = counts.withLock { counts in
            let count = counts[userID] ?? 0
            guard count < Self.perUser else { return false }
            counts[userID] = count + 1
            return true
        }
        guard isFree else {
            throw ManagementError(
                .tooManyRequests, "\(Self.perUser) exports of this user are under way, as many as there may be; wait for one to end",
                headers: [.retryAfter: "5"])
        }
        return Place(userID, self)
    }

    private func giveBack(_ userID: Int64) {
        counts.withLock { counts in
            let left = (counts[userID] ?? 1) - 1
            counts[userID] = left > 0 ? left : nil
        }
    }
}
