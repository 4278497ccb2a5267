/// Counts the tokens that a vocabulary makes of text that comes in pieces: the same figure however the text is cut.
///
/// It keeps the text of which a piece may still grow (at most 2 KB), never the whole. Pieces longer than
/// ``BPEPieces/longest`` bytes are cut, and count perhaps one or two tokens per cut more than the vocabulary's own.
public struct BPECounter: Sendable {
    /// How much text is collected before pieces are counted, in bytes.
    private static let batch = 2_048

    private let vocabulary: BPEVocabulary
    private var counted: Int64 = 0
    private var pending: [UInt8] = []
    private var merge = BPEMerge()

    public init(_ vocabulary: BPEVocabulary) { self.vocabulary = vocabulary }

    /// Tokens of all text so far, as if it ended here.
    public var tokens: Int64 {
        var rest = self
        rest.count(isEnd: true)
        return rest.counted
    }

    /// Takes text as UTF-8, cut anywhere.
    public mutating func add(_ utf8: Span<UInt8>) {
        for index in 0..<utf8.count {
            pending.append(utf8[index])
            if pending.count == Self.batch { count(isEnd: false) }
        }
    }

    private mutating func count(isEnd: Bool) {
        let collected = pending
        let text = collected.span
        // A piece depends on the bytes of its greatest length at most.
        let settled = isEnd ? text.count - 1 : text.count - BPEPieces.longest
        var total: Int64 = 0
        var start = 0
        while start <= settled {
            let end = BPEPieces.end(text, start)
            total += merge.count(text, start, end, vocabulary)
            start = end
        }
        counted += total
        pending = Array(collected[start...])
        pending.reserveCapacity(Self.batch)
    }
}

/// Byte-pair merging of one piece, with its scratch memory.
struct BPEMerge: Sendable {
    /// Where parts begin, and the rank of each part joined with the next one.
    private var starts = [Int](repeating: 0, count: BPEPieces.longest + 2)
    private var ranks = [UInt32](repeating: BPEVocabulary.none, count: BPEPieces.longest + 2)

    /// - Returns: the number of tokens of the bytes of a range of at most ``BPEPieces/longest``.
    mutating func count(_ text: Span<UInt8>, _ start: Int, _ end: Int, _ vocabulary: BPEVocabulary) -> Int64 {
        if end - start == 1 || vocabulary.rank(text, start, end) != BPEVocabulary.none { return 1 }
        var parts = end - start
        for part in 0...parts { starts[part] = start + part }
        for part in 0..<parts - 1 { ranks[part] = vocabulary.rank(text, start + part, start + part + 2) }
        ranks[parts - 1] = BPEVocabulary.none
        while true {
            var best = 0
            for part in 1..<parts where ranks[part] < ranks[best] { best = part }
            guard ranks[best] != BPEVocabulary.none else { return Int64(parts) }
            parts -= 1
            if parts == 1 { return 1 }
            for part in best + 1..<parts {
                starts[part] = starts[part + 1]
                ranks[part] = ranks[part + 1]
            }
            starts[parts] = end
            ranks[parts - 1] = BPEVocabulary.none
            ranks[best] = best + 1 < parts ? vocabulary.rank(text, starts[best], starts[best + 2]) : BPEVocabulary.none
            if best > 0 { ranks[best - 1] = vocabulary.rank(text, starts[best - 1], starts[best + 1]) }
        }
    }
}
