package import RouterCore

/// The peers whose forwarding headers are trusted (`server.trusted_proxies`).
///
/// Proxies append to `X-Forwarded-For`, so only its right end was written by them: the list is walked from there as long as it names
/// trusted proxies, and the first other address is the client. Everything further left was sent by the client and is ignored, so neither
/// its contents nor its length can change the result. `Forwarded` (RFC 7239) is used when there is no `X-Forwarded-For`.
package struct TrustedProxies: Sendable {
    private let ranges: [AddressRange]

    /// Maximum number of proxies in a chain; real chains are shorter.
    private static let maximumHops = 32
    /// Maximum size of one element in bytes; an IPv6 address in `Forwarded` with all its parameters needs about a hundred.
    private static let maximumElement = 512

    package init(_ ranges: [AddressRange]) { self.ranges = ranges }

    package func contains(_ peer: String) -> Bool { !ranges.isEmpty && IPAddress(peer).map(trusts) ?? false }

    private func trusts(_ address: IPAddress) -> Bool { ranges.contains { $0.contains(address) } }

    /// - Parameters:
    ///   - peer: the address at the other end of the connection.
    ///   - lines: returns the values of a header, one per field line, in order.
    package func origin(peer: String, _ lines: (String) -> [String]) -> ClientOrigin {
        guard contains(peer) else { return ClientOrigin(address: peer) }
        var origin = ClientOrigin(address: peer)
        if let client = client(lines) {
            origin.address = client.description
            origin.isForwarded = true
        }
        origin.scheme = Self.single(lines("x-forwarded-proto")).map { $0.lowercased() }.flatMap {
            ["http", "https"].contains($0) ? $0 : nil
        }
        origin.host = Self.single(lines("x-forwarded-host")).map { $0.lowercased() }
        return origin
    }

    /// The address alone, for a peer that is known to be trusted.
    package func address(behind peer: String, _ lines: (String) -> [String]) -> String { client(lines)?.description ?? peer }

    /// nil when no proxy gives a valid address; the peer's address is then used.
    private func client(_ lines: (String) -> [String]) -> IPAddress? {
        let list = lines("x-forwarded-for")
        return list.isEmpty ? walk(lines("forwarded"), Self.forwardedNode) : walk(list, Self.node)
    }

    private func walk(_ lines: [String], _ read: (Substring) -> IPAddress?) -> IPAddress? {
        var nearest: IPAddress?
        var hops = 0
        for line in lines.reversed() {
            var end = line.utf8.endIndex
            while true {
                guard let start = Self.elementStart(line, before: end) else { return nil }
                hops += 1
                guard hops <= Self.maximumHops else { return nil }
                let element = Self.trimmed(line[start..<end])
                // Empty elements are ignored (RFC 9110 section 5.6.1).
                if !element.isEmpty {
                    guard let address = read(element) else { return nil }
                    if !trusts(address) { return address }
                    nearest = address
                }
                if start == line.utf8.startIndex { break }
                end = line.utf8.index(before: start)
            }
        }
        // All of them are trusted: the first in the chain is the client.
        return nearest
    }

    /// The beginning of the last element before a position. The search runs from the right, where the proxies themselves have written the
    /// quotes.
    /// - Returns: nil for an element that is too long, or whose quotes do not match.
    private static func elementStart(_ line: String, before end: String.Index) -> String.Index? {
        var isQuoted = false
        var index = end
        var left = maximumElement
        while index > line.utf8.startIndex {
            let previous = line.utf8.index(before: index)
            switch line.utf8[previous] {
            case UInt8(ascii: ",") where !isQuoted: return index
            case UInt8(ascii: "\""): isQuoted.toggle()
            default: break
            }
            index = previous
            left -= 1
            if left == 0 { return nil }
        }
        return isQuoted ? nil : index
    }

    /// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
    private static func node(_ text: Substring) -> IPAddress? {
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let rest = text[text.index(after: close)...]
            guard rest.isEmpty || rest.hasPrefix(":") && isPort(rest.dropFirst()) else { return nil }
            return IPAddress(text[..<close].dropFirst())
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return IPAddress(text) }
        return isPort(parts[1]) ? IPAddress(parts[0]) : nil
    }

    private static func isPort(_ text: Substring) -> Bool {
        (1...5).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// The `for` of one element of `Forwarded`: `for=192.0.2.60;proto=http`, `For="[2001:db8::17]:4711"`. Obfuscated identifiers
    /// (`unknown`, `_x`) are not addresses.
    private static func forwardedNode(_ element: Substring) -> IPAddress? {
        var found: Substring?
        for pair in element.split(separator: ";") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(trimmed)
            guard parts.count == 2 else { return nil }
            guard parts[0].lowercased() == "for" else { continue }
            guard found == nil else { return nil }
            found = parts[1]
        }
        guard var value = found else { return nil }
        if value.hasPrefix("\"") {
            guard value.utf8.count >= 2, value.hasSuffix("\"") else { return nil }
            value = value.dropFirst().dropLast()
        }
        return node(value)
    }

    /// The value of a header that may occur only once and holds a host or a scheme.
    private static func single(_ lines: [String]) -> String? {
        guard lines.count == 1, let line = lines.first else { return nil }
        let value = trimmed(line[...])
        guard !value.isEmpty, value.utf8.count <= 255, !value.contains(",") else { return nil }
        return String(value)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.utf8.first, first == 0x20 || first == 0x09 { text = text.dropFirst() }
        while let last = text.utf8.last, last == 0x20 || last == 0x09 { text = text.dropLast() }
        return text
    }
}
