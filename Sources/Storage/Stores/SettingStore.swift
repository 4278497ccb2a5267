/// Small values by key.
public protocol SettingStore: Sendable {
    func setting(_ key: String) async throws -> String?
    /// - Parameter audit: for what somebody has asked for; nil = the program's own doing.
    func setSetting(_ key: String, _ value: String, audit: AuditEntry?) async throws
    /// Sets what is not set yet. - Returns: what is set now.
    func claimSetting(_ key: String, _ value: String) async throws -> String
}

extension SettingStore {
    public func setSetting(_ key: String, _ value: String) async throws { try await setSetting(key, value, audit: nil) }
}
