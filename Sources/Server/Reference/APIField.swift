/// A field of a request or of an answer, declared once: handlers read requests according to it (``RequestFields``, ``QueryFields``), and
/// docs/api.md and the OpenAPI document are generated from it.
struct APIField: Sendable {
    let name: String
    let kind: Kind
    /// In a request: whether the field has to be sent. In an answer: whether it is always present.
    private(set) var isRequired = true
    private(set) var isNullable = false
    /// One or two sentences in Markdown, with units.
    let meaning: String

    init(_ name: String, _ kind: Kind, _ meaning: String) {
        self.name = name
        self.kind = kind
        self.meaning = meaning
    }

    /// The same field, but it may be left out.
    var optional: APIField {
        var field = self
        field.isRequired = false
        return field
    }

    /// The same field, but it may be null.
    var orNull: APIField {
        var field = self
        field.isNullable = true
        return field
    }

    /// The permitted values.
    indirect enum Kind: Sendable {
        /// A string; in a request of at most this many bytes of UTF-8. nil = no limit of its own.
        case text(Int?)
        case choice([String])
        case integer(ClosedRange<Int64>)
        /// One of a few numbers, each with its meaning.
        case code([(value: Int64, meaning: String)])
        /// Unix seconds.
        case time
        case boolean
        /// USD, exact to nine decimals.
        case usd
        /// USD per unit, exact to fifteen decimals.
        case price
        /// A number with a few decimals.
        case decimal
        /// An array; in a request of at most this many elements; nil = no limit of its own.
        case list(Kind, maximum: Int?)
        case object([APIField])
        /// An object with a name in the documents.
        case shape(APIShape)
        /// A file in a form.
        case file
        case any

        /// An array in an answer.
        static func list(_ element: Kind) -> Kind { .list(element, maximum: nil) }

        static let string = Kind.text(nil)
        static let id = Kind.integer(1 ... .max)
        static let count = Kind.integer(0 ... .max)
    }
}

/// An object with a name, which several answers share.
struct APIShape: Sendable {
    /// The name in the OpenAPI document.
    let name: String
    let meaning: String
    let fields: [APIField]
}
