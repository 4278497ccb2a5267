import Hummingbird
import NIOCore
import RouterCore
import Storage

/// The audit log.
struct AuditHandlers: Sendable {
    let store: any AdminStore

    /// `GET /api/audit`: rows of `audit_log`, newest first, by page or by cursor. Only root may read it, because it records the admins'
    /// actions.
    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = QueryFields(request, OperationDescriptions.audit)
        let page = try query.page()
        guard let before = try query.integer("before_id") else {
            if let name = ["actor_id", "action", "from", "to"].first(where: { query.text($0) != nil }) {
                throw ManagementError.badRequest("'\(name)' goes with 'before_id' (0 = from the newest row on)")
            }
            let rows = try await store.auditRows(page)
            return Envelope.page(rows.items.map(json), total: rows.total, (page.page, page.size))
        }
        let (from, to) = (try query.integer("from") ?? 0, try query.integer("to") ?? .max)
        guard from <= to else { throw ManagementError.badRequest("'from' must not be behind 'to'") }
        var rows = try await store.auditRows(
            AuditQuery(
                beforeID: before > 0 ? before : nil, actorID: try query.integer("actor_id"), action: query.text("action"),
                range: from..<to), limit: page.size + 1)
        let hasMore = rows.count > page.size
        if hasMore { rows.removeLast() }
        return Envelope.ok(
            .object([
                .init("items", .array(rows.map(json))), .init("next_before_id", hasMore ? .integer(rows.last?.id) : .null),
            ]))
    }

    private func json(_ row: AuditRow) -> JSONValue {
        .object([
            .init("id", .integer(row.id)), .init("actor_id", .integer(row.actorID)), .init("actor_name", .optional(row.actorName)),
            .init("action", .string(row.action)),
            // Rows written by older versions may contain any text.
            .init("detail", (try? JSONValue(parsing: ByteBuffer(string: row.detail))) ?? .string(row.detail)),
            .init("client_ip", .string(row.clientIP)), .init("created_at", .integer(row.createdAt)),
        ])
    }
}
