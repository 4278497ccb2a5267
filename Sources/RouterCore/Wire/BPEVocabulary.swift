/// The tokens of a byte-level byte-pair vocabulary, by their bytes; a token's rank is its place in the file.
///
/// Read once from a data file (`tokenizers/README.md` describes its origin) and shared by every counter: about 5 MB for 200,000 tokens.
public struct BPEVocabulary: Sendable {
    public enum Problem: Error, Sendable, Hashable {
        case truncated
        /// Fewer tokens than there are bytes, or more than a 24-bit rank holds.
        case size(Int)
        /// A byte that is not a token of its own: some texts would have no encoding.
        case missingByte(UInt8)
    }

    static let none = UInt32.max

    /// The bytes of all tokens, one after the other; the offset of each is in `starts`.
    private let bytes: [UInt8]
    private let starts: [UInt32]
    /// An open-addressing hash table: rank + 1 in the lower 24 bits, 0 = free; above them eight bits of the hash, so that most misses are
    /// detected without comparing bytes. At most half full.
    private let slots: [UInt32]
    private let mask: Int
    /// Ranks of the two-byte tokens, indexed by their bytes: the first lookup of every merge.
    private let pairs: [UInt32]
    /// For three-byte characters (Chinese, Japanese, Korean and their punctuation), indexed by code point: the number of tokens of the
    /// character alone.
    private var characters: [UInt8] = []
    /// Flag beside that number: ``cuts`` has an entry for the character.
    private static let cutFlag: UInt8 = 0x80
    /// Tokens that begin or end inside such a character, by the characters that they may split.
    private var cuts: [Int: [Cut]] = [:]

    /// The context in which a character may be split: the token at `range` of the vocabulary's bytes, with the character `offset` bytes
    /// after the beginning of the token.
    private struct Cut: Sendable {
        var range: Range<Int>
        var offset: Int
    }

    public var count: Int { starts.count - 1 }

