import NIOCore

/// Sound to words, in its own language or in English: the request is a form with a file
/// (`/audio/transcriptions`, https://platform.openai.com/docs/api-reference/audio/createTranscription, and
/// `/audio/translations`, …/createTranslation).
public enum TranscriptionsOperation: Operation {
    static var takesForm: Bool { true }
    static var mayAnswerInText: Bool { true }

    static func read(_ form: MultipartForm, _ request: inout RequestEnvelope) throws(RequestEnvelope.Rejection) {
        let body = request.body
        request.media.format = try request.field("response_format", form)
        let files = form.all("file")
        guard let file = files.first else {
            throw RequestEnvelope.Rejection(
                "you must provide a file to \(request.endpoint == .translations ? "translate" : "transcribe")", param: "file")
        }
        guard files.count == 1 else { throw RequestEnvelope.Rejection("field 'file' is given twice", param: "file") }
        guard file.fileName != nil else {
            throw RequestEnvelope.Rejection("'file' must be a file with a filename, not a plain field", param: "file")
        }
        let start = body.readerIndex + file.value.lowerBound
        guard !file.value.isEmpty, let head = body.getSlice(at: start, length: min(file.value.count, 64)) else {
            throw RequestEnvelope.Rejection("the uploaded file is empty", param: "file")
        }
        let audio = AudioLength(bytes: Int64(file.value.count), head: head)
        request.media.audio = audio
        let words = Int64(form.all("prompt").reduce(0) { $0 + $1.value.count })
        request.prompt.tokens = (words + 3) / 4 + MediaEstimate.audioTokens(milliseconds: audio.milliseconds)
        request.prompt.upperBound = words + MediaEstimate.audioTokens(milliseconds: audio.upperBound)
    }

    static let strictFields: Set<String> = [
        "model", "file", "language", "prompt", "response_format", "temperature", "timestamp_granularities[]", "stream",
        "chunking_strategy", "include[]",
    ]

    static func checkStrict(_ form: MultipartForm, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection) {
        guard let file = form.all("file").first, StrictAudio.isBounded(bytes, file.value) else {
            throw RequestEnvelope.Rejection(
                "'file' is sound whose length cannot be told from its size, so strict admission (metering.admission: strict) refuses it: "
                    + "send uncompressed WAV or MP3; standard admission would take it", param: "file")
        }
    }

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
