import Config
package import GatewayState
package import RouterCore
import Storage

/// Where a file or a batch is: a channel, and the one of its keys that made it. Objects of a vendor belong to the account of a key.
package struct BatchPlace: Sendable {
    package var channel: SharedChannel
    package var provider: any Provider
    package var key: Secret?

    /// - Returns: nil when the channel, or the key, is no longer configured.
    package init?(channelID: Int64, keyMark: String, in snapshot: GatewaySnapshot) {
        guard let channel = snapshot.configuration.routes.channel(id: channelID), let provider = snapshot.provider(of: channel) else {
            return nil
        }
        let keys: [Secret?] = channel.keys.isEmpty ? [nil] : channel.keys
        guard let key = keys.first(where: { Self.mark($0) == keyMark }) else { return nil }
        self.init(channel: SharedChannel(channel), provider: provider, key: key)
    }

    package init(channel: SharedChannel, provider: any Provider, key: Secret?) {
        self.channel = channel
        self.provider = provider
        self.key = key
    }

    package var keyMark: String { Self.mark(key) }

    /// Recognises a key without telling it: the beginning of its SHA-256.
    static func mark(_ key: Secret?) -> String {
        guard let key else { return "none" }
        let digits = Array("0123456789abcdef")
        return TokenSecrets.hash("apirouter key mark:" + key.reveal()).prefix(8)
            .reduce(into: "") { $0 += [digits[Int($1 >> 4)], digits[Int($1 & 15)]] }
    }
}
