import NIOCore

/// What a request can make a vendor count at most, where that is known of everything in it.
///
/// Strict admission promises that no request costs more than it holds. So a body is held against a list of what has a bound: text by its
/// bytes (no byte-level tokenizer makes more tokens than bytes), pictures by a figure each, uncompressed sound by its bytes. Whatever is
/// not on the list is refused with a 400 that names the field, before a vendor is asked.
public struct StrictBound: Sendable, Hashable {
    /// Prompt tokens, pictures included, with any model whose pictures count as usual.
    public var promptTokens: Int64
    public var images: Int64
    /// Separate prompts, each with its own answers.
    public var prompts: Int64

    /// The most that one picture counts with any model but those of ``tokensPerImage(of:)``: Qwen's (28 × 28 pixels a token, up to 16,384:
    /// https://github.com/QwenLM/Qwen2-VL, image resolution). OpenAI's largest is 10,000 patches
    /// (https://platform.openai.com/docs/guides/images-vision, calculating costs), Anthropic's and Google's are below 5,000.
    static let tokensPerImage: Int64 = 16_384

    /// The same for a model by its name. OpenAI's gpt-4o-mini: 2,833 and 5,667 for each of at most eight tiles (the same page).
    static func tokensPerImage(of model: String) -> Int64 { model.contains("gpt-4o-mini") ? 48_169 : tokensPerImage }

    /// - Parameter model: the vendor's name of it.
    public func promptTokens(of model: String) -> Int64 {
        Int64(clamping: Int128(promptTokens) + Int128(images) * Int128(Self.tokensPerImage(of: model) - Self.tokensPerImage))
    }
    /// What a vendor may say to the model of its own when a request has tools: Anthropic documents up to 735 tokens
    /// (https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview, pricing).
    static let tokensOfTools: Int64 = 1_024
    /// The same for one of the tools whose schema the vendor keeps (text editor, shell, computer): 245 to 700 tokens there.
    static let tokensOfKnownTool: Int64 = 1_024

    /// - Parameter fields: top-level fields that are taken beside those that are known.
    /// - Throws: ``RequestEnvelope/Rejection`` for the first thing in the request that has no bound.
    public init(_ envelope: RequestEnvelope, allowing fields: Set<String> = []) throws(RequestEnvelope.Rejection) {
        if let form = envelope.media.form {
            self = try Self.form(form, envelope, fields)
        } else {
            self = try Self.json(envelope, fields)
        }
    }

    private init(promptTokens: Int64, images: Int64 = 0, prompts: Int64 = 1) {
        self.promptTokens = promptTokens
        self.images = images
        self.prompts = prompts
    }

    private static func json(_ envelope: RequestEnvelope, _ fields: Set<String>) throws(RequestEnvelope.Rejection) -> StrictBound {
        let bytes = envelope.body.readableBytesUInt8Span
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        let shape = envelope.endpoint.operation.strictShape(envelope.endpoint.dialect)
        var walk = StrictWalk(shapes: shape.named)
        var members = shape.body
        for field in fields where members[field] == nil { members[field] = .free }
        try walk.run(.object(members), bytes, at: start)
        return StrictBound(
            promptTokens: Int64(bytes.count - walk.imageBytes) + walk.images * tokensPerImage + walk.addedTokens,
            images: walk.images, prompts: walk.prompts)
    }

    private static let formFields: Set<String> = [
        "model", "file", "language", "prompt", "response_format", "temperature", "timestamp_granularities[]", "stream",
        "chunking_strategy", "include[]",
    ]

    private static func form(
        _ form: MultipartForm, _ envelope: RequestEnvelope, _ fields: Set<String>
    ) throws(RequestEnvelope.Rejection) -> StrictBound {
        for part in form.parts where !formFields.contains(part.name) && !fields.contains(part.name) { throw rejection(part.name, .unknown) }
        let bytes = envelope.body.readableBytesUInt8Span
        guard let file = form.all("file").first, StrictAudio.isBounded(bytes, file.value) else {
            throw RequestEnvelope.Rejection(
                "'file' is sound whose length cannot be told from its size, so strict admission (metering.admission: strict) refuses it: "
                    + "send uncompressed WAV or MP3; standard admission would take it", param: "file")
        }
        return StrictBound(promptTokens: envelope.prompt.upperBound)
    }

    /// The 400 for a field without a bound.
    public static func rejection(_ name: String, _ why: String) -> RequestEnvelope.Rejection {
        RequestEnvelope.Rejection(
            "'\(name)' \(why), so strict admission (metering.admission: strict) refuses it; standard admission would take it", param: name)
    }

    static func rejection(_ name: String, _ why: StrictRefusal) -> RequestEnvelope.Rejection {
        switch why {
        // No admission takes these: the vendor might read them another way than we do.
        case .twice: RequestEnvelope.Rejection("field '\(name)' is given twice", param: name)
        case .disguised: RequestEnvelope.Rejection("field '\(name)' must be written without escapes", param: name)
        default: rejection(name, why.rawValue)
        }
    }
}
