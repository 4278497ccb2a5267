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
