import NIOCore

/// Pictures from words (`/images/generations`, https://platform.openai.com/docs/api-reference/images).
public enum ImagesOperation: Operation {
    static var isBilledToTheEnd: Bool { true }

    static func read(_ request: inout RequestEnvelope, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection) {
        // xAI's word for it is another (https://docs.x.ai/developers/rest-api-reference/inference/images).
        request.media.size = request.optionalText("size", bytes) ?? request.optionalText("resolution", bytes)
        request.media.quality = request.optionalText("quality", bytes)
        if let member = request.member("partial_images"), member.kind == .number {
            request.media.partialImages = min(max(0, JSONText.integer(bytes, member.value) ?? 0), 100)
        }
    }

    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { strict }

    private static let strict = StrictRequestShape(
        body: StrictFields.merged(
            StrictFields.gateway,
            StrictFields.named(
                [
                    "prompt", "size", "quality", "response_format", "style", "background", "moderation", "output_format",
                    "output_compression", "partial_images", "seed", "negative_prompt", "resolution",
                ], .scalar)))

    static func complete(_ bound: inout UsageBound, of request: RequestEnvelope, isStrict: Bool) {
        bound.images = request.choices
        bound.outputTokens =
            MediaEstimate.imageTokens(size: request.media.size, quality: request.media.quality)
            + request.media.partialImages * MediaEstimate.partialImageTokens
    }

    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage {
        var usage = Usage()
        usage.images = share.images
        guard price.isTokenPriced else { return usage }
        usage.uncachedInput = request.prompt.tokens
        let each = MediaEstimate.imageTokens(size: request.media.size, quality: request.media.quality)
        usage.output = share.images * each + share.previews * MediaEstimate.partialImageTokens
        return usage
    }

    static func handedOver(_ request: RequestEnvelope) -> AnswerShare { AnswerShare(images: request.choices) }
}
