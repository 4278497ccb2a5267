/// Guesses at what pictures and sound will count, for holds and where a vendor tells nothing.
public enum MediaEstimate {
    /// Tokens of one picture of a token-priced model (https://platform.openai.com/docs/guides/image-generation, cost and latency); what
    /// is not in that table, `auto` above all, counts as the dearest.
    public static func imageTokens(size: String?, quality: String?) -> Int64 {
        let column = ["1024x1024": 0, "1024x1536": 1, "1536x1024": 2][size ?? ""]
        let row: [Int64] =
            switch quality {
            case "low": [272, 408, 400]
            case "medium": [1_056, 1_584, 1_568]
            default: [4_160, 6_240, 6_208]
            }
        return column.map { row[$0] } ?? row[1]
    }

    /// Tokens of one preview of a picture (the same guide).
    public static let partialImageTokens: Int64 = 100

    /// Tokens of sound that a model hears: one for each tenth of a second (https://platform.openai.com/docs/guides/realtime-costs).
    public static func audioTokens(milliseconds: Int64) -> Int64 { milliseconds / 100 + (milliseconds % 100 > 0 ? 1 : 0) }

    /// Tokens of the words that are said in that time: fast speech has five a second.
    public static func wordTokens(milliseconds: Int64) -> Int64 { milliseconds / 200 + 1 }

    /// Tokens of sound that a text becomes: 20 a second, at 15 letters or four characters of other scripts a second.
    public static func spokenTokens(ascii: Int64, other: Int64) -> Int64 { (ascii * 4 + 2) / 3 + other * 5 }

    /// Milliseconds in which this many characters are said.
    public static func spokenMilliseconds(characters: Int64) -> Int64 { characters * 1_000 / 15 }

    /// Tokens of sound in these bytes of it, as spoken at the bit rates that voices are sent with at most: who speaks slowly, or reads
    /// numbers, says more than the letters of his text tell.
    public static func spokenTokens(bytes: Int64, format: String?) -> Int64 {
        let bytesPerSecond: Int64 =
            switch format {
            case "wav", "pcm", "flac": 48_000
            case "opus": 16_000
            default: 24_000
            }
        return bytes * 20 / bytesPerSecond
    }

    /// Characters that these bytes of sound say.
    /// - Parameter format: `response_format` of the request; 128 kbit/s MP3 when it is not known.
    public static func spokenCharacters(bytes: Int64, format: String?) -> Int64 {
        let bytesPerSecond: Int64 =
            switch format {
            case "wav", "pcm": 48_000
            case "flac": 24_000
            case "opus": 6_000
            default: 16_000
            }
        return (bytes * 15 + bytesPerSecond - 1) / bytesPerSecond
    }

    /// One unit is a question with up to a hundred documents; a document counts again for each 500 tokens
    /// (https://docs.cohere.com/docs/how-does-cohere-pricing-work).
    public static func searchUnits(documents: Int64, tokens: Int64) -> Int64 {
        max(1, (documents + tokens / 500 + 99) / 100)
    }
}

