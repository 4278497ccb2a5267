/// What a request for pictures, sound, moderation or ranking says that its price depends on.
public struct MediaRequest: Sendable {
    /// The fields of a form, when the request is one.
    public var form: MultipartForm?
    /// `response_format`: what a transcription is to be written in.
    public var format: String?
    /// Characters that are to be spoken: Unicode scalars, which is what vendors count.
    public var characters: Int64 = 0
    /// How many of them are ASCII.
    public var asciiCharacters: Int64 = 0
    /// Length of the uploaded sound.
    public var audio: AudioLength?
    /// To be ranked.
    public var documents: Int64 = 0
    /// Tokens of the question that each document is compared with, and what they will not exceed.
    public var queryTokens: Int64 = 0
    public var queryUpperBound: Int64 = 0
    /// Size of a picture, where the client said so.
    public var size: String?
    public var quality: String?
    /// Previews of each picture, which cost tokens of their own.
    public var partialImages: Int64 = 0

    public init() {}

    /// A transcription that is no JSON.
    public var isPlainText: Bool { ["text", "srt", "vtt"].contains(format) }
}
