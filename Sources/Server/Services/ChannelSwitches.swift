import GatewayState
import Logging
import RouterCore
import Storage

/// Channels that operators have switched off at run time. Stored in `settings`, so that a restart does not undo it.
struct ChannelSwitches: Sendable {
    let store: any AdminStore
    let health: HealthRegistry

    private static func key(_ channelID: Int64) -> String { "channel.\(channelID).switch" }

    /// The channel whose switch a setting is; nil = it is another setting.
    static func channelID(setting: String) -> Int64? {
        guard setting.hasPrefix("channel."), setting.hasSuffix(".switch") else { return nil }
        return Int64(setting.dropFirst("channel.".count).dropLast(".switch".count))
    }

    /// Called at start-up, and for channels that a reload adds.
    func load(_ channelIDs: [Int64]) async throws {
        for id in channelIDs {
            guard let text = try await store.setting(Self.key(id)), let value = OperatorSwitch(rawValue: text) else { continue }
            health.set(value, channelID: id)
        }
    }

    /// Takes effect at once, also for requests that have already been planned. "On" also clears the channel's cool-downs. A change that
    /// cannot be stored or audited is not made.
    func set(_ value: OperatorSwitch, _ channel: RouterCore.Channel, audit: AuditEntry) async throws {
        try await store.setSetting(Self.key(channel.id), value.rawValue, audit: audit)
        health.set(value, channelID: channel.id)
        if value == .on { health.clear(channel) }
    }
}
