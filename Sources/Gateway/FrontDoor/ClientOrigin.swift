/// The origin of a request, as far as it can be trusted.
package struct ClientOrigin: Sendable, Hashable {
    /// The client's address: that of the peer, unless trusted proxies give another.
    package var address: String
    /// Whether trusted proxies gave the address.
    package var isForwarded = false
    /// The scheme by which the client reached the first proxy (`http` or `https`), as reported by a trusted proxy.
    package var scheme: String?
    /// The `Host` that the client requested, as reported by a trusted proxy.
    package var host: String?

    package init(address: String) { self.address = address }
}
