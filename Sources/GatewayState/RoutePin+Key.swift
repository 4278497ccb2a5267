package import RouterCore

extension RoutePin {
    /// A channel and the one of its keys that has this fingerprint (``KeyHash/fingerprint``).
    /// - Returns: nil when the channel has that key no more.
    package init?(_ channel: Channel, keyFingerprint: String) {
        if channel.keys.isEmpty {
            guard keyFingerprint.isEmpty else { return nil }
            self.init(channelID: channel.id, keyIndex: -1)
        } else {
            let index = channel.keys.firstIndex { KeyHash(of: $0.reveal()).fingerprint == keyFingerprint }
            guard let index else { return nil }
            self.init(channelID: channel.id, keyIndex: index)
        }
    }
}
