/// Estimates of what images and audio will count, for holds and where a vendor reports nothing.
public enum MediaEstimate {
    /// Tokens of one image of a token-priced model (https://platform.openai.com/docs/guides/image-generation, cost and latency); a value
    /// that is not in that table, such as `auto`, counts as the dearest.
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

    /// Tokens of one preview of an image (same guide).
    public static let partialImageTokens: Int64 = 100

    /// Tokens of a picture that is to be edited: 65 and 129 for each of its tiles, of which a picture of usual proportions has two, and as
    /// many more as a portrait has at high fidelity (https://platform.openai.com/docs/guides/images-vision, calculating costs).
    public static let pictureTokens: Int64 = 323
    public static let fidelityTokens: Int64 = 6_240

    /// Audio input tokens: one for each tenth of a second (https://platform.openai.com/docs/guides/realtime-costs).
    public static func audioTokens(milliseconds: Int64) -> Int64 { milliseconds / 100 + (milliseconds % 100 > 0 ? 1 : 0) }

    /// Tokens of the words spoken in that time: fast speech has five a second.
    public static func wordTokens(milliseconds: Int64) -> Int64 { milliseconds / 200 + 1 }

    /// Audio tokens for speaking a text: 20 a second, at 15 letters or four characters of other scripts a second.
    public static func spokenTokens(ascii: Int64, other: Int64) -> Int64 { (ascii * 4 + 2) / 3 + other * 5 }

    /// Milliseconds that it takes to speak this many characters.
    public static func spokenMilliseconds(characters: Int64) -> Int64 { characters * 1_000 / 15 }

    /// Audio tokens in these bytes of speech, at the highest bit rates that are used for voices: slow speech and spelled-out numbers take
    /// longer than the letters of the text suggest.
    public static func spokenTokens(bytes: Int64, format: String?) -> Int64 {
        let bytesPerSecond: Int64 =
            switch format {
            case "wav", "pcm", "flac": 48_000
            case "opus": 16_000
            default: 24_000
            }
        return bytes * 20 / bytesPerSecond
    }

    /// Characters spoken in these bytes of audio.
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

    /// One unit is a query with up to a hundred documents; a document counts again for each further 500 tokens
    /// (https://docs.cohere.com/docs/how-does-cohere-pricing-work).
    public static func searchUnits(documents: Int64, tokens: Int64) -> Int64 {
        max(1, (documents + tokens / 500 + 99) / 100)
    }
}
