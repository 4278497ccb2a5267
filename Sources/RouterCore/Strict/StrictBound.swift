import NIOCore

/// The most that a vendor can count for a request in which every part has a known bound.
///
/// Strict admission promises that no request costs more than its hold. The body is therefore compared with a list of things that have a
/// bound: text by its bytes (no byte-level tokenizer makes more tokens than bytes), images by a flat figure each, uncompressed audio by its
/// bytes. Anything that is not on the list is refused with a 400 that names the field, before a vendor is asked.
public struct StrictBound: Sendable, Hashable {
    /// Prompt tokens, images included, for any model that counts images as usual.
    public var promptTokens: Int64
    public var images: Int64
    /// Separate prompts, each with its own answers.
    public var prompts: Int64

    /// The most tokens that one image counts with any model except those of ``tokensPerImage(of:)``. The figure is Qwen's (28 × 28 pixels
    /// per token, up to 16,384: https://github.com/QwenLM/Qwen2-VL, image resolution). OpenAI's largest is 10,000 patches
    /// (https://platform.openai.com/docs/guides/images-vision, calculating costs); Anthropic's and Google's are below 5,000.
    static let tokensPerImage: Int64 = 16_384

    /// The same for a given model name. OpenAI's gpt-4o-mini: 2,833 plus 5,667 for each of at most eight tiles (same page).
    static func tokensPerImage(of model: String) -> Int64 { model.contains("gpt-4o-mini") ? 48_169 : tokensPerImage }

    /// - Parameter model: the vendor's name of the model.
    public func promptTokens(of model: String) -> Int64 {
        Int64(clamping: Int128(promptTokens) + Int128(images) * Int128(Self.tokensPerImage(of: model) - Self.tokensPerImage))
    }
    /// Tokens that a vendor may add to the prompt when a request has tools: Anthropic documents up to 735
    /// (https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview, pricing).
    static let tokensOfTools: Int64 = 1_024
    /// The same for one tool whose schema the vendor provides (text editor, shell, computer): 245 to 700 tokens on that page.
    static let tokensOfKnownTool: Int64 = 1_024

    /// - Parameter fields: top-level fields that are accepted in addition to the known ones.
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

    private static func form(
        _ form: MultipartForm, _ envelope: RequestEnvelope, _ fields: Set<String>
    ) throws(RequestEnvelope.Rejection) -> StrictBound {
        let operation = envelope.endpoint.operation
        for part in form.parts where !operation.strictFields.contains(part.name) && !fields.contains(part.name) {
            throw rejection(part.name, .unknown)
        }
        try operation.checkStrict(form, envelope.body.readableBytesUInt8Span)
        return StrictBound(promptTokens: envelope.prompt.upperBound)
    }

    /// The 400 for a field without a bound.
    public static func rejection(_ name: String, _ why: String) -> RequestEnvelope.Rejection {
        RequestEnvelope.Rejection(
            "'\(name)' \(why), so strict admission (metering.admission: strict) refuses it; standard admission would take it", param: name)
    }

    static func rejection(_ name: String, _ why: StrictRefusal) -> RequestEnvelope.Rejection {
        switch why {
        // No admission mode accepts these: the vendor might interpret them differently.
        case .twice: RequestEnvelope.Rejection("field '\(name)' is given twice", param: name)
        case .disguised: RequestEnvelope.Rejection("field '\(name)' must be written without escapes", param: name)
        default: rejection(name, why.rawValue)
        }
    }
}
