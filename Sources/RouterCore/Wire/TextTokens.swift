/// Estimates the tokens of text that arrives in parts, without a vocabulary; the result does not depend on where the text is cut.
///
/// Text is divided into the pieces that byte-pair tokenizers encode separately (a word with the space before it, up to three digits, a run
/// of punctuation marks, of spaces, of line ends), and each piece costs the mean of its kind and length (``TokenCosts``). One pass, no
/// allocation. Errors measured on real text are in `docs/token-counting.md`.
public struct TextTokens: Sendable, Hashable {
    /// ASCII bytes and other characters counted so far.
    public private(set) var asciiBytes: Int64 = 0
    public private(set) var otherCharacters: Int64 = 0

    /// Thousandths of a token for the pieces that have ended.
    private var closed: Int64 = 0
    private var kind = Kind.none
    /// Characters of the open piece, without the prefix of a word.
    private var length: Int64 = 0
    /// Upper-case letters of a word, or marks beyond ASCII in a run.
    private var special: Int64 = 0
    private var prefix = Prefix.none
    /// For a word: it has letters such as é. For marks: they are not all the same.
    private var isMixed = false
    /// The marks are followed by a line end.
    private var hasLineEnd = false
    /// The marks follow a word directly.
    private var followsWord = false
    private var lastMark: UInt8 = 0
    /// How often the last mark was repeated in a row, up to two.
    private var repeats: UInt8 = 0
    /// A multi-byte character that is not complete yet.
    private var scalar: UInt32 = 0
    private var missingBytes: UInt8 = 0

    enum Kind: UInt8 {
        case none, word, digits, marks, spaces, lineEnds
        case cyrillic, greek, semitic, hangul
        case han, kana, ideographicMarks, other, emoji
    }

    /// The character before a word that belongs to its piece.
    enum Prefix: UInt8 { case none, space, mark, apostrophe }

    public init() {}

    /// Estimated tokens, rounded half up; at least one when there is text.
    public var tokens: Int64 {
        let all = closed + openCost
        return all == 0 ? 0 : max(1, (all + 500) / 1_000)
    }

    /// Adds text as UTF-8, which may be cut anywhere. Invalid bytes are counted one by one.
    public mutating func add(_ utf8: Span<UInt8>) {
        var index = 0
        while index < utf8.count {
            add(utf8, &index, end: utf8.count)
            takePlainWords(utf8, &index, end: utf8.count)
        }
    }

    /// Adds the text that the content of a JSON string (between the quotes) stands for.
    public mutating func add(jsonString bytes: Span<UInt8>, _ range: Range<Int>) {
        var index = range.lowerBound
        let end = range.upperBound
        while index < end {
            if bytes[index] == UInt8(ascii: "\\") {
                takeEscape(bytes, &index, end: end)
            } else {
                add(bytes, &index, end: end)
                takePlainWords(bytes, &index, end: end)
            }
        }
    }

    /// Adds text of which only the size is known: a quarter token per ASCII byte, one per other character.
    public mutating func add(asciiBytes ascii: Int64, otherCharacters other: Int64) {
        asciiBytes += ascii
        otherCharacters += other
        closed += ascii * 250 + other * 1_000
    }

    /// Ends the open piece: the following text does not continue the last word.
    public mutating func endPiece() { close() }

    // MARK: - Characters

    /// Takes one character, or a run of lower-case letters inside a word, which is the bulk of any text.
    @inline(__always)
    private mutating func add(_ bytes: Span<UInt8>, _ index: inout Int, end: Int) {
        let byte = bytes[index]
        guard byte < 0x80 else {
            index += 1
            return takeHigh(byte)
        }
        missingBytes = 0
        if Self.isLower(byte) {
            takeLower(Self.skipLower(bytes, &index, end: end))
        } else {
            index += 1
            takeASCII(byte)
        }
    }

    /// Moves over the lower-case letters that follow, and returns their number.
    @inline(__always)
    private static func skipLower(_ bytes: Span<UInt8>, _ index: inout Int, end: Int) -> Int64 {
        let start = index
        EightBytes.skipLower(bytes, &index, end: end)
        while index < end, isLower(bytes[index]) { index &+= 1 }
        return Int64(index - start)
    }

    /// Fast path for words of lower-case letters separated by single spaces, the bulk of most texts; the result is the same as character by
    /// character.
    @inline(__always)
    private mutating func takePlainWords(_ bytes: Span<UInt8>, _ index: inout Int, end: Int) {
        guard kind == .word, missingBytes == 0, index + 1 < end, bytes[index] == 0x20, Self.isLower(bytes[index + 1]) else { return }
        var cost = wordCost
        var letters: Int64 = 0
        let start = index
        let costs = TokenCosts.plainWords
        repeat {
            if letters > 0 { cost &+= Self.plainWordCost(letters, costs) }
            index &+= 1
            letters = Self.skipLower(bytes, &index, end: end)
        } while index &+ 1 < end && bytes[index] == 0x20 && Self.isLower(bytes[index &+ 1])
        closed += cost
        asciiBytes += Int64(index - start)
        length = letters
        special = 0
        prefix = .space
        isMixed = false
    }

