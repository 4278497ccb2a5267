import HTTPTypes
import Hummingbird
import Metering
import NIOCore
import RouterCore
import Storage

/// Whole tables as CSV, page by page: the memory that it takes does not depend on how many rows there are, and a slow reader holds up
/// nobody.
struct ExportHandlers: Sendable {
    let store: any LogStore & UsageStore & Ledger
    let logs: LogHandlers
    let meter: Meter

    static let rowCount = HTTPField.Name("X-Row-Count")!
    /// Rows that are read at a time.
    private static let page = PageRequest(page: 1, size: 1_000)

    func allLogs(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, ExportDescriptions.logs)
        return try await logs(try logs.adminQuery(fields, Self.page))
    }

    func ownLogs(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, ExportDescriptions.ownLogs)
        return try await logs(try logs.query(fields, userID: try context.user().id, Self.page))
    }

    private func logs(_ query: LogQuery) async throws -> Response {
        Self.stream(
            "log", most: try await store.mostLogs(query), header: Self.logColumns,
            page: { [store] before in try await store.logs(query, before: before) }, line: Self.line)
    }

    func transactions(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let caller = try context.user()
        let query = try BalanceHandlers.query(QueryFields(request, ExportDescriptions.transactions), caller)
        if query.userID == caller.id { await meter.waitPosted(caller.id) }
        return Self.stream(
            "transactions", most: try await store.mostEntries(query),
            header: ["id", "user_id", "type", "amount", "balance_after", "reference_id", "description", "created_at"],
            page: { [store] before in try await store.entries(query, before: before, size: Self.page.size) }, line: Self.line)
    }

    // MARK: Rows

    private static let logColumns = [
        "id", "request_id", "created_at", "user_id", "token_id", "channel_id", "provider", "model", "upstream_model", "endpoint",
        "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost", "upstream_cost", "usage_source", "outcome",
        "status", "error_code", "is_stream", "attempts", "latency_ms", "first_token_ms", "finish_reason", "generation_id", "client_ip",
    ]

    private static func line(_ row: LogRow) -> String {
        let record = row.record
        return CSV.line([
            .number(row.id), .digits(record.requestID.description), .number(record.createdAt), .number(record.userID),
            .number(record.tokenID), .number(record.channelID), .text(record.provider), .text(record.model), .text(record.upstreamModel),
            .text(record.endpoint.rawValue), .number(record.usage.promptTokens), .number(record.usage.completionTokens),
            .number(record.usage.cacheRead), .number(record.usage.reasoning), .digits((record.charge ?? .zero).usdText),
            .digits(record.usage.upstreamCost?.roundedToNano.usdText), .text(record.usageSource.rawValue), .text(record.outcome.rawValue),
            .number(record.status), .text(record.errorCode), .digits(record.isStream ? "true" : "false"), .number(record.attempts),
            .number(record.latencyMilliseconds), .number(record.firstTokenMilliseconds), .text(record.finish?.rawValue),
            .text(record.generationID), .text(record.clientIP),
        ])
    }

    private static func line(_ entry: LedgerEntry) -> String {
        CSV.line([
            .number(entry.id), .number(entry.userID), .text(entry.kind.rawValue), .digits(entry.amount.usdText),
            .digits(entry.balanceAfter.usdText), .text(entry.referenceID), .text(entry.description), .number(entry.createdAt),
        ])
    }

    /// - Parameter most: no fewer than the rows that will come.
    private static func stream<Row: Sendable>(
        _ name: String, most: Int64, header: [String], page: @escaping @Sendable (Int64) async throws -> CursorPage<Row>,
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
                try await writer.write(ByteBuffer(string: header.joined(separator: ",") + "\r\n"))
                var before: Int64? = .max
                while let end = before {
                    let rows = try await page(end)
                    var bytes = ByteBuffer()
                    for row in rows.items { bytes.writeString(line(row)) }
                    if bytes.readableBytes > 0 { try await writer.write(bytes) }
                    before = rows.nextBefore
                }
                try await writer.finish(nil)
            })
    }
}