extension RequestEnvelope {
    /// What this request may use at most (`strict`) or will probably use, for its hold.
    /// - Parameters:
    ///   - strict: what bounds it; nil = it is estimated.
    ///   - outputTokens: per choice, for endpoints that write tokens.
    ///   - contextLength: the most tokens that the model reads; nil = not known.
    ///   - searches: those that the request asks of the vendor.
    ///   - model: the vendor's name of it.
    public func bound(
        strict: StrictBound?, outputTokens: Int64, contextLength: Int64? = nil, searches: Int64 = 0, model: String = ""
    ) -> UsageBound {
        let isStrict = strict != nil
        let promptTokens = strict?.promptTokens(of: model) ?? prompt.expectedTokens(contextLength: contextLength)
        var bound = UsageBound(
            promptTokens: promptTokens, outputTokens: outputTokens, choices: choices, images: strict?.images ?? prompt.images,
            searches: searches)
        if endpoint.hasOutputBound { return bound }
        bound.outputTokens = 0
        switch endpoint {
        case .images:
            bound.images = choices
            bound.outputTokens =
                MediaEstimate.imageTokens(size: media.size, quality: media.quality)
                + media.partialImages * MediaEstimate.partialImageTokens
        case .speech:
            bound.characters = media.characters
            bound.outputTokens = spokenTokens
        case .transcriptions:
            let length = (isStrict ? media.audio?.upperBound : media.audio?.milliseconds) ?? 0
            bound.audioMilliseconds = length
            // Sound that is played faster says more than people do.
            bound.outputTokens = MediaEstimate.wordTokens(milliseconds: length) * (isStrict ? 4 : 1)
        case .rerank:
            // Each document may be read together with the question.
            bound.promptTokens += (isStrict ? media.queryUpperBound : media.queryTokens) * media.documents
            bound.searches = MediaEstimate.searchUnits(documents: media.documents, tokens: bound.promptTokens)
        default: break
        }
        return bound
    }

    private var spokenTokens: Int64 {
        MediaEstimate.spokenTokens(ascii: media.asciiCharacters, other: media.characters - media.asciiCharacters)
    }

    /// What has been used by our own count, where the vendor tells nothing. What the price does not ask for is not counted.
    /// - Parameter share: how much of the answer there is, for what is measured by its length.
    /// - Parameter vocabulary: counts the texts of conversations and embeddings; nil = they are estimated.
    public func estimatedUsage(
        _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare = .nothing, vocabulary: BPEVocabulary? = nil
    ) -> Usage {
        if endpoint.hasOutputBound || endpoint == .embeddings {
            // Images are inside the estimate's tokens, as they are inside a vendor's prompt tokens.
            return Usage(uncachedInput: promptTokens(by: vocabulary), output: progress.delivered.tokens(by: vocabulary))
        }
        var usage = Usage()
        if price.isTokenPriced { usage.uncachedInput = prompt.tokens }
        switch endpoint {
        case .images:
            usage.images = share.images
            let previews = share.previews * MediaEstimate.partialImageTokens
            let each = MediaEstimate.imageTokens(size: media.size, quality: media.quality)
            if price.isTokenPriced { usage.output = share.images * each + previews }
        case .speech:
            let spoken = min(share.characters, media.characters)
            usage.characters = spoken
            if price.isTokenPriced, media.characters > 0 {
                let (product, overflowed) = spokenTokens.multipliedReportingOverflow(by: spoken)
                usage.audioOutput = overflowed ? spokenTokens : product / media.characters
            }
        case .transcriptions:
            let whole = media.audio?.milliseconds ?? 0
            let heard = min(share.milliseconds ?? whole, whole)
            if price.audioSecond > .zero { usage.audioMilliseconds = heard }
            if price.isTokenPriced {
                // The vendor had all of it, whatever it has written down so far.
                let audio = min(MediaEstimate.audioTokens(milliseconds: whole), usage.uncachedInput)
                usage.audioInput = audio
                usage.uncachedInput -= audio
                usage.output = progress.estimatedOutputTokens
            }
        case .rerank:
            let tokens = prompt.tokens + media.queryTokens * media.documents
            usage.searches = MediaEstimate.searchUnits(documents: media.documents, tokens: tokens)
            if price.isTokenPriced { usage.uncachedInput = tokens }
        default: break
        }
        return usage
    }
}

/// How much of an answer has come, in the unit of its kind.
public struct AnswerShare: Sendable, Hashable {
    public var images: Int64 = 0
    public var previews: Int64 = 0
    public var characters: Int64 = 0
    /// nil = all of the sound.
    public var milliseconds: Int64?

    public init(images: Int64 = 0, previews: Int64 = 0, characters: Int64 = 0, milliseconds: Int64? = nil) {
        self.images = images
        self.previews = previews
        self.characters = characters
        self.milliseconds = milliseconds
    }

    public static let nothing = AnswerShare()
}
