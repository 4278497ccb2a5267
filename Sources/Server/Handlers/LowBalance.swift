import NIOCore
import RouterCore
import Storage

/// The notice that a user's money runs out: the balance is below a threshold that users set for themselves.
struct LowBalance: Sendable {
    let store: any SettingStore

    /// Where the user has said nothing: one dollar.
    static let usual = NanoUSD(nanos: 1_000_000_000)
    /// A billion dollars, below which every balance is.
    static let largest = NanoUSD(nanos: 1_000_000_000 * 1_000_000_000)

    /// - Returns: zero for a user who does not want to be told.
    func threshold(_ userID: Int64) async throws -> NanoUSD {
        guard let text = try await store.setting(UserSetting.lowBalance.key(userID)), let nanos = Int64(text) else { return Self.usual }
        return NanoUSD(nanos: nanos)
    }

    /// - Parameter threshold: nil = the usual one again.
    func set(_ threshold: NanoUSD?, of userID: Int64, audit: AuditEntry) async throws {
        try await store.setSetting(UserSetting.lowBalance.key(userID), threshold.map { "\($0.nanos)" } ?? "", audit: audit)
    }

    /// - Parameter json: the user, as answers have it; the notice is added.
    func noted(_ json: JSONValue, _ user: User) async throws -> JSONValue {
        guard case .object(let members) = json else { return json }
        let threshold = try await threshold(user.id)
        let isLow = threshold.isPositive && user.balance < threshold
        return .object(members + [.init("low_balance", .boolean(isLow)), .init("low_balance_threshold", .usd(threshold))])
    }
}
