import Storage

extension FaultyStore {
    func consoleRows() async throws -> [ConsoleRow] { try await faults.guarding { try await store.consoleRows() } }
    func consoleRow(_ key: ConsoleRow.Key) async throws -> ConsoleRow? {
        try await faults.guarding { try await store.consoleRow(key) }
    }
    func claimConsoleChannelID(avoiding taken: Set<Int64>) async throws -> Int64 {
        try await faults.guarding { try await store.claimConsoleChannelID(avoiding: taken) }
    }
    func addConsoleRow(_ row: ConsoleRow, audit: AuditEntry) async throws {
        try await faults.guarding { try await store.addConsoleRow(row, audit: audit) }
    }
    func changeConsoleRow(_ row: ConsoleRow, audit: AuditEntry) async throws {
        try await faults.guarding { try await store.changeConsoleRow(row, audit: audit) }
    }
    func removeConsoleRow(_ key: ConsoleRow.Key, keepsSwitch: Bool, audit: AuditEntry) async throws {
        try await faults.guarding { try await store.removeConsoleRow(key, keepsSwitch: keepsSwitch, audit: audit) }
    }
    func resealConsole(_ rows: [ConsoleRow], setting: (key: String, value: String), audit: AuditEntry) async throws {
        try await faults.guarding { try await store.resealConsole(rows, setting: setting, audit: audit) }
    }
}
