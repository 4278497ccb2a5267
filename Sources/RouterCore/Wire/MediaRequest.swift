/// The parts of an image, audio, moderation or rerank request that its price depends on.
public struct MediaRequest: Sendable {
    /// The fields of a form, when the request is a form.
    public var form: MultipartForm?
    /// `response_format`: the format that a transcription or a translation is requested in.
    public var format: String?
    /// Characters to be spoken, as Unicode scalars, which is how vendors count them.
    public var characters: Int64 = 0
    /// The number of those characters that are ASCII.
    public var asciiCharacters: Int64 = 0
    /// Length of the uploaded audio.
    public var audio: AudioLength?
    /// Documents to be ranked.
    public var documents: Int64 = 0
    /// Tokens of the query that each document is compared with, and an upper bound of them.
    public var queryTokens: Int64 = 0
    public var queryUpperBound: Int64 = 0
    /// Requested size of an image, if the client gave one.
    public var size: String?
    public var quality: String?
    /// Tokens of the pictures that are to be edited, by our estimate.
    public var pictureTokens: Int64 = 0
    /// Previews per image, which cost additional tokens.
    public var partialImages: Int64 = 0

    public init() {}

    /// Whether a transcription is requested in a format other than JSON.
    public var isPlainText: Bool { ["text", "srt", "vtt"].contains(format) }
}
