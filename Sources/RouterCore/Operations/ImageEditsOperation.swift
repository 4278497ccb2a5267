import NIOCore

/// Pictures from pictures and words: the request is a form with files
/// (`/images/edits`, https://platform.openai.com/docs/api-reference/images/createEdit).
public enum ImageEditsOperation: Operation {
    static var takesForm: Bool { true }
    static var isBilledToTheEnd: Bool { true }
    /// How many tokens a picture in the prompt has is the vendor's to say.
    static var boundsTokens: Bool { false }

    /// Most pictures of a request, as OpenAI allows.
    private static let maximumPictures = 16

    /// Pictures come as `image`, or several times as `image[]`, as the official SDKs write a list.
    static func read(_ form: MultipartForm, _ request: inout RequestEnvelope) throws(RequestEnvelope.Rejection) {
        let pictures = form.parts.filter { $0.name == "image" || $0.name == "image[]" }
        guard !pictures.isEmpty else { throw RequestEnvelope.Rejection("you must provide an image to edit", param: "image") }
        guard pictures.count <= maximumPictures else {
            throw RequestEnvelope.Rejection("at most \(maximumPictures) images can be edited at a time", param: "image")
        }
        let masks = form.all("mask")
        guard masks.count <= 1 else { throw RequestEnvelope.Rejection("field 'mask' is given twice", param: "mask") }
        for part in pictures + masks {
            let name = part.name == "mask" ? "mask" : "image"
            guard part.fileName != nil else {
                throw RequestEnvelope.Rejection("'\(name)' must be a file with a filename, not a plain field", param: name)
            }
            guard !part.value.isEmpty else { throw RequestEnvelope.Rejection("the uploaded file of '\(name)' is empty", param: name) }
        }
        let prompts = form.all("prompt")
        guard let prompt = prompts.first, prompt.fileName == nil else {
            throw RequestEnvelope.Rejection("you must provide a prompt", param: "prompt")
        }
        guard prompts.count == 1 else { throw RequestEnvelope.Rejection("field 'prompt' is given twice", param: "prompt") }
        request.choices = try request.number("n", form, 1...100) ?? 1
        request.media.size = try request.field("size", form)
        request.media.quality = try request.field("quality", form)
        request.media.partialImages = try request.number("partial_images", form, 0...100) ?? 0
        let isLow = try request.field("input_fidelity", form) == "low"
        let each = isLow ? MediaEstimate.pictureTokens : MediaEstimate.pictureTokens + MediaEstimate.fidelityTokens
        request.media.pictureTokens = Int64(pictures.count) * each
        request.prompt.tokens = Int64(prompt.value.count + 3) / 4 + request.media.pictureTokens
        request.prompt.upperBound = Int64(prompt.value.count)
    }

    static let strictFields: Set<String> = [
        "model", "image", "image[]", "mask", "prompt", "n", "size", "quality", "response_format", "background", "input_fidelity",
        "moderation", "output_format", "output_compression", "partial_images", "stream", "user",
    ]

    /// Forms are read by ``StrictBound`` itself.
    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { StrictRequestShape(body: [:]) }

    static func complete(_ bound: inout UsageBound, of request: RequestEnvelope, isStrict: Bool) {
        ImagesOperation.complete(&bound, of: request, isStrict: isStrict)
    }

    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage {
        var usage = ImagesOperation.estimatedUsage(of: request, progress, price: price, share: share, vocabulary: vocabulary)
        guard price.isTokenPriced else { return usage }
        usage.imageInput = request.media.pictureTokens
        usage.uncachedInput = request.prompt.tokens - request.media.pictureTokens
        return usage
    }

    static func handedOver(_ request: RequestEnvelope) -> AnswerShare { AnswerShare(images: request.choices) }
}
