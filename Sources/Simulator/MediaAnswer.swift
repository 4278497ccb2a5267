import NIOCore
import RouterCore

/// The simulated vendor's answers to image, audio, moderation and rerank requests: deterministic, so that tests can predict counts.
struct MediaAnswer: Sendable {
    let endpoint: Endpoint
    let request: JSONValue
    let controls: Controls
    let model: String
    let promptTokens: Int64

    static func answers(_ endpoint: Endpoint) -> Bool {
        switch endpoint {
        case .images, .imageEdits, .speech, .transcriptions, .translations, .moderations, .rerank: true
        default: false
        }
    }

    // MARK: Counts

    private var makesPictures: Bool { endpoint == .images || endpoint == .imageEdits }
    private var hears: Bool { endpoint == .transcriptions || endpoint == .translations }

    var images: Int64 { makesPictures ? max(1, number("n") ?? 1) : 0 }
    var characters: Int64 { endpoint == .speech ? Int64((request["input"]?.stringValue ?? "").unicodeScalars.count) : 0 }
    var isStream: Bool { request["stream"]?.boolValue == true || request["stream_format"]?.stringValue == "sse" }
    /// A number of a body or of a form, which has texts only.
    private func number(_ name: String) -> Int64? { request[name]?.integerValue ?? request[name]?.stringValue.flatMap { Int64($0) } }
    /// Tokens of the pictures that are to be edited.
    private var imageTokens: Int64 { endpoint == .imageEdits && hasTokens ? min(controls.count("image_tokens") ?? 0, promptTokens) : 0 }
    private var documents: Int { request["documents"]?.arrayValue?.count ?? 0 }
    private var outputTokens: Int64 { controls.count("completion_tokens") ?? 10 }
    /// Whether the answer is billed by tokens, as with newer models.
    private var hasTokens: Bool { controls.has("tokens") }

    /// The length that the vendor measured, as text.
    private var seconds: String { controls.text("seconds") ?? "8.47" }

    private var milliseconds: Int64 {
        guard hears, !hasTokens else { return 0 }
        let parts = seconds.split(separator: ".")
        let fraction = parts.count > 1 ? String(parts[1].prefix(3)) : ""
        return (Int64(parts[0]) ?? 0) * 1_000 + (Int64(fraction + String(repeating: "0", count: 3 - fraction.count)) ?? 0)
    }

    func bill(_ row: inout BillingRow) {
        row.images = hasTokens ? 0 : images
        row.characters = hasTokens ? 0 : characters
        row.audioMilliseconds = milliseconds
        row.searches = endpoint == .rerank ? searchUnits : 0
        row.promptTokens = hasTokens ? promptTokens : 0
        row.completionTokens = hasTokens ? outputTokens : 0
        row.usageSent = !controls.has("no_usage")
        row.imageTokens = imageTokens
        row.size = request["size"]?.stringValue
        row.quality = request["quality"]?.stringValue
    }

    private var searchUnits: Int64 { controls.count("search_units") ?? Int64((documents + 99) / 100) }

    private var usage: JSONValue.Member? {
        guard !controls.has("no_usage") else { return nil }
        guard hasTokens else {
            return hears ? .init("usage", ["type": "duration", "seconds": .number(seconds)]) : nil
        }
        let audio = hears ? controls.count("audio_tokens") ?? 0 : 0
        return .init(
            "usage",
            .object([
                .init("type", "tokens"), .init("input_tokens", .integer(promptTokens)), .init("output_tokens", .integer(outputTokens)),
                .init("total_tokens", .integer(promptTokens + outputTokens)),
                details(audio),
            ]))
    }

    /// OpenAI writes the name of images' details in the plural.
    private func details(_ audio: Int64) -> JSONValue.Member {
        guard makesPictures else {
            return .init("input_token_details", ["text_tokens": .integer(promptTokens - audio), "audio_tokens": .integer(audio)])
        }
        return .init(
            "input_tokens_details", ["text_tokens": .integer(promptTokens - imageTokens), "image_tokens": .integer(imageTokens)])
    }

    // MARK: Whole