    /// ``wordCost`` of a lower-case word with a space before it.
    @inline(__always)
    private static func plainWordCost(_ length: Int64, _ costs: [Int64]) -> Int64 {
        guard length <= Int64(TokenCosts.longestWord) else { return costs[TokenCosts.longestWord - 1] + longer(length) }
        return costs[Int(length) - 1]
    }

    private mutating func takeEscape(_ bytes: Span<UInt8>, _ index: inout Int, end: Int) {
        guard index + 1 < end else {
            index += 1
            return takeASCII(UInt8(ascii: "\\"))
        }
        missingBytes = 0
        let letter = bytes[index + 1]
        guard letter == UInt8(ascii: "u"), index + 6 <= end else {
            index += 2
            switch letter {
            case UInt8(ascii: "n"): return takeASCII(0x0A)
            case UInt8(ascii: "r"): return takeASCII(0x0D)
            case UInt8(ascii: "t"): return takeASCII(0x09)
            case UInt8(ascii: "b"), UInt8(ascii: "f"): return takeASCII(0x00)
            default: return letter < 0x80 ? takeASCII(letter) : takeHigh(letter)
            }
        }
        var unit: UInt32 = 0
        for digit in index + 2..<index + 6 { unit = unit << 4 | (JSONScanner.hexValue(bytes[digit]) ?? 0) }
        index += 6
        switch unit {
        case 0..<0x80: Self.isLower(UInt8(unit)) ? takeLower(1) : takeASCII(UInt8(unit))
        // A surrogate pair is one character beyond the basic plane, identified by its first half.
        case 0xD840..<0xDC00: takeScalar(0x20000)
        case 0xD800..<0xD840: takeScalar(0x1F600)
        case 0xDC00..<0xE000: break
        default: takeScalar(unit)
        }
    }

    private mutating func takeHigh(_ byte: UInt8) {
        if byte >= 0xC0 {
            (scalar, missingBytes) =
                byte < 0xE0 ? (UInt32(byte & 0x1F), 1) : byte < 0xF0 ? (UInt32(byte & 0x0F), 2) : (UInt32(byte & 0x07), 3)
        } else if missingBytes > 0 {
            scalar = scalar << 6 | UInt32(byte & 0x3F)
            missingBytes -= 1
            if missingBytes == 0 { takeScalar(scalar) }
        }
    }

    private mutating func takeLower(_ count: Int64) {
        asciiBytes += count
        if kind != .word { beginWord(.word) }
        length += count
    }

    private mutating func takeASCII(_ byte: UInt8) {
        asciiBytes += 1
        if byte == 0x20 || byte == 0x09 {
            takeSpace()
        } else if Self.isLower(byte | 0x20), byte >= 0x41 {
            takeCapital()
        } else if byte &- UInt8(ascii: "0") < 10 {
            begin(.digits)
            length += 1
        } else if byte == 0x0A || byte == 0x0D {
            takeLineEnd()
        } else {
            takeMark(byte)
        }
    }

    private mutating func takeScalar(_ value: UInt32) {
        otherCharacters += 1
        let script = Self.kind(of: value)
        switch script {
        case .word:
            if kind != .word { beginWord(.word) }
            isMixed = true
        case .marks:
            takeMark(0)
            special += 1
            return
        case .digits, .spaces, .lineEnds, .none: return takeSpace()
        case .ideographicMarks, .emoji:
            if kind != script { begin(script) }
        default:
            if kind != script { beginWord(script) }
        }
        length += 1
    }

    // MARK: - Pieces

    private mutating func takeSpace() {
        begin(.spaces)
        length += 1
    }

    private mutating func takeCapital() {
        // An upper-case letter after a lower-case one begins a new word: camelCase.
        if kind == .word, length > special {
            close()
            kind = .word
        } else if kind != .word {
            beginWord(.word)
        }
        length += 1
        special += 1
    }

    private mutating func takeLineEnd() {
        switch kind {
        case .marks, .ideographicMarks: hasLineEnd = true
        case .spaces: kind = .lineEnds
        default:
            begin(.lineEnds)
            length += 1
        }
    }

    private mutating func takeMark(_ byte: UInt8) {
        if kind != .marks || hasLineEnd {
            let afterWord = kind == .word
            let spaces = kind == .spaces
            if spaces { closeSpacesButOne() } else { close() }
            kind = .marks
            prefix = spaces ? .space : .none
            followsWord = afterWord
        } else if lastMark != byte {
            isMixed = true
            repeats = 0
        } else if repeats >= 2 {
            closed += Int64(TokenCosts.repeatedMark)
            return
        } else {
            repeats += 1
        }
        lastMark = byte
        length += 1
    }

    private mutating func begin(_ next: Kind) {
        if kind == next { return }
        if kind == .spaces, length > 1 {
            // Before a piece that takes no space with it, the last space stands alone.
            closeSpacesButOne()
            if next == .digits { closed += 1_000 }
        } else {
            close()
        }
        kind = next
    }

