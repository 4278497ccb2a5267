/// What is known of channels that are not well, for people who look into the database and for the next start.
public protocol HealthStore: Sendable {
    /// Replaces everything that is stored. `now` in Unix seconds.
    func saveHealth(_ rows: [ChannelHealthRow], now: Int64) async throws
    func loadHealth() async throws -> [ChannelHealthRow]
}