    /// - Returns: nil for audio, which is streamed.
    func whole() -> (type: String, body: ByteBuffer)? {
        var members: [JSONValue.Member] = []
        switch endpoint {
        case .images, .imageEdits:
            members = [.init("created", .number("1700000000")), .init("data", .array((0..<images).map { picture($0) }))]
        case .transcriptions, .translations:
            let format = request["response_format"]?.stringValue ?? "json"
            if ["text", "srt", "vtt"].contains(format) { return ("text/plain; charset=utf-8", ByteBuffer(string: words.joined() + "\n")) }
            if format == "verbose_json" {
                members = [.init("task", "transcribe"), .init("language", "english"), .init("duration", .number(seconds))]
            }
            members.append(.init("text", .string(words.joined())))
        case .moderations:
            members = [
                .init("id", "modr-1"), .init("model", .string(model)),
                .init(
                    "results", [["flagged": false, "categories": ["violence": false], "category_scores": ["violence": .number("0.01")]]]),
            ]
        case .rerank:
            let results = (0..<documents).reversed().map { index -> JSONValue in
                ["index": .integer(index), "relevance_score": .number("0.\(index + 1)")]
            }
            members = [.init("id", "rerank-1"), .init("results", .array(Array(results)))]
            if !controls.has("no_usage") {
                members.append(.init("meta", ["billed_units": ["search_units": .integer(searchUnits)]]))
            }
        default: return nil
        }
        if let usage { members.append(usage) }
        return ("application/json", ByteBuffer(string: JSONValue.object(members).text))
    }

    private var words: [String] { ["The ", "quick ", "brown ", "fox."] }

    private func picture(_ number: Int64) -> JSONValue {
        guard request["response_format"]?.stringValue == "b64_json" || controls.has("image_bytes") else {
            return ["url": .string("https://vendor.test/picture-\(number).png")]
        }
        return ["b64_json": .string(String(repeating: "QUJD", count: max(1, (controls.number("image_bytes") ?? 64) / 4)))]
    }

    // MARK: Streamed

    /// Audio in chunks, or events; a fault ends them early.
    func steps() -> [StreamPlan.Step] {
        var steps: [StreamPlan.Step] = []
        let pieces = pieces
        for (number, piece) in pieces.enumerated() {
            if let fault = fault(after: number) { return steps + fault }
            if number > 0, let pace = controls.duration("pace") { steps.append(.pause(pace)) }
            steps.append(.send(piece, tokens: 0))
        }
        return steps + (fault(after: pieces.count) ?? []) + [.end]
    }

    private func fault(after count: Int) -> [StreamPlan.Step]? {
        if controls.number("reset_after") == count { return [.reset] }
        if controls.number("close_after") == count { return [.close] }
        if controls.number("end_after") == count { return [.end] }
        if controls.number("stall_after") == count { return [.stall] }
        return nil
    }

    private var pieces: [ByteBuffer] {
        var events: [JSONValue] = []
        switch endpoint {
        case .speech where !isStream:
            let size = controls.number("chunk_bytes") ?? 1_000
            return (0..<(controls.number("chunks") ?? 4)).map { ByteBuffer(repeating: UInt8($0 % 100 + 1), count: size) }
        case .speech:
            events = ["AAAA", "BBBB"].map { ["type": "speech.audio.delta", "audio": .string($0)] }
            events.append(finished("speech.audio.done"))
        case .transcriptions, .translations:
            events = words.map { ["type": "transcript.text.delta", "delta": .string($0)] }
            events.append(finished("transcript.text.done", [.init("text", .string(words.joined()))]))
        default:
            let kind = endpoint == .imageEdits ? "image_edit" : "image_generation"
            events = (0..<(number("partial_images") ?? 0)).map {
                ["type": .string("\(kind).partial_image"), "partial_image_index": .integer($0), "b64_json": "QUJD"]
            }
            events.append(finished("\(kind).completed", [.init("b64_json", "QUJDQUJD")]))
        }
        return events.map { ByteBuffer(string: "data: \($0.text)\n\n") }
    }

    private func finished(_ type: String, _ members: [JSONValue.Member] = []) -> JSONValue {
        .object([.init("type", .string(type))] + members + [usage].compactMap { $0 })
    }
}

/// Converts a form's plain fields to a JSON object, so that it can be processed in the same way; a file becomes its size.
enum FormRequest {
    static func json(_ body: ByteBuffer, contentType: String?) -> JSONValue? {
        guard let boundary = contentType.flatMap({ MultipartForm.boundary(contentType: $0) }),
            let form = try? MultipartForm(body, boundary: boundary)
        else { return nil }
        return .object(
            form.parts.map { part in
                if part.fileName != nil { return .init(part.name, .integer(part.value.count)) }
                let text = body.getString(at: body.readerIndex + part.value.lowerBound, length: part.value.count) ?? ""
                return .init(part.name, part.name == "stream" ? .boolean(text == "true") : .string(text))
            })
    }
}
