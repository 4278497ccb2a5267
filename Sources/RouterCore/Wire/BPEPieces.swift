/// Cuts text into the pieces that `o200k_base` encodes separately: its pattern, matched by hand, since a regular-expression engine would be
/// slower and needs Foundation. Alternatives are tried in the pattern's order, and each backtracks as the pattern would.
struct BPEPieces {
    /// Maximum length of a piece in bytes. Longer pieces (base64, a line without spaces) are cut, so that the work stays linear.
    static let longest = 256

    enum Class: UInt8 {
        case upper, lower, letter, number, lineEnd, space, other
        /// Combining marks: part of a word inside one, otherwise treated as marks.
        case combining
    }

    /// The end of the piece that begins at a position (before the end of the text). It depends on no more than the
    /// ``longest`` bytes from there.
    static func end(_ text: Span<UInt8>, _ start: Int) -> Int {
        BPEPieces(limit: min(text.count, start + longest)).end(text, start)
    }

    /// The offset at which matching assumes the end of the text.
    private let limit: Int

    private func end(_ text: Span<UInt8>, _ start: Int) -> Int {
        let (first, next) = scalar(text, start)
        switch first {
        case .number: return numbers(text, start)
        case .upper, .lower, .letter: return word(text, start) ?? next
        case .lineEnd: return whitespace(text, start)
        case .space:
            if let end = word(text, next) { return end }
            if text[start] == 0x20, let end = marks(text, next) { return end }
            return whitespace(text, start)
        case .combining: return word(text, next) ?? word(text, start) ?? marks(text, start) ?? next
        case .other: return word(text, next) ?? marks(text, start) ?? next
        }
    }

    /// `[upper]*[lower]+` or `[upper]+[lower]*`, where letters without case are both; then `'s` and its kind.
    private func word(_ text: Span<UInt8>, _ start: Int) -> Int? {
        var index = start
        var afterCaseless: Int?
        while index < limit {
            let (kind, next) = scalar(text, index)
            if kind == .letter || kind == .combining { afterCaseless = next } else if kind != .upper { break }
            index = next
        }
        if index < limit, scalar(text, index).kind == .lower {
            while index < limit {
                let (kind, next) = scalar(text, index)
                guard kind == .lower || kind == .letter || kind == .combining else { break }
                index = next
            }
            return contraction(text, index)
        }
        // The last caseless letter takes the role of the lower-case letter.
        if let afterCaseless { return contraction(text, afterCaseless) }
        return index > start ? contraction(text, index) : nil
    }

    private func contraction(_ text: Span<UInt8>, _ start: Int) -> Int {
        guard start + 1 < limit, text[start] == UInt8(ascii: "'") else { return start }
        let first = text[start + 1] | 0x20
        if first == UInt8(ascii: "s") || first == UInt8(ascii: "t") || first == UInt8(ascii: "m") || first == UInt8(ascii: "d") {
            return start + 2
        }
        guard start + 2 < limit else { return start }
        switch (first, text[start + 2] | 0x20) {
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")), (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 3
        default: return start
        }
    }

    private func numbers(_ text: Span<UInt8>, _ start: Int) -> Int {
        var index = start
        for _ in 0..<3 {
            guard index < limit else { break }
            let (kind, next) = scalar(text, index)
            guard kind == .number else { break }
            index = next
        }
        return index
    }

    private func marks(_ text: Span<UInt8>, _ start: Int) -> Int? {
        var index = start
        while index < limit {
            let (kind, next) = scalar(text, index)
            guard kind == .other || kind == .combining else { break }
            index = next
        }
        if index == start { return nil }
        while index < limit, text[index] == 0x0A || text[index] == 0x0D || text[index] == UInt8(ascii: "/") { index += 1 }
        return index
    }

    /// Extends to the last line end; without one, to all but the last space, which belongs to what follows; a single space stands alone.
    private func whitespace(_ text: Span<UInt8>, _ start: Int) -> Int {
        var index = start
        var last = start
        var afterLineEnd: Int?
        while index < limit {
            let (kind, next) = scalar(text, index)
            guard kind == .space || kind == .lineEnd else { break }
            if kind == .lineEnd { afterLineEnd = next }
            last = index
            index = next
        }
        return afterLineEnd ?? (index == limit || last == start ? index : last)
    }

    /// The class of the character at a position, and the offset of the next one.
    @inline(__always)
    private func scalar(_ text: Span<UInt8>, _ index: Int) -> (kind: Class, next: Int) {
        let byte = text[index]
        if byte >= 0x80 { return highScalar(text, index) }
        let kind: Class =
            byte &- UInt8(ascii: "a") < 26
            ? .lower
            : byte &- UInt8(ascii: "A") < 26
                ? .upper
                : byte &- UInt8(ascii: "0") < 10
                    ? .number
                    : byte == 0x0A || byte == 0x0D ? .lineEnd : byte == 0x20 || byte &- 0x09 < 5 ? .space : .other
        return (kind, index + 1)
    }

    private func highScalar(_ text: Span<UInt8>, _ index: Int) -> (kind: Class, next: Int) {
        let first = text[index]
        let length = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        guard length > 1, index + length <= limit else { return (.other, index + 1) }
        var value = UInt32(first) & (0x7F >> UInt32(length))
        for offset in 1..<length { value = value << 6 | UInt32(text[index + offset] & 0x3F) }
        if value < 0x10000 { return (Self.classes[Int(value)], index + length) }
        return (Unicode.Scalar(value).map(Self.category) ?? .other, index + length)
    }

    /// Classes of the characters of the basic multilingual plane: the standard library's tables are slower.
    private static let classes = (0..<0x10000 as Range<UInt32>).map { Unicode.Scalar($0).map(category) ?? .other }

    private static func category(_ scalar: Unicode.Scalar) -> Class {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .titlecaseLetter: .upper
        case .lowercaseLetter: .lower
        case .modifierLetter, .otherLetter: .letter
        case .nonspacingMark, .spacingMark, .enclosingMark: .combining
        case .decimalNumber, .letterNumber, .otherNumber: .number
        default: scalar.properties.isWhitespace ? .space : .other
        }
    }
}