    /// Begins a piece that includes the space or the mark before it.
    private mutating func beginWord(_ next: Kind) {
        var before = Prefix.none
        if kind == .spaces {
            closeSpacesButOne()
            before = .space
        } else if kind == .marks, length == 1, prefix == .none, !hasLineEnd, next == .word {
            before = followsWord && lastMark == UInt8(ascii: "'") ? .apostrophe : .mark
            // Any further cost of the mark is part of the words' own row.
            reset()
        } else {
            close()
        }
        kind = next
        prefix = before
    }

    private mutating func closeSpacesButOne() {
        if length > 1 { closed += Self.cost(ofSpaces: length - 1) }
        reset()
    }

    private mutating func close() {
        closed += openCost
        reset()
    }

    private mutating func reset() {
        kind = .none
        length = 0
        special = 0
        prefix = .none
        isMixed = false
        hasLineEnd = false
        followsWord = false
        repeats = 0
    }

    private var openCost: Int64 {
        switch kind {
        case .none: 0
        case .word: wordCost
        case .digits: (length + 2) / 3 * 1_000
        case .marks: marksCost
        case .spaces: Self.cost(ofSpaces: length)
        case .lineEnds: 1_000
        case .cyrillic, .greek, .semitic, .hangul: scriptCost
        case .han: length * Int64(TokenCosts.han.each) + (prefix == .space ? Int64(TokenCosts.han.spaced) : 0)
        case .kana: length * Int64(TokenCosts.kana.each) + Int64(TokenCosts.kana.run)
        case .ideographicMarks:
            Int64(TokenCosts.ideographicMarks.first) + (length - 1) * Int64(TokenCosts.ideographicMarks.next)
        case .other: length * Int64(TokenCosts.other.each) + Int64(TokenCosts.other.run)
        case .emoji: length * Int64(TokenCosts.emoji)
        }
    }

    private var wordCost: Int64 {
        if prefix == .apostrophe, length <= 2 {
            return Int64(length == 1 ? TokenCosts.contractions.one : TokenCosts.contractions.two)
        }
        let column = Int(min(length, Int64(TokenCosts.longestWord)))
        let letterCase = special == 0 ? 0 : special == 1 && length > 1 ? 1 : 2
        let row = 3 * Int(min(prefix.rawValue, Prefix.mark.rawValue)) + letterCase
        return Int64(TokenCosts.words[row * TokenCosts.longestWord + column - 1]) + Self.longer(length)
            + (isMixed && length > 3 ? Int64(TokenCosts.accent) : 0)
    }

    private var scriptCost: Int64 {
        let row = Int(kind.rawValue - Kind.cyrillic.rawValue)
        let column = Int(min(length, Int64(TokenCosts.longestWord)))
        return Int64(TokenCosts.scripts[row * TokenCosts.longestWord + column - 1]) + Self.longer(length)
            + (prefix != .space && length > 2 ? Int64(TokenCosts.unspaced) : 0)
    }

    private var marksCost: Int64 {
        let column = Int(min(length, Int64(TokenCosts.longestMarks)))
        let row = (isMixed ? 2 : 0) + (hasLineEnd ? 1 : 0)
        return Int64(TokenCosts.marks[row * TokenCosts.longestMarks + column - 1])
            + max(0, length - Int64(TokenCosts.longestMarks)) * Int64(TokenCosts.longerMarks)
            + max(0, special - 1) * Int64(TokenCosts.wideMark)
    }

    private static func longer(_ length: Int64) -> Int64 {
        max(0, length - Int64(TokenCosts.longestWord)) * Int64(TokenCosts.longerWord)
    }

    private static func cost(ofSpaces count: Int64) -> Int64 {
        (count + Int64(TokenCosts.longestSpaces) - 1) / Int64(TokenCosts.longestSpaces) * 1_000
    }

    @inline(__always)
    private static func isLower(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "a") < 26 }

    /// The kind of piece that a character beyond ASCII belongs to.
    private static func kind(of value: UInt32) -> Kind {
        switch value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0xF900...0xFAFF, 0x20000...0x3FFFF: .han
        case 0x3040...0x30FF, 0x31F0...0x31FF: .kana
        case 0x3000...0x303F, 0xFE30...0xFE4F, 0xFF00...0xFFEF: .ideographicMarks
        case 0xAC00...0xD7AF, 0x1100...0x11FF, 0x3130...0x318F: .hangul
        case 0xA0, 0x2000...0x200A, 0x2028...0x202F: .spaces
        case 0xC0...0x24F where value != 0xD7 && value != 0xF7: .word
        case 0x1E00...0x1EFF: .word
        case 0x370...0x3FF, 0x1F00...0x1FFF: .greek
        case 0x400...0x52F: .cyrillic
        case 0x590...0x8FF: .semitic
        case 0x80...0xBF, 0xD7, 0xF7, 0x2010...0x2BFF: .marks
        case 0x1F000...0x1FAFF, 0x200B...0x200D, 0xFE00...0xFE0F: .emoji
        default: .other
        }
    }
}
