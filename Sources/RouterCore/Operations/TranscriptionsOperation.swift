import NIOCore

/// Sound to words: the request is a form with a file
/// (`/audio/transcriptions`, https://platform.openai.com/docs/api-reference/audio/createTranscription).
public enum TranscriptionsOperation: Operation {
    static var takesForm: Bool { true }
    static var mayAnswerInText: Bool { true }

    /// Forms are read by ``StrictBound`` itself.
    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { StrictRequestShape(body: [:]) }

    static func complete(_ bound: inout UsageBound, of request: RequestEnvelope, isStrict: Bool) {
        let audio = request.media.audio
        let length = (isStrict ? audio?.upperBound : audio?.milliseconds) ?? 0
        bound.audioMilliseconds = length
        // Sound that is played faster says more than people do.
        bound.outputTokens = MediaEstimate.wordTokens(milliseconds: length) * (isStrict ? 4 : 1)
    }

    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage {
        var usage = Usage()
        let whole = request.media.audio?.milliseconds ?? 0
        let heard = min(share.milliseconds ?? whole, whole)
        if price.audioSecond > .zero { usage.audioMilliseconds = heard }
        guard price.isTokenPriced else { return usage }
        // The vendor had all of it, whatever it has written down so far.
        let audio = min(MediaEstimate.audioTokens(milliseconds: whole), request.prompt.tokens)
        usage.audioInput = audio
        usage.uncachedInput = request.prompt.tokens - audio
        usage.output = progress.estimatedOutputTokens
        return usage
    }
}
