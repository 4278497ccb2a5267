/// Lives of a gateway whose records are in one journal.
public struct JournalLives: Sendable, Hashable {
    /// 128 random bits, in hexadecimal digits.
    public var incarnation: String
    /// Earlier ones, the latest first, as many as are worth asking for.
    public var earlier: [String]
    /// True when the latest earlier life held the very lock of this folder, in this run of the system, that is held now: it is gone for
    /// certain. In a copied folder, on another machine or after a reboot this is false.
    public var isSamePlace: Bool

    public init(incarnation: String, earlier: [String] = [], isSamePlace: Bool = false) {
        self.incarnation = incarnation
        self.earlier = earlier
        self.isSamePlace = isSamePlace
    }
}
