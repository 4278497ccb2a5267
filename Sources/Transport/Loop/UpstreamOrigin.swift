import NIOCore

/// The origin of a URL, by which connections are pooled.
struct UpstreamOrigin: Hashable, Sendable {
    var host: String
    var port: Int
    var isSecure: Bool
}

/// A parsed URL. Such URLs come from the configuration, so there are few different ones.
struct UpstreamTarget: Sendable {
    var origin: UpstreamOrigin
    /// Path and query, never empty.
    var uri: String
    /// The value of the Host header.
    var hostHeader: String

    /// - Returns: nil when this is not an absolute `http` or `https` URL with a plain authority.
    init?(_ url: String) {
        var rest = Substring(url)
        let isSecure: Bool
        if rest.hasPrefix("http://") {
            isSecure = false
        } else if rest.hasPrefix("https://") {
            isSecure = true
        } else {
            return nil
        }
        rest = rest.dropFirst(isSecure ? 8 : 7)
        if let fragment = rest.firstIndex(of: "#") { rest = rest[..<fragment] }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.isEmpty, !authority.contains("@"), let (host, port) = Self.split(authority) else { return nil }
        let path = rest[end...]
        uri = path.hasPrefix("/") ? String(path) : "/" + path
        hostHeader = String(authority)
        origin = UpstreamOrigin(host: host, port: port ?? (isSecure ? 443 : 80), isSecure: isSecure)
    }

    /// `host`, `host:port`, `[v6]` or `[v6]:port`.
    private static func split(_ authority: Substring) -> (host: String, port: Int?)? {
        var host = authority
        var port: Substring?
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { return nil }
            host = authority[authority.index(after: authority.startIndex)..<close]
            let behind = authority[authority.index(after: close)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { return nil }
            port = behind.isEmpty ? nil : behind.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            port = authority[authority.index(after: colon)...]
        }
        guard !host.isEmpty else { return nil }
        guard let port else { return (String(host), nil) }
        guard let number = Int(port), (1...65_535).contains(number) else { return nil }
        return (String(host), number)
    }
}
