extension BPEVocabulary {
    /// Counts the tokens of a text. Pieces longer than ``BPEPieces/longest`` bytes are cut; each cut may add one or two tokens to the exact
    /// count.
    public func tokens(_ text: Span<UInt8>) -> Int64 {
        var merge = BPEMerge()
        var total: Int64 = 0
        var start = 0
        while start < text.count {
            let end = BPEPieces.end(text, start)
            total += merge.count(text, from: start, to: end, self)
            start = end
        }
        return total
    }
}

/// Byte-pair merging of one piece, with its scratch memory.
struct BPEMerge: Sendable {
    private struct Part: Sendable {
        /// Rank of this part joined with the next one.
        var rank: UInt32
        /// Offset in the text at which the part begins.
        var start: Int
    }

    private var parts = [Part](repeating: Part(rank: BPEVocabulary.none, start: 0), count: BPEPieces.longest + 2)

    /// - Parameter byBytes: merging starts from single bytes, whatever the text is.
    /// - Returns: the number of tokens of a range of at most ``BPEPieces/longest`` bytes.
    mutating func count(
        _ text: Span<UInt8>, from start: Int, to end: Int, _ vocabulary: BPEVocabulary, byBytes: Bool = false
    ) -> Int64 {
        if end - start == 1 || vocabulary.rank(text, from: start, to: end) != BPEVocabulary.none { return 1 }
        var parts = parts.mutableSpan
        if !byBytes, let tokens = Self.countCharacters(text, from: start, to: end, vocabulary, &parts) { return tokens }
        for part in 0...end - start { parts[part].start = start + part }
        return Self.merge(text, count: end - start, vocabulary, &parts)
    }

    /// Fast path for text that consists of three-byte characters none of which is split between tokens: the merged form of each character
    /// is known, so merging continues from there with a third of the parts. nil for other text.
    private static func countCharacters(
        _ text: Span<UInt8>, from start: Int, to end: Int, _ vocabulary: BPEVocabulary, _ parts: inout MutableSpan<Part>
    ) -> Int64? {
        var index = start
        var total: Int64 = 0
        var count = 0
        while index < end {
            guard let value = BPEVocabulary.character(text, at: index, before: end) else { return nil }
            guard let tokens = vocabulary.tokens(ofCharacter: value, text, at: index) else { return nil }
            parts[count].start = index
            count += 1
            index += 3
            if tokens > 1 {
                // No token contains only a part of this character, so nothing is merged across its boundaries.
                total += Int64(tokens) + merge(text, count: count - 1, vocabulary, &parts)
                count = 0
            }
        }
        parts[count].start = end
        return total + merge(text, count: count, vocabulary, &parts)
    }

    /// Repeatedly joins the neighbours of the lowest rank. The end of the last part is stored behind the parts.
    private static func merge(_ text: Span<UInt8>, count: Int, _ vocabulary: BPEVocabulary, _ parts: inout MutableSpan<Part>) -> Int64 {
        guard count > 1 else { return Int64(count) }
        // The last part, which has no successor.
        var last = count - 1
        for part in 0..<last { parts[part].rank = vocabulary.rank(text, from: parts[part].start, to: parts[part + 2].start) }
        while last > 0 {
            var best = 0
            var lowest = parts[0].rank
            var part = 1
            while part < last {
                if parts[part].rank < lowest {
                    best = part
                    lowest = parts[part].rank
                }
                part += 1
            }
            if lowest == BPEVocabulary.none { break }
            part = best + 1
            while part <= last {
                parts[part] = parts[part + 1]
                part += 1
            }
            last -= 1
            if best < last { parts[best].rank = vocabulary.rank(text, from: parts[best].start, to: parts[best + 2].start) }
            if best > 0 { parts[best - 1].rank = vocabulary.rank(text, from: parts[best - 1].start, to: parts[best + 1].start) }
        }
        return Int64(last + 1)
    }
}
