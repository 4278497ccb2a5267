import RouterCore

/// `server:` of gateway.yaml.
enum ServerKeys {
    static let section = ConfigSection<GatewayConfiguration.Server>([
        .value("host", \.host, type: "text", standard: { $0 }, "address to bind") { $0.string("an address") },
        .integer("port", \.port, 0...65_535, "0 = any free port"),
        .value(
            "threads", \.threads, type: "number, 1 to 1024", standard: { _ in "as many as the process may use cores" },
            "event loops; read at start"
        ) { cursor in cursor.integer(1...1_024).map { .some(Int($0)) } },
        .integer(
            "max_body_bytes", \.maxBodyBytes, 1_024...1_073_741_824, unit: "bytes",
            "larger bodies of model calls and of `count_tokens` get 413; see [Bounds](#bounds)"),
        .integer(
            "max_calls", \.maxCalls, 1...1_000_000, "model calls and counts of tokens at work at a time; more get 503 with `Retry-After`"),
        .duration(
            "max_lag", \.maxLag, within: .init(zero: "never"),
            "when a new model call would wait longer than this for the gateway's own processor, it gets 503 with `Retry-After` at once"),
        .duration("drain_timeout", \.drainTimeout, "how long running answers may go on after SIGTERM"),
        .boolean("registration", \.registration, "whether strangers may `POST /api/user/register`"),
        .value(
            "trusted_proxies", \.trustedProxies, type: "list of addresses and blocks, at most \(maximumProxies)", standard: { _ in "[]" },
            "peers whose `X-Forwarded-For` and `Forwarded` are believed, see [Behind a proxy](#behind-a-proxy)", read: proxies),
        .value(
            "public_url", \.publicURL, type: "`https://gateway.example.org`", standard: { _ in "none" },
            """
            where browsers find the gateway: cookies are `Secure` when it is https, and changes by browsers must come from there \
            ([security.md](security.md)); without it the request's `Host` counts
            """, read: publicURL),
        .section("sessions", \.sessions, sessions),
        .integer("max_connections", \.maxConnections, 1...1_000_000, "client connections at a time; one more is told 503 and closed"),
        .integer(
            "max_connections_per_address", \.maxConnectionsPerAddress, 0...1_000_000,
            "the same from one address (one /64 of IPv6); 0 = no limit; the same machine and `server.trusted_proxies` have none"),
        .value(
            "cors_origins", \.corsOrigins, type: "list of origins", standard: { _ in "[]" },
            """
            pages of these origins (`https://app.example.com`, or `"*"`) may call `/v1`, `/api/v1` and `/v1beta` from a browser, without \
            credentials: a page that has a key sends it itself. Never the management API
            """
        ) { cursor in cursor.list("a list of origins").map { $0.compactMap(origin) } },
    ])

    private static let sessions = ConfigSection<GatewayConfiguration.Sessions>([
        .duration(
            "idle", \.idle, within: .init(lower: .seconds(60), upper: DurationBounds.year), "a login ends after this time without use"),
        .duration(
            "lifetime", \.lifetime, within: .init(lower: .seconds(60), upper: DurationBounds.year), "a login ends after this time in all"),
    ])

    /// An origin in the form that browsers send: scheme and host in lower case, a port unless it is the scheme's default, and nothing after
    /// it.
    private static func origin(_ cursor: YAMLCursor) -> String? {
        guard let text = cursor.string("an origin") else { return nil }
        if text == "*" { return text }
        for (scheme, port) in [("https://", ":443"), ("http://", ":80")] where text.hasPrefix(scheme) {
            let host = text.dropFirst(scheme.count)
            let isPlain = host.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || "-._:[]".utf8.contains(byte)
            }
            if !host.isEmpty, isPlain, !host.hasSuffix(port), !host.hasSuffix(":") { return text }
        }
        cursor.mismatch("\"*\", or an origin as browsers send it, such as https://app.example.com")
        return nil
    }

    @Sendable private static func publicURL(_ cursor: YAMLCursor) -> GatewayConfiguration.PublicURL?? {
        guard let text = cursor.string("a URL") else { return nil }
        guard let url = GatewayConfiguration.PublicURL(text) else {
            cursor.mismatch("the gateway's own URL without a path, such as \"https://gateway.example.org\"")
            return nil
        }
        return .some(url)
    }

    /// Limited because each forwarded request is compared with all of them.
    private static let maximumProxies = 256

    @Sendable private static func proxies(_ cursor: YAMLCursor) -> [AddressRange]? {
        guard let list = cursor.list("a list of addresses and blocks such as [\"127.0.0.1\", \"10.0.0.0/8\"]") else { return nil }
        if list.count > maximumProxies { cursor.error("at most \(maximumProxies) addresses and blocks are taken") }
        return list.prefix(maximumProxies).compactMap { entry in
            guard let text = entry.string("an address or a block of addresses") else { return nil }
            guard let range = AddressRange(text) else {
                entry.mismatch("an address or a block such as \"127.0.0.1\", \"10.0.0.0/8\" or \"2001:db8::/32\"")
                return nil
            }
            // Trusting every address would mean believing whatever any client claims about itself.
            guard range.prefix > 0 else {
                entry.error("a block of all addresses trusts everybody; name the proxies")
                return nil
            }
            return range
        }
    }
}