    /// - Parameter file: the tokens in the order of their ranks, each as its length (one byte) and its bytes.
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
        guard count >= 256, count < 1 << 24 - 1 else { throw .size(count) }
        var capacity = 512
        while capacity < count * 2 { capacity *= 2 }
        self.bytes = bytes
        self.starts = starts
        mask = capacity - 1
        (slots, pairs) = Self.index(bytes, starts, capacity: capacity)
        for byte in UInt8.min...UInt8.max where rank([byte].span, from: 0, to: 1) == Self.none { throw .missingByte(byte) }
        indexCharacters()
    }

    private static func index(_ bytes: [UInt8], _ starts: [UInt32], capacity: Int) -> (slots: [UInt32], pairs: [UInt32]) {
        var slots = [UInt32](repeating: 0, count: capacity)
        var pairs = [UInt32](repeating: none, count: 65_536)
        let span = bytes.span
        for rank in 0..<starts.count - 1 {
            let start = Int(starts[rank])
            let end = Int(starts[rank + 1])
            if end - start == 2 { pairs[Int(span[start]) << 8 | Int(span[start + 1])] = UInt32(rank) }
            let hash = hash(span, from: start, to: end)
            var slot = Int(truncatingIfNeeded: hash) & (capacity - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (capacity - 1) }
            slots[slot] = UInt32(rank) + 1 | tag(hash)
        }
        return (slots, pairs)
    }

    private mutating func indexCharacters() {
        var table = [UInt8](repeating: 0, count: 65_536)
        var merge = BPEMerge()
        for value in 0x800..<0x10000 {
            let encoded: [3 of UInt8] = [0xE0 | UInt8(value >> 12), 0x80 | UInt8(value >> 6 & 0x3F), 0x80 | UInt8(value & 0x3F)]
            table[value] = UInt8(merge.count(encoded.span, from: 0, to: 3, self, byBytes: true))
        }
        characters = table
        // Tokens that begin with a space match only at a space, and pieces with a space are merged byte by byte anyway.
        for rank in 0..<count where bytes[Int(starts[rank])] >= 0x80 { noteCut(Int(starts[rank])..<Int(starts[rank + 1])) }
    }

    /// Records a token that contains a part of a character and something of its neighbour.
    private mutating func noteCut(_ range: Range<Int>) {
        let (first, touched) = Self.touched(bytes.span.extracting(range))
        for value in touched ?? 0..<0 {
            cuts[value, default: []].append(Cut(range: range, offset: first))
            characters[value] |= Self.cutFlag
        }
    }

    /// For a token that begins or ends inside a character: where its first whole character begins, and which characters it may split.
    private static func touched(_ token: Span<UInt8>) -> (first: Int, characters: Range<Int>?) {
        var index = 0
        while index < token.count, token[index] & 0xC0 == 0x80 { index += 1 }
        let begin = index
        let whole = Self.character(token, at: index, before: token.count)
        while Self.character(token, at: index, before: token.count) != nil { index += 3 }
        let endsInside = index < token.count && token[index] >= 0xC0 && index + Self.length(token[index]) > token.count
        guard begin > 0 || endsInside else { return (begin, nil) }
        if let whole { return (begin, whole..<whole + 1) }
        // The end of one character and the beginning of the next: all characters with that beginning.
        guard begin > 0, endsInside, token[index] & 0xF0 == 0xE0 else { return (begin, nil) }
        let high = Int(token[index] & 0x0F) << 12
        if index + 1 == token.count { return (begin, high..<high + 4_096) }
        let value = high | Int(token[index + 1] & 0x3F) << 6
        return (begin, value..<value + 64)
    }

    /// Whether the text around this character contains a token that splits the character.
    func isCut(_ value: Int, _ text: Span<UInt8>, at index: Int) -> Bool {
        guard let cuts = cuts[value] else { return false }
        return cuts.contains { cut in
            let start = index - cut.offset
            guard start >= 0, start + cut.range.count <= text.count else { return false }
            for offset in 0..<cut.range.count where bytes[cut.range.lowerBound + offset] != text[start + offset] { return false }
            return true
        }
    }

    /// Number of bytes of a character, from its first byte.
    private static func length(_ first: UInt8) -> Int { first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4 }

    /// The code point of the three-byte character at a position; nil when there is none before `end`.
    @inline(__always)
    static func character(_ text: Span<UInt8>, at index: Int, before end: Int) -> Int? {
        guard index + 3 <= end else { return nil }
        let (first, second, third) = (text[index], text[index + 1], text[index + 2])
        guard first & 0xF0 == 0xE0, second & 0xC0 == 0x80, third & 0xC0 == 0x80 else { return nil }
        return Int(first & 0x0F) << 12 | Int(second & 0x3F) << 6 | Int(third & 0x3F)
    }

    /// Number of tokens of a three-byte character alone; nil where a token of the vocabulary may split it in this context, so that merging
    /// has to start from bytes.
    @inline(__always)
    func tokens(ofCharacter value: Int, _ text: Span<UInt8>, at index: Int) -> UInt8? {
        let tokens = characters[value]
        return tokens & Self.cutFlag == 0 ? tokens : isCut(value, text, at: index) ? nil : tokens & ~Self.cutFlag
    }

    /// The rank of the token with these bytes, or ``none``.
    func rank(_ text: Span<UInt8>, from start: Int, to end: Int) -> UInt32 {
        if end - start == 2 { return pairs[Int(text[start]) << 8 | Int(text[start + 1])] }
        let hash = Self.hash(text, from: start, to: end)
        let tag = Self.tag(hash)
        var slot = Int(truncatingIfNeeded: hash) & mask
        while true {
            let entry = slots[slot]
            if entry == 0 { return Self.none }
            if entry & 0xFF00_0000 == tag {
                let rank = Int(entry & 0x00FF_FFFF) - 1
                if isToken(rank, text, from: start, to: end) { return UInt32(rank) }
            }
            slot = (slot + 1) & mask
        }
    }

    private func isToken(_ rank: Int, _ text: Span<UInt8>, from start: Int, to end: Int) -> Bool {
        let first = Int(starts[rank])
        guard Int(starts[rank + 1]) - first == end - start else { return false }
        for offset in 0..<end - start where bytes[first + offset] != text[start + offset] { return false }
        return true
    }

    private static func tag(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 32) & 0xFF00_0000 }

    /// Hashes eight bytes per step; a shorter rest is read separately.
    private static func hash(_ text: Span<UInt8>, from start: Int, to end: Int) -> UInt64 {
        var value = UInt64(truncatingIfNeeded: end - start) &* 0x9E37_79B9_7F4A_7C15
        var index = start
        let whole = text.bytes
        while index + 8 <= end {
            value = mix(value ^ UInt64(littleEndian: whole.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)))
            index += 8
        }
        guard index < end else { return value }
        var rest: UInt64 = 0
        if index + 8 <= text.count {
            // The read stays within the text, and bytes behind the end are masked out.
            rest =
                UInt64(littleEndian: whole.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
                & ((1 << UInt64((end - index) * 8)) - 1)
        } else {
            for position in index..<end { rest |= UInt64(text[position]) << UInt64((position - index) * 8) }
        }
        return mix(value ^ rest)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        let (high, low) = value.multipliedFullWidth(by: 0x9FB2_1C65_1E98_DF25)
        return high ^ low
    }
}
