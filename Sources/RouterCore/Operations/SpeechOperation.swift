import NIOCore

/// Words to sound: the answer is binary audio, or events that carry it
/// (`/audio/speech`, https://platform.openai.com/docs/api-reference/audio/createSpeech).
public enum SpeechOperation: Operation {
    static var wholeDelivery: AnswerDelivery { .bytes }
    /// Instructions may slow a voice down.
    static var boundsTokens: Bool { false }

    /// Bytes of a text that is to be spoken: a day of speech. It is copied to be counted.
    private static let maximumSpoken = 1_048_576

    static func read(_ request: inout RequestEnvelope, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection) {
        guard let input = request.member("input") else {
            throw RequestEnvelope.Rejection("you must provide an input to speak", param: "input")
        }
        guard input.kind == .string else { throw RequestEnvelope.Rejection("'input' must be a string", param: "input") }
        guard input.value.count <= maximumSpoken else {
            throw RequestEnvelope.Rejection("'input' must have at most \(maximumSpoken) bytes", param: "input")
        }
        let text = JSONText.string(bytes, value: input.value)
        request.media.characters = Int64(text.unicodeScalars.count)
        request.media.asciiCharacters = Int64(text.utf8.count { $0 < 0x80 })
        request.media.format = request.optionalText("response_format", bytes)
        request.isStream = request.optionalText("stream_format", bytes) == "sse"
    }

    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { strict }

    private static let strict = StrictRequestShape(
        body: StrictFields.merged(
            StrictFields.gateway,
            StrictFields.named(["input", "instructions", "response_format", "speed", "stream_format", "language"], .scalar),
            ["voice": .free]))

    static func complete(_ bound: inout UsageBound, of request: RequestEnvelope, isStrict: Bool) {
        bound.characters = request.media.characters
        bound.outputTokens = spokenTokens(request)
    }

    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage {
        var usage = Usage()
        let spoken = min(share.characters, request.media.characters)
        usage.characters = spoken
        guard price.isTokenPriced else { return usage }
        usage.uncachedInput = request.prompt.tokens
        if request.media.characters > 0 {
            let whole = spokenTokens(request)
            let (product, overflowed) = whole.multipliedReportingOverflow(by: spoken)
            usage.audioOutput = overflowed ? whole : product / request.media.characters
        }
        return usage
    }

    static func handedOver(_ request: RequestEnvelope) -> AnswerShare { AnswerShare(characters: request.media.characters) }

    private static func spokenTokens(_ request: RequestEnvelope) -> Int64 {
        let media = request.media
        return MediaEstimate.spokenTokens(ascii: media.asciiCharacters, other: media.characters - media.asciiCharacters)
    }
}
