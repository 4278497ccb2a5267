/// The health records of failing channels, for the next start and for people who look into the database.
public protocol HealthStore: Sendable {
    /// Replaces everything that is stored. `now` in Unix seconds.
    func saveHealth(_ rows: [ChannelHealthRow], now: Int64) async throws
    func loadHealth() async throws -> [ChannelHealthRow]
}
