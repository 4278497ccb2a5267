public import NIOCore

/// A line of a batch's input file: one request (https://platform.openai.com/docs/api-reference/batch/request-input).
public struct BatchLine: Sendable {
    public var customID: String
    /// The client's, such as `/v1/chat/completions`.
    public var url: String
    public var envelope: RequestEnvelope

    static let maximumID = 512

    /// - Parameter line: without its line end.
    /// - Throws: ``RequestEnvelope/Rejection`` for a line that is no request, or asks for something that a batch cannot have here.
    public init(_ line: ByteBuffer) throws(RequestEnvelope.Rejection) {
        let bytes = line.readableBytesUInt8Span
        var id: String?
        var url: String?
        var body: JSONMember?
        var seen: Set<String> = []
        for member in try RequestEnvelope.topLevel(bytes) {
            let name = member.key.count <= 16 ? JSONText.string(bytes, content: member.key) : ""
            guard seen.insert(name).inserted else { throw Self.wrong("has a member that is given twice", name) }
            switch name {
            case "custom_id":
                guard member.kind == .string, (3...Self.maximumID + 2).contains(member.value.count) else {
                    throw Self.wrong("'custom_id' must be a string of 1 to \(Self.maximumID) bytes", name)
                }
                id = JSONText.string(bytes, value: member.value)
            case "method":
                guard JSONScanner.equals(bytes, member.value, "\"POST\"") else { throw Self.wrong("'method' must be POST", name) }
            case "url":
                guard member.kind == .string, member.value.count <= 256 else { throw Self.wrong("'url' must be a string", name) }
                url = JSONText.string(bytes, value: member.value)
            case "body":
                guard member.kind == .object else { throw Self.wrong("'body' must be an object", name) }
                body = member
            default: throw Self.wrong("may have 'custom_id', 'method', 'url' and 'body' and nothing else", nil)
            }
        }
        guard let id else { throw Self.wrong("'custom_id' is missing", "custom_id") }
        guard let url, let endpoint = BatchSupport.endpoint(url: url) else {
            throw Self.wrong("'url' must be one of \(BatchSupport.allowedURLs)", "url")
        }
        guard seen.contains("method"), let body,
            let slice = line.getSlice(at: line.readerIndex + body.value.lowerBound, length: body.value.count)
        else { throw Self.wrong("'method' and 'body' must be given", "body") }
        customID = id
        self.url = url
        envelope = try RequestEnvelope(body: slice, endpoint: endpoint)
        try Self.check(envelope)
    }

    private static func wrong(_ what: String, _ param: String?) -> RequestEnvelope.Rejection {
        RequestEnvelope.Rejection(what, param: param)
    }

    /// Refuses what needs somebody who waits for the answer, what would choose another vendor, what refers to somebody's state at the
    /// vendor, and what costs more than tokens.
    private static func check(_ envelope: RequestEnvelope) throws(RequestEnvelope.Rejection) {
        if envelope.isStream { throw wrong("'stream' is not possible in a batch", "stream") }
        if !envelope.fallbackModels.isEmpty { throw wrong("'models' is not possible in a batch, whose lines are for one model", "models") }
        if envelope.providerPreferences != nil { throw wrong("'provider' is not possible in a batch", "provider") }
        if let tier = envelope.serviceTier, tier != "auto", tier != "default" {
            throw wrong("'service_tier' must be left out of a batch, which is a tier of its own", "service_tier")
        }
        if envelope.endpoint == .responses {
            let bytes = envelope.body.readableBytesUInt8Span
            for name in ["previous_response_id", "conversation", "prompt", "background"] as [StaticString] {
                guard let member = envelope.member(name), member.kind != .null, !JSONScanner.equals(bytes, member.value, "false")
                else { continue }
                throw wrong("'\(name)' is not possible in a batch", "\(name)")
            }
        }
        let extras = try RequestExtras(envelope, pricesSearch: false)
        if let tool = extras?.leftOut.first {
            throw wrong("the tool '\(tool)' is run by the vendor and not possible in a batch here", "tools")
        }
    }
}

/// Cuts bytes that come in pieces into lines, with bounded memory.
public struct LineSplitter: Sendable {
    private var rest = ByteBuffer()
    private let maximum: Int
    /// Bytes of `rest` that are known to have no line end.
    private var searched = 0
    private var isSkipping = false
    /// Lines longer than the bound, which were dropped.
    public private(set) var dropped: Int64 = 0

    /// - Parameter maximum: bytes of a line.
    public init(maximum: Int) { self.maximum = maximum }

    public mutating func push(_ bytes: ByteBuffer) {
        rest.discardReadBytes()
        rest.writeImmutableBuffer(bytes)
    }

    /// The next whole line without its end, empty ones included; nil = more bytes are needed.
    public mutating func next() -> ByteBuffer? {
        while true {
            let found = rest.withUnsafeReadableBytes { bytes in bytes.dropFirst(searched).firstIndex(of: 0x0A) }
            guard let found else {
                searched = rest.readableBytes
                if searched > maximum { skip() }
                return nil
            }
            searched = 0
            let line = rest.readSlice(length: found)
            rest.moveReaderIndex(forwardBy: 1)
            if isSkipping {
                isSkipping = false
                continue
            }
            guard let line, line.readableBytes <= maximum else {
                dropped += 1
                continue
            }
            return Self.trimmed(line)
        }
    }

    /// The last line when the bytes have ended without a line break; nil = there is none.
    public mutating func last() -> ByteBuffer? {
        defer { rest.clear() }
        guard !isSkipping, rest.readableBytes > 0 else { return nil }
        return Self.trimmed(rest)
    }

    private mutating func skip() {
        if !isSkipping { dropped += 1 }
        isSkipping = true
        searched = 0
        rest.clear()
    }

    private static func trimmed(_ line: ByteBuffer) -> ByteBuffer {
        guard line.readableBytes > 0, line.getInteger(at: line.writerIndex - 1, as: UInt8.self) == 0x0D else { return line }
        return line.getSlice(at: line.readerIndex, length: line.readableBytes - 1) ?? line
    }
}
