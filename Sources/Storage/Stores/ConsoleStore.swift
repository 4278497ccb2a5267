/// Channels, providers and sealed secrets that people enter in the console. Every change is announced to the other gateways of the database
/// (``StoreChange/Topic/channels``) and takes its row of `audit_log` with it.
public protocol ConsoleStore: Sendable {
    /// All of them, by kind, then by id or name.
    func consoleRows() async throws -> [ConsoleRow]
    func consoleRow(_ key: ConsoleRow.Key) async throws -> ConsoleRow?
    /// An id for a new channel, which is never given again, even if the channel is deleted: logs go on naming it.
    /// - Parameter taken: ids of channels in files.
    func claimConsoleChannelID(avoiding taken: Set<Int64>) async throws -> Int64
    /// - Throws: ``StoreError/duplicate(_:)`` (`id` or `name`).
    func addConsoleRow(_ row: ConsoleRow, audit: AuditEntry) async throws
    /// Replaces contents and seal. - Throws: ``StoreError/notFound``, ``StoreError/conflict(_:)`` when the row has another version.
    func changeConsoleRow(_ row: ConsoleRow, audit: AuditEntry) async throws
    /// A channel goes with its operator's switch. - Throws: ``StoreError/notFound``.
    /// - Parameter keepsSwitch: for a channel whose id a file's channel has as well: the switch is that channel's.
    func removeConsoleRow(_ key: ConsoleRow.Key, keepsSwitch: Bool, audit: AuditEntry) async throws
    /// Replaces the seals of these rows and a setting, all or nothing.
    /// - Throws: ``StoreError/conflict(_:)`` when one of them has changed since it was read.
    func resealConsole(_ rows: [ConsoleRow], setting: (key: String, value: String), audit: AuditEntry) async throws
}

extension ConsoleStore {
    public func removeConsoleRow(_ key: ConsoleRow.Key, audit: AuditEntry) async throws {
        try await removeConsoleRow(key, keepsSwitch: false, audit: audit)
    }
}
