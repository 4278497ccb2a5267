import Hummingbird
import NIOCore
import RouterCore
import Storage

/// The audit log.
struct AuditHandlers: Sendable {
    let store: any AdminStore

    /// `GET /api/audit?page=&page_size=`: rows of `audit_log`, newest first. Only root may read it, because it records the admins' actions.
    func list(
        _ request: Request, _ context: GatewayContext
    ) async throws
        -> Response
    {
        let page = try QueryFields(request, OperationDescriptions.audit).page()
        let rows = try await store.auditRows(page)
        return Envelope.page(rows.items.map(json), total: rows.total, (page.page, page.size))
    }

    private func json(_ row: AuditRow) -> JSONValue {
        .object([
            .init("id", .integer(row.id)), .init("actor_id", .integer(row.actorID)),
            .init("action", .string(row.action)),
            // Rows written by older versions may contain any text.
            .init("detail", (try? JSONValue(parsing: ByteBuffer(string: row.detail))) ?? .string(row.detail)),
            .init("client_ip", .string(row.clientIP)), .init("created_at", .integer(row.createdAt)),
        ])
    }
}
