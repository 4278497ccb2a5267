/// The lives of a gateway whose records are in one journal.
public struct JournalLives: Sendable, Hashable {
    /// 128 random bits, in hexadecimal digits.
    public var incarnation: String
    /// Earlier incarnations, latest first, as many as may still hold leases.
    public var earlier: [String]
    /// True when the latest earlier life held the very lock of this directory that is held now, since the same boot of the system, so that
    /// it has certainly ended. False in a copied directory, on another machine and after a reboot.
    public var isSamePlace: Bool

    public init(incarnation: String, earlier: [String] = [], isSamePlace: Bool = false) {
        self.incarnation = incarnation
        self.earlier = earlier
        self.isSamePlace = isSamePlace
    }
}
