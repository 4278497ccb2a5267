/// How much of an answer has been delivered, in the unit of its kind.
public struct AnswerShare: Sendable, Hashable {
    public var images: Int64 = 0
    public var previews: Int64 = 0
    public var characters: Int64 = 0
    /// nil = all of the audio.
    public var milliseconds: Int64?

    public init(images: Int64 = 0, previews: Int64 = 0, characters: Int64 = 0, milliseconds: Int64? = nil) {
        self.images = images
        self.previews = previews
        self.characters = characters
        self.milliseconds = milliseconds
    }

    public static let nothing = AnswerShare()
}
