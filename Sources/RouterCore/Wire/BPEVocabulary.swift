/// The tokens of a byte-level byte-pair vocabulary, by their bytes; a token's rank is its place in the file.
///
/// Read once from a data file (`tokenizers/README.md` says where it comes from), shared by every counter: about 5 MB for
/// 200,000 tokens.
public struct BPEVocabulary: Sendable {
    public enum Problem: Error, Sendable, Hashable {
        case truncated
        /// Fewer tokens than there are bytes, or more than a 24-bit rank holds.
        case size(Int)
        /// A byte that is no token of its own: some texts would have no tokens.
        case missingByte(UInt8)
    }

    static let none = UInt32.max

    /// All tokens, one after the other, and where each begins.
    private let bytes: [UInt8]
    private let starts: [UInt32]
    /// Open addressing: rank + 1, 0 = free. At most half full.
    private let slots: [UInt32]
    private let mask: Int
    /// Ranks of the tokens of two bytes, by these: the first lookup of every merge.
    private let pairs: [UInt32]

    public var count: Int { starts.count - 1 }

    /// - Parameter file: for each token by rank, its length (one byte) and its bytes.
    public init(_ file: Span<UInt8>) throws(Problem) {
        var bytes: [UInt8] = []
        var starts: [UInt32] = [0]
        bytes.reserveCapacity(file.count)
        var index = 0
        while index < file.count {
            let end = index + 1 + Int(file[index])
            guard end <= file.count, end > index + 1 else { throw .truncated }
            for position in index + 1..<end { bytes.append(file[position]) }
            starts.append(UInt32(bytes.count))
            index = end
        }
        let count = starts.count - 1
        guard count >= 256, count < 1 << 24 else { throw .size(count) }
        var capacity = 512
        while capacity < count * 2 { capacity *= 2 }
        self.bytes = bytes
        self.starts = starts
        mask = capacity - 1
        (slots, pairs) = Self.index(bytes, starts, capacity: capacity)
        for byte in UInt8.min...UInt8.max where rank([byte].span, 0, 1) == Self.none { throw .missingByte(byte) }
    }

    private static func index(_ bytes: [UInt8], _ starts: [UInt32], capacity: Int) -> (slots: [UInt32], pairs: [UInt32]) {
        var slots = [UInt32](repeating: 0, count: capacity)
        var pairs = [UInt32](repeating: none, count: 65_536)
        let span = bytes.span
        for rank in 0..<starts.count - 1 {
            let start = Int(starts[rank])
            let end = Int(starts[rank + 1])
            if end - start == 2 { pairs[Int(span[start]) << 8 | Int(span[start + 1])] = UInt32(rank) }
            var slot = hash(span, start, end) & (capacity - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (capacity - 1) }
            slots[slot] = UInt32(rank) + 1
        }
        return (slots, pairs)
    }

    /// The rank of the token with these bytes, or ``none``.
    func rank(_ text: Span<UInt8>, _ start: Int, _ end: Int) -> UInt32 {
        if end - start == 2 { return pairs[Int(text[start]) << 8 | Int(text[start + 1])] }
        var slot = Self.hash(text, start, end) & mask
        while slots[slot] != 0 {
            let rank = Int(slots[slot]) - 1
            if isToken(rank, text, start, end) { return UInt32(rank) }
            slot = (slot + 1) & mask
        }
        return Self.none
    }

    private func isToken(_ rank: Int, _ text: Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
        let first = Int(starts[rank])
        guard Int(starts[rank + 1]) - first == end - start else { return false }
        for offset in 0..<end - start where bytes[first + offset] != text[start + offset] { return false }
        return true
    }

    private static func hash(_ text: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
        var value: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in start..<end { value = (value ^ UInt64(text[index])) &* 0x0000_0100_0000_01B3 }
        return Int(truncatingIfNeeded: value ^ value >> 29)
    }
}
