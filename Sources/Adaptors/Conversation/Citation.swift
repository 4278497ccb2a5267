import RouterCore

/// Where words of an answer come from, on the web. Citations of documents that the client gave itself stay in their own dialect: no other
/// has words for their places.
struct Citation: Sendable, Hashable {
    /// Characters (Unicode scalars) of the answer's text, its text parts in a row.
    var range: Range<Int>
    var url: String
    var title: String?
    /// Words of the source.
    var quote: String?

    /// More than a model writes; a bound for what they are compared with.
    static let maximum = 1_000

    /// - Parameter bounds: the text that there is. - Returns: nil where the URL is none that a page may show.
    init?(_ range: Range<Int>?, url: String?, title: String?, quote: String? = nil, in bounds: Range<Int>) {
        guard let url, url.hasPrefix("https://") || url.hasPrefix("http://") else { return nil }
        self.range = range?.clamped(to: bounds) ?? bounds
        self.url = url
        self.title = title.flatMap { $0.isEmpty ? nil : $0 }
        self.quote = quote.flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// Places in a text that some count in characters and others in bytes. It keeps where the width of characters changes, not the text.
struct TextRuler: Sendable, Hashable {
    private struct Run: Sendable, Hashable {
        var scalars: Int
        var bytes: Int
        var width: Int
    }
    private var runs: [Run] = []
    private(set) var scalars = 0
    private(set) var bytes = 0

    /// Beyond this the places of what follows are not exact, and not told.
    private static let maximumRuns = 65_536

    mutating func append(_ text: String) {
        for scalar in text.unicodeScalars {
            let width = UTF8.width(scalar)
            if runs.last?.width != width, runs.count < Self.maximumRuns { runs.append(Run(scalars: scalars, bytes: bytes, width: width)) }
            scalars += 1
            bytes += width
        }
    }

    private var isExact: Bool { runs.count < Self.maximumRuns }

    func scalars(ofByte offset: Int) -> Int? {
        guard isExact, offset >= 0, let run = last(where: { $0.bytes <= offset }) else { return offset == 0 ? 0 : nil }
        return min(scalars, run.scalars + (offset - run.bytes) / run.width)
    }

    func bytes(ofScalar offset: Int) -> Int? {
        // A vendor's number may lie anywhere.
        if isExact, scalars > 0, offset >= scalars { return bytes }
        guard isExact, offset >= 0, let run = last(where: { $0.scalars <= offset }) else { return offset == 0 ? 0 : nil }
        return min(bytes, run.bytes + (offset - run.scalars) * run.width)
    }

    /// The runs begin one behind the other.
    private func last(where begins: (Run) -> Bool) -> Run? {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if begins(runs[middle]) { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : runs[low - 1]
    }
}

extension String {
    /// Characters from and to these places, as Unicode scalars; within the text.
    func scalars(_ range: Range<Int>) -> String {
        var out = String.UnicodeScalarView()
        for (index, scalar) in unicodeScalars.enumerated() {
            if index >= range.upperBound { break }
            if index >= range.lowerBound { out.append(scalar) }
        }
        return String(out)
    }
}

/// OpenAI's form: under `url_citation` in chat, flat in Responses.
enum CitationShape {
    static func read(_ annotation: JSONValue, in bounds: Range<Int>) -> Citation? {
        guard annotation["type"] == "url_citation" else { return nil }
        let inner = annotation["url_citation"] ?? annotation
        var range: Range<Int>?
        if let start = inner["start_index"]?.integerValue, let end = inner["end_index"]?.integerValue, start >= 0, start < end,
            let start = Int(exactly: start), let end = Int(exactly: end)
        {
            range = start..<end
        }
        return Citation(
            range, url: inner["url"]?.stringValue, title: inner["title"]?.stringValue, quote: inner["content"]?.stringValue, in: bounds)
    }

    /// Where the words end; 0 when it is not told.
    static func end(_ annotation: JSONValue) -> Int {
        (annotation["url_citation"] ?? annotation)["end_index"]?.integerValue.flatMap { Int(exactly: $0) } ?? 0
    }

    private static func members(_ citation: Citation, from start: Int) -> [JSONValue.Member] {
        [
            .init("start_index", .integer(citation.range.lowerBound - start)),
            .init("end_index", .integer(citation.range.upperBound - start)),
            .init("url", .string(citation.url)), .init("title", .string(citation.title ?? citation.url)),
        ]
    }

    static func chat(_ citation: Citation) -> JSONValue {
        ["type": "url_citation", "url_citation": .object(members(citation, from: 0))]
    }

    /// - Parameter start: of the part that the annotation stands in.
    static func responses(_ citation: Citation, from start: Int) -> JSONValue {
        .object([.init("type", "url_citation")] + members(citation, from: start))
    }

    /// As a result of Anthropic's web search. Its `encrypted_index` is the vendor's own, for its next turn.
    static func messages(_ citation: Citation, words: String = "") -> JSONValue {
        [
            "type": "web_search_result_location", "url": .string(citation.url), "title": .optional(citation.title),
            "cited_text": .string(citation.quote ?? words), "encrypted_index": "",
        ]
    }
}
