import Synchronization

/// The text that a model has written, for a count of our own where the vendor tells none: always estimated as it comes (``TextTokens``),
/// and kept up to a bound, so that at the end a vocabulary can count it exactly. Most answers are shorter than the bound; of a longer one
/// the beginning corrects the estimate of the rest.
///
/// A value: copies share what is kept, and each knows how much of it is its own.
public struct DeliveredText: Sendable, Hashable {
    /// What is kept, in bytes of UTF-8: about two thousand tokens.
    static let keptBytes = 8_192

    public private(set) var estimate = TextTokens()
    private var kept: KeptText?
    private var keptCount = 0
    /// The estimate of what is kept, once there is more than that.
    private var estimateOfKept: Int64?

    public init() {}

    /// Takes text as UTF-8, cut anywhere.
    public mutating func add(_ utf8: Span<UInt8>) {
        keep(utf8)
        estimate.add(utf8)
    }

    /// Takes the content of a JSON string (between the quotes) as the text that it stands for.
    public mutating func add(jsonString bytes: Span<UInt8>, _ range: Range<Int>) {
        let content = bytes.extracting(range)
        if Self.hasEscapes(content) {
            let text = Array(JSONText.string(bytes, content: range).utf8)
            keep(text.span)
        } else {
            keep(content)
        }
        estimate.add(jsonString: bytes, range)
    }

    /// Takes text of which only the size is known.
    public mutating func add(asciiBytes ascii: Int64, otherCharacters other: Int64) {
        if estimateOfKept == nil { estimateOfKept = estimate.tokens }
        estimate.add(asciiBytes: ascii, otherCharacters: other)
    }

    /// Tokens of all that came, the beginning counted by the vocabulary; without one the estimate.
    public func tokens(by vocabulary: BPEVocabulary?) -> Int64 {
        guard let vocabulary, let kept, keptCount > 0 else { return estimate.tokens }
        let exact = kept.read { vocabulary.tokens($0.extracting(first: keptCount)) }
        guard let estimateOfKept, estimateOfKept > 0 else { return exact }
        let (product, overflowed) = (estimate.tokens - estimateOfKept).multipliedReportingOverflow(by: exact)
        return overflowed ? estimate.tokens : exact + product / estimateOfKept
    }

    private static func hasEscapes(_ content: Span<UInt8>) -> Bool {
        var index = 0
        while true {
            EightBytes.skipUnquoted(content, &index)
            guard index < content.count else { return false }
            if content[index] == UInt8(ascii: "\\") { return true }
            index += 1
        }
    }

    private mutating func keep(_ utf8: Span<UInt8>) {
        guard !utf8.isEmpty, estimateOfKept == nil else { return }
        guard keptCount + utf8.count <= Self.keptBytes else {
            estimateOfKept = estimate.tokens
            return
        }
        let text = kept ?? KeptText()
        kept = text.appending(utf8, at: keptCount)
        keptCount += utf8.count
    }

    /// What is kept follows from what came, and what came shows in the estimate.
    public static func == (left: DeliveredText, right: DeliveredText) -> Bool { left.estimate == right.estimate }
    public func hash(into hasher: inout Hasher) { hasher.combine(estimate) }
}

/// Text that grows at its end, shared by copies of a value of which usually one goes on.
private final class KeptText: Sendable {
    private let bytes = Mutex<[UInt8]>([])

    /// - Parameter count: how much of this text is the caller's; what another copy has added behind it is not.
    /// - Returns: itself, or a text of the caller's own.
    func appending(_ utf8: Span<UInt8>, at count: Int) -> KeptText {
        let copy: [UInt8]? = bytes.withLock { bytes in
            guard bytes.count == count else { return Array(bytes.prefix(count)) }
            utf8.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
            return nil
        }
        guard let copy else { return self }
        let text = KeptText()
        text.bytes.withLock { $0 = copy }
        return text.appending(utf8, at: count)
    }

    func read<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        let copy = bytes.withLock { $0 }
        return body(copy.span)
    }
}
