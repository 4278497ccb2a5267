/// The record of who did what.
public protocol AuditStore: Sendable {
    /// For what changes nothing in the database. A change takes its entry with it.
    func audit(_ entry: AuditEntry) async throws
    /// Newest first.
    func auditRows(_ page: PageRequest) async throws -> Page<AuditRow>
    /// Newest first, with the names of the actors, from an id on downwards.
    func auditRows(_ query: AuditQuery, limit: Int) async throws -> [AuditRow]
}
