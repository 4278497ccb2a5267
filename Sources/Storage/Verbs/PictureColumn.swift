import NIOCore
public import RouterCore

/// The prices of pictures in a price row, as JSON text with exact prices in USD: `{"input", "sizes": [{"size", "quality", "price"}]}`.
public enum PictureColumn {
    /// The entries by size and quality, as the management API shows them.
    public static func json(_ sizes: [PicturePrices.Size]) -> JSONValue {
        .array(
            sizes.map { entry in
                .object([
                    .init("size", .optional(entry.size)), .init("quality", .optional(entry.quality)),
                    .init("price", .string(entry.price.usdText)),
                ])
            })
    }

    static func text(_ pictures: PicturePrices) -> String {
        JSONValue.object([.init("input", .optional(pictures.input?.usdText)), .init("sizes", json(pictures.sizes))]).text
    }

    /// - Throws: ``StoreError/database(_:)`` for text that this program has not written.
    static func prices(_ text: String) throws -> PicturePrices? {
        guard let value = try? JSONValue(parsing: ByteBuffer(string: text)) else {
            throw StoreError.database("model_pricing.pictures is not JSON")
        }
        let sizes = try (value["sizes"]?.arrayValue ?? []).map { entry in
            guard let price = entry["price"]?.stringValue else {
                throw StoreError.database("model_pricing.pictures has an entry without a price")
            }
            return PicturePrices.Size(
                size: entry["size"]?.stringValue, quality: entry["quality"]?.stringValue, price: try FemtoUSD.parse(usdPerUnit: price).price
            )
        }
        return PicturePrices(input: try value["input"]?.stringValue.map { try FemtoUSD.parse(usdPerUnit: $0).price }, sizes: sizes)
    }
}
