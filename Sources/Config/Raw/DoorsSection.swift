import RouterCore

/// The parts of `server` that say whom the gateway believes: proxies, its own address, sessions.
enum DoorsSection {
    /// Each forwarded request is compared with all of them.
    private static let maximumProxies = 256

    static func read(_ server: YAMLObject, into configuration: inout GatewayConfiguration.Server) {
        if let cursor = server["trusted_proxies"] { configuration.trustedProxies = proxies(cursor) }
        if let cursor = server["public_url"], let text = cursor.string("a URL") {
            if let url = GatewayConfiguration.PublicURL(text) {
                configuration.publicURL = url
            } else {
                cursor.mismatch("the gateway's own URL without a path, such as \"https://gateway.example.org\"")
            }
        }
        guard let sessions = server["sessions"]?.object(["idle", "lifetime"]) else { return }
        if let duration = sessions["idle"].flatMap(span) { configuration.sessions.idle = duration }
        if let duration = sessions["lifetime"].flatMap(span) { configuration.sessions.lifetime = duration }
    }

    private static func proxies(_ cursor: YAMLCursor) -> [AddressRange] {
        guard let list = cursor.list("a list of addresses and blocks such as [\"127.0.0.1\", \"10.0.0.0/8\"]") else { return [] }
        if list.count > maximumProxies { cursor.error("at most \(maximumProxies) addresses and blocks are taken") }
        return list.prefix(maximumProxies).compactMap { entry in
            guard let text = entry.string("an address or a block of addresses") else { return nil }
            guard let range = AddressRange(text) else {
                entry.mismatch("an address or a block such as \"127.0.0.1\", \"10.0.0.0/8\" or \"2001:db8::/32\"")
                return nil
            }
            // To trust everybody is to believe whatever anybody writes of themselves.
            guard range.prefix > 0 else {
                entry.error("a block of all addresses trusts everybody; name the proxies")
                return nil
            }
            return range
        }
    }

    private static func span(_ cursor: YAMLCursor) -> Duration? {
        guard let value = cursor.duration() else { return nil }
        guard value >= .seconds(60), value <= .seconds(366 * 86_400) else {
            cursor.mismatch("a duration from 1m to 8784h")
            return nil
        }
        return value
    }
}
