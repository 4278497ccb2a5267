/// The prices of pictures by size, quality and input tokens, beyond the price of one picture. A class, so that rows without it cost
/// nothing to copy.
public final class PicturePrices: Sendable, Hashable {
    /// The price of one image of a size, a quality, or both.
    public struct Size: Sendable, Hashable {
        /// As requests write it (`1024x1792`); nil = any.
        public var size: String?
        /// The same (`hd`); nil = any.
        public var quality: String?
        /// USD per image.
        public var price: FemtoUSD

        public init(size: String?, quality: String?, price: FemtoUSD) {
            self.size = size
            self.quality = quality
            self.price = price
        }
    }

    /// USD per token of a picture in the prompt; nil = as the other prompt tokens.
    public let input: FemtoUSD?
    public let sizes: [Size]

    public init(input: FemtoUSD? = nil, sizes: [Size] = []) {
        self.input = input
        self.sizes = sizes
    }

    /// Most entries of a row: a vendor has a handful.
    public static let maximumSizes = 64

    /// The price of an image of this size and quality. An entry that names both comes before one that names one of them; of two that name
    /// one each, the dearer counts. Without an entry: `usual` where the request leaves both to the vendor's default, and the dearest price
    /// of the row where it asks for something that the row does not know (`auto` included), so that no image is sold below its price.
    /// - Parameter usual: the row's price of an image, which is that of the vendor's default.
    public func price(size: String?, quality: String?, usual: FemtoUSD) -> FemtoUSD {
        let matches = sizes.filter { entry in
            (entry.size == nil || entry.size == size) && (entry.quality == nil || entry.quality == quality)
        }
        let isKnown =
            (size == nil || matches.contains { $0.size == size }) && (quality == nil || matches.contains { $0.quality == quality })
        guard isKnown else { return sizes.map(\.price).reduce(usual, max) }
        if let exact = matches.first(where: { $0.size != nil && $0.quality != nil }) { return exact.price }
        return matches.map(\.price).max() ?? usual
    }

    public static func == (left: PicturePrices, right: PicturePrices) -> Bool {
        left === right || left.input == right.input && left.sizes == right.sizes
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(input)
        hasher.combine(sizes)
    }
}
