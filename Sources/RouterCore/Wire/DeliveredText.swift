import Synchronization

/// The text that a model has written, for our own count where the vendor reports none. It is estimated as it arrives (``TextTokens``) and
/// kept up to a limit, so that at the end a vocabulary can count it exactly. Most answers are shorter than the limit; for longer ones, the
/// exact count of the beginning corrects the estimate of the rest.
///
/// A value type: copies share the kept text, and each knows how much of it is its own.
public struct DeliveredText: Sendable, Hashable {
    /// Limit of the kept text in bytes of UTF-8: about two thousand tokens.
    static let keptBytes = 8_192

    public private(set) var estimate = TextTokens()
    private var kept: KeptText?
    private var keptCount = 0
    /// The estimate for the kept part, once the text is longer than the limit.
    private var estimateOfKept: Int64?

    public init() {}

    /// Adds text as UTF-8, which may be cut anywhere.
    public mutating func add(_ utf8: Span<UInt8>) {
        keep(utf8)
        estimate.add(utf8)
    }

    /// Adds the text that the content of a JSON string (between the quotes) stands for.
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

    /// Adds text of which only the size is known.
    public mutating func add(asciiBytes ascii: Int64, otherCharacters other: Int64) {
        if estimateOfKept == nil { estimateOfKept = estimate.tokens }
        estimate.add(asciiBytes: ascii, otherCharacters: other)
    }

    /// Tokens of the whole text, the beginning counted by the vocabulary; the estimate when there is no vocabulary.
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

    /// The kept text is a function of the added text, and the added text shows in the estimate.
    public static func == (left: DeliveredText, right: DeliveredText) -> Bool { left.estimate == right.estimate }
    public func hash(into hasher: inout Hasher) { hasher.combine(estimate) }
}

/// Text that grows at its end, shared by copies of a value of which usually only one is continued.
private final class KeptText: Sendable {
    private let bytes = Mutex<[UInt8]>([])

    /// - Parameter count: how many bytes of this text belong to the caller; bytes behind them were added by another copy.
    /// - Returns: this object, or a copy for the caller alone.
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
