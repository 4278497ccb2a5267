/// Where a request comes from, as far as that can be believed.
package struct ClientOrigin: Sendable, Hashable {
    /// The client's address: the peer's, unless trusted proxies name another.
    package var address: String
    /// True when trusted proxies have named the address.
    package var isForwarded = false
    /// How the client reached the first proxy (`http` or `https`), by a trusted proxy's word.
    package var scheme: String?
    /// The `Host` that the client asked, by a trusted proxy's word.
    package var host: String?

    package init(address: String) { self.address = address }
}
