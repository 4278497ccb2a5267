/// An IPv4 or IPv6 address, read from text without a port, a zone or leading zeros.
///
/// An IPv4 client on a dual-stack socket appears as `::ffff:10.0.0.7` and is read as its IPv4 address.
public struct IPAddress: Sendable, Hashable, CustomStringConvertible {
    /// The address in network order; for IPv4 only the low 32 bits are used.
    public let bits: UInt128
    public let isFour: Bool

    /// The longest text of an address (IPv6 with an IPv4 tail).
    private static let maximumText = 45
    private static let mapped: UInt128 = 0xFFFF << 32

    init(bits: UInt128, isFour: Bool) {
        self.bits = bits
        self.isFour = isFour
    }

    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8.prefix(Self.maximumText + 1))
        guard bytes.count <= Self.maximumText else { return nil }
        if let four = Self.four(bytes[...]) {
            self.init(bits: UInt128(four), isFour: true)
        } else if let six = Self.six(bytes) {
            let isMapped = six >> 32 == Self.mapped >> 32
            self.init(bits: isMapped ? six & 0xFFFF_FFFF : six, isFour: isMapped)
        } else {
            return nil
        }
    }

    /// Whether the address is this machine's: 127.0.0.0/8 or ::1.
    public var isLoopback: Bool { isFour ? bits >> 24 == 127 : bits == 1 }

    // MARK: Reading

    private static let colon = UInt8(ascii: ":")
    private static let dot = UInt8(ascii: ".")

    /// Four numbers from 0 to 255 without leading zeros.
    private static func four(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        let parts = bytes.split(separator: dot, maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            guard part.count == 1 || part.first != 0x30 else { return nil }
            let number = part.reduce(UInt32(0)) { $0 * 10 + UInt32($1 - 0x30) }
            guard number <= 255 else { return nil }
            value = value << 8 | number
        }
        return value
    }

    /// Eight groups, a run of zeros possibly written as `::`, the last two possibly as an IPv4 address (RFC 4291 section 2.2).
    private static func six(_ bytes: [UInt8]) -> UInt128? {
        var groups: [UInt16] = []
        var gap: Int?
        var index = 0
        if bytes.starts(with: [colon, colon]) { (gap, index) = (0, 2) }
        while index < bytes.count {
            let end = bytes[index...].firstIndex(of: colon) ?? bytes.count
            let part = bytes[index..<end]
            if end == bytes.count, part.contains(dot) {
                guard let four = four(part) else { return nil }
                groups += [UInt16(four >> 16), UInt16(truncatingIfNeeded: four)]
            } else {
                guard let group = group(part) else { return nil }
                groups.append(group)
            }
            guard groups.count <= 8 else { return nil }
            if end == bytes.count { break }
            index = end + 1
            guard index < bytes.count else { return nil }
            if bytes[index] == colon {
                guard gap == nil else { return nil }
                gap = groups.count
                index += 1
            }
        }
        guard gap == nil ? groups.count == 8 : groups.count < 8 else { return nil }
        if let gap { groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap) }
        return groups.reduce(UInt128(0)) { $0 << 16 | UInt128($1) }
    }

    private static func group(_ bytes: ArraySlice<UInt8>) -> UInt16? {
        guard (1...4).contains(bytes.count) else { return nil }
        var value: UInt16 = 0
        for byte in bytes {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt16(byte - 0x30)
            case 0x41...0x46, 0x61...0x66: value = value << 4 | UInt16((byte | 0x20) - 0x61 + 10)
            default: return nil
            }
        }
        return value
    }

    // MARK: Writing

    /// The canonical form that RFC 5952 recommends.
    public var description: String {
        if isFour { return [24, 16, 8, 0].map { String(UInt8(truncatingIfNeeded: bits >> $0)) }.joined(separator: ".") }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits >> (112 - 16 * $0)) }
        var longest = 0..<0
        var start = 0
        for index in 0...8 where index == 8 || groups[index] != 0 {
            if index - start > longest.count { longest = start..<index }
            start = index + 1
        }
        func text(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
        // A single group of zeros is not shortened.
        guard longest.count > 1 else { return text(groups[...]) }
        return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
    }
}

/// An address or a block of them: `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`.
public struct AddressRange: Sendable, Hashable, CustomStringConvertible {
    /// The first address of the block.
    public let first: IPAddress
    /// Number of leading bits that all addresses of the block share: 0 to 32, or 0 to 128.
    public let prefix: Int

    /// The block of this size that contains the address. - Parameter prefix: clamped to the length of the address.
    public init(around address: IPAddress, prefix: Int) {
        let width = address.isFour ? 32 : 128
        self.prefix = min(max(prefix, 0), width)
        let host = width - self.prefix
        first = IPAddress(bits: (address.bits >> host) << host, isFour: address.isFour)
    }

    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ IPAddress($0) }) else { return nil }
        let width = address.isFour ? 32 : 128
        guard parts.count == 2 else {
            self.init(around: address, prefix: width)
            return
        }
        // Only digits: `Int` would accept a sign.
        guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            var prefix = Int(parts[1])
        else { return nil }
        // The prefix of a mapped IPv4 address is counted in IPv6's bits.
        if address.isFour, parts[0].utf8.contains(UInt8(ascii: ":")) { prefix -= 96 }
        guard (0...width).contains(prefix) else { return nil }
        self.init(around: address, prefix: prefix)
    }

    public func contains(_ address: IPAddress) -> Bool {
        guard address.isFour == first.isFour else { return false }
        return (address.bits ^ first.bits) >> ((first.isFour ? 32 : 128) - prefix) == 0
    }

    public func contains(_ address: String) -> Bool { IPAddress(address).map(contains) ?? false }

    /// `10.0.0.0/8`; a single address is written without its prefix.
    public var description: String { prefix == (first.isFour ? 32 : 128) ? "\(first)" : "\(first)/\(prefix)" }
}
