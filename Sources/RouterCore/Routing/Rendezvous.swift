/// What a conversation is recognised by: a hash that is the same on every gateway and after every restart.
public struct AffinityKey: Sendable, Hashable {
    public let hash: UInt64

    public init(_ text: String) { hash = Self.hash(text.utf8.span) }

    init(hash: UInt64) { self.hash = hash }

    public init(bytes: Span<UInt8>) { hash = Self.hash(bytes) }

    /// FNV-1a, which is short and the same everywhere; ``SplitMix64/mixed(_:)`` spreads it before use.
    private static func hash(_ bytes: Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in 0..<bytes.count {
            hash ^= UInt64(bytes[index])
            hash = hash &* 0x0000_0100_0000_01B3
        }
        return hash
    }
}

/// Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights by the logarithmic method): every channel draws a
/// waiting time, exponentially distributed with its weight as the rate, from the hash of (conversation, channel), and
/// the shortest wins. Shares are exactly the weights, and a channel that goes away moves only its own conversations.
enum Rendezvous {
    /// How long the channel waits at weight 1, as a fixed-point number with 32 fractional bits: -log2(u) of a uniform u in (0, 1).
    static func wait(_ key: AffinityKey, _ node: Int64) -> UInt64 {
        let mixed = SplitMix64.mixed(key.hash ^ SplitMix64.mixed(UInt64(bitPattern: node) &+ 0x9E37_79B9_7F4A_7C15))
        return minusLog2(mixed)
    }

    /// Whether a wait at one weight is shorter than another: a/v < b/w, exactly.
    static func isShorter(_ a: UInt64, _ v: UInt32, than b: UInt64, _ w: UInt32) -> Bool {
        UInt128(a) * UInt128(w) < UInt128(b) * UInt128(v)
    }

    /// -log2((x + ½) / 2⁶⁴) with 32 fractional bits, by repeated squaring: integers only, so that every machine agrees.
    static func minusLog2(_ x: UInt64) -> UInt64 {
        guard x > 0 else { return 65 << 32 }
        let zeros = UInt64(x.leadingZeroBitCount)
        // The mantissa in [1, 2) as 1.63 fixed point.
        var mantissa = x << zeros
        var fraction: UInt64 = 0
        for bit in 0..<32 {
            let square = mantissa.multipliedFullWidth(by: mantissa).high
            // A square in [2, 4) means that this bit of the logarithm is 1.
            if square >= 1 << 63 {
                fraction |= 1 << UInt64(31 - bit)
                mantissa = square
            } else {
                mantissa = square << 1
            }
        }
        // log2(x) = 63 - zeros + fraction; what is asked for is 64 - log2(x).
        return ((zeros + 1) << 32) - fraction
    }
}

extension SplitMix64 {
    /// The generator's finalizer: spreads every bit of the input over the whole word.
    static func mixed(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
