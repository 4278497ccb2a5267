import NIOHTTP1

/// Rejects requests that the parser accepts but that this server and a proxy in front of it might interpret differently (RFC 9112 sections
/// 3.2 and 6.1).
enum RequestFraming {
    /// The problem with a head, as a message for the client; nil when there is none.
    static func problem(_ head: HTTPRequestHead) -> String? {
        var (hosts, encodings) = (0, 0)
        var (host, encoding) = ("", "")
        for (name, value) in head.headers {
            switch name.utf8.count {
            case 4 where isName(name, "host"): (hosts, host) = (hosts + 1, value)
            case 17 where isName(name, "transfer-encoding"): (encodings, encoding) = (encodings + 1, value)
            default: break
            }
        }
        if hosts > 1 { return "the header Host must be there once, not \(hosts) times" }
        if hosts == 0, head.version.major > 1 || head.version == .http1_1 {
            return "the header Host is missing; HTTP/1.1 demands one"
        }
        if hosts == 1, !isHost(host) { return "the header Host must be a name or address, with a port or without" }
        // Some proxies forward a coding that they do not know and act on the other one.
        if encodings > 1 || (encodings == 1 && !isName(encoding, "chunked")) {
            return "Transfer-Encoding must be 'chunked', in one header"
        }
        if encodings == 1, head.version == .http1_0 { return "HTTP/1.0 knows no Transfer-Encoding" }
        return nil
    }

    /// - Parameter lower: the name in lower case.
    private static func isName(_ name: String, _ lower: StaticString) -> Bool {
        let text = name.utf8
        guard text.count == lower.utf8CodeUnitCount else { return false }
        return lower.withUTF8Buffer { wanted in
            var index = 0
            for byte in text {
                let small = byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
                if small != wanted[index] { return false }
                index += 1
            }
            return true
        }
    }

    /// Accepts `name`, `10.0.0.1`, `[::1]`, each with or without `:port` (RFC 3986 section 3.2.2; no user, no empty name).
    static func isHost(_ text: String) -> Bool {
        var isBracketed = false
        var hasEnded = false
        var length = 0
        var digits = -1
        for byte in text.utf8 {
            if digits >= 0 {
                guard byte &- UInt8(ascii: "0") < 10, digits < 5 else { return false }
                digits += 1
                continue
            }
            switch byte {
            case UInt8(ascii: "[") where length == 0: isBracketed = true
            case UInt8(ascii: "]") where isBracketed && !hasEnded && length > 2: hasEnded = true
            case UInt8(ascii: ":") where !isBracketed && length > 0 || hasEnded: digits = 0
            case UInt8(ascii: ":") where isBracketed, UInt8(ascii: "."): if hasEnded { return false }
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"):
                if hasEnded { return false }
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "%"):
                // A `%` precedes the zone of a link-local address.
                if hasEnded { return false }
            default: return false
            }
            length += 1
        }
        return length > 0 && length <= 255 && isBracketed == hasEnded
    }
}
