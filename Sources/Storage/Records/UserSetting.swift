/// Settings that users make for themselves; they end with their user.
public enum UserSetting: String, Sendable, CaseIterable {
    /// The balance in nano-dollars below which the user wants to be told; 0 = never.
    case lowBalance = "low_balance"

    /// The name for ``SettingStore``.
    public func key(_ userID: Int64) -> String { "user.\(userID).\(rawValue)" }
}
