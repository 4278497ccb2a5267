public import NIOCore

/// What a request for pictures, sound, moderation or ranking says that its price depends on.
public struct MediaRequest: Sendable {
    /// The fields of a form, when the request is one.
    public var form: MultipartForm?
    /// `response_format`: what a transcription is to be written in.
    public var format: String?
    /// Characters that are to be spoken: Unicode scalars, which is what vendors count.
    public var characters: Int64 = 0
    /// How many of them are ASCII.
    public var asciiCharacters: Int64 = 0
    /// Length of the uploaded sound.
    public var audio: AudioLength?
    /// To be ranked.
    public var documents: Int64 = 0
    /// Tokens of the question that each document is compared with, and what they will not exceed.
    public var queryTokens: Int64 = 0
    public var queryUpperBound: Int64 = 0
    /// Size of a picture, where the client said so.
    public var size: String?
    public var quality: String?
    /// Previews of each picture, which cost tokens of their own.
    public var partialImages: Int64 = 0

    public init() {}

    /// A transcription that is no JSON.
    public var isPlainText: Bool { ["text", "srt", "vtt"].contains(format) }
}

/// How an answer comes.
public enum AnswerDelivery: Sendable, Hashable {
    /// One JSON document (or text).
    case whole
    /// Server-sent events.
    case events
    /// Binary data, passed on as it comes.
    case bytes
}

extension RequestEnvelope {
    /// The body with a model where it names none (absent or null); a body that is no JSON object stays as it is, to be refused.
    public static func naming(_ model: String, in body: ByteBuffer) -> ByteBuffer {
        let bytes = body.readableBytesUInt8Span
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        guard (try? JSONScanner.validate(bytes)) != nil, var cursor = try? JSONObjectCursor(bytes, at: start) else { return body }
        var splice = BodySplice()
        var isEmpty = true
        while let member = try? cursor.next(bytes) {
            isEmpty = false
            guard JSONText.isKey(member, "model", bytes) else { continue }
            guard member.kind == .null, !member.keyHasEscapes else { return body }
            splice.replace(member.value, with: JSONValue.string(model).text)
        }
        if splice.isEmpty { splice.insert("\"model\":\(JSONValue.string(model).text)\(isEmpty ? "" : ",")", at: start + 1) }
        return splice.applied(to: body)
    }

    /// Bytes of a text that is to be spoken: a day of speech. It is copied to be counted.
    private static let maximumSpoken = 1_048_576

    public var delivery: AnswerDelivery {
        if isStream { return .events }
        return endpoint == .speech ? .bytes : .whole
    }

    // MARK: JSON

    mutating func readMedia(_ bytes: Span<UInt8>) throws(Rejection) {
        switch endpoint {
        case .images:
            media.size = optionalText("size", bytes)
            media.quality = optionalText("quality", bytes)
            if let member = member("partial_images"), member.kind == .number {
                media.partialImages = min(max(0, JSONText.integer(bytes, member.value) ?? 0), 100)
            }
        case .speech:
            guard let input = member("input") else { throw Rejection("you must provide an input to speak", param: "input") }
            guard input.kind == .string else { throw Rejection("'input' must be a string", param: "input") }
            guard input.value.count <= Self.maximumSpoken else {
                throw Rejection("'input' must have at most \(Self.maximumSpoken) bytes", param: "input")
            }
            let text = JSONText.string(bytes, value: input.value)
            media.characters = Int64(text.unicodeScalars.count)
            media.asciiCharacters = Int64(text.utf8.count { $0 < 0x80 })
            media.format = optionalText("response_format", bytes)
            // Events instead of audio (https://platform.openai.com/docs/api-reference/audio/createSpeech).
            isStream = optionalText("stream_format", bytes) == "sse"
        case .rerank:
            guard let documents = member("documents") else { throw Rejection("you must provide documents to rank", param: "documents") }
            guard documents.kind == .array, var cursor = try? JSONArrayCursor(bytes, at: documents.value.lowerBound) else {
                throw Rejection("'documents' must be an array", param: "documents")
            }
            while let _ = try? cursor.next(bytes) { media.documents += 1 }
            guard let query = member("query") else { throw Rejection("you must provide a query", param: "query") }
            media.queryTokens = Int64((query.value.count + 3) / 4)
            media.queryUpperBound = Int64(query.value.count)
            isStream = false
        case .moderations: isStream = false
        default: break
        }
    }

    private func optionalText(_ name: StaticString, _ bytes: Span<UInt8>) -> String? {
        guard let member = member(name), member.kind == .string, member.value.count <= Self.maximumText else { return nil }
        return JSONText.string(bytes, value: member.value)
    }

    // MARK: Forms

    /// Reads a form: the model is one of its fields, the sound another. - Throws: ``Rejection``.
    public init(form body: ByteBuffer, contentType: String?, endpoint: Endpoint) throws(Rejection) {
        guard let contentType, contentType.lowercased().contains("multipart/form-data") else {
            throw Rejection("the request must be multipart/form-data, not \(contentType.map { "'\($0)'" } ?? "without a Content-Type")")
        }
        guard let boundary = MultipartForm.boundary(contentType: contentType) else {
            throw Rejection("Content-Type multipart/form-data must name a boundary")
        }
        if body.readableBytes == 0 { throw Rejection("the request body is empty; a form is expected") }
        let form = try MultipartForm(body, boundary: boundary)
        self.body = body
        self.endpoint = endpoint
        members = []
        media.form = form
        model = try Self.field("model", form, body) ?? ""
        guard !form.all("model").isEmpty else { throw Rejection("you must provide a model parameter", param: "model") }
        if let problem = ModelName.problem(model) { throw Rejection("'model' \(problem)", param: "model") }
        switch try Self.field("stream", form, body)?.lowercased() {
        case "true", "1": isStream = true
        case "false", "0", "", nil: isStream = false
        default: throw Rejection("'stream' must be true or false", param: "stream")
        }
        media.format = try Self.field("response_format", form, body)
        let files = form.all("file")
        guard let file = files.first else { throw Rejection("you must provide a file to transcribe", param: "file") }
        guard files.count == 1 else { throw Rejection("field 'file' is given twice", param: "file") }
        guard file.fileName != nil else { throw Rejection("'file' must be a file with a filename, not a plain field", param: "file") }
        let start = body.readerIndex + file.value.lowerBound
        guard !file.value.isEmpty, let head = body.getSlice(at: start, length: min(file.value.count, 64)) else {
            throw Rejection("the uploaded file is empty", param: "file")
        }
        let audio = AudioLength(bytes: Int64(file.value.count), head: head)
        media.audio = audio
        let words = Int64(form.all("prompt").reduce(0) { $0 + $1.value.count })
        prompt.tokens = (words + 3) / 4 + MediaEstimate.audioTokens(milliseconds: audio.milliseconds)
        prompt.upperBound = words + MediaEstimate.audioTokens(milliseconds: audio.upperBound)
    }

    /// The text of a plain field; nil when the form has none.
    private static func field(_ name: String, _ form: MultipartForm, _ body: ByteBuffer) throws(Rejection) -> String? {
        let parts = form.all(name)
        guard let part = parts.first else { return nil }
        guard parts.count == 1 else { throw Rejection("field '\(name)' is given twice", param: name) }
        guard part.fileName == nil else { throw Rejection("'\(name)' must be a plain field, not a file", param: name) }
        guard part.value.count <= 1_024 else { throw Rejection("'\(name)' is too long", param: name) }
        return body.getString(at: body.readerIndex + part.value.lowerBound, length: part.value.count)
    }
}
