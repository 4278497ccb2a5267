public import NIOCore

/// The files and batches of a vendor that has both as OpenAI does (https://platform.openai.com/docs/api-reference/batch): what its provider
/// file says about them.
public struct BatchSupport: Sendable, Hashable {
    /// Paths of the two collections behind the base URL, with a query where the vendor wants one; nil = the family's own.
    public var files: String?
    public var batches: String?
    /// Endpoints that a batch may call, with the `url` that the vendor wants in a line; nil = the family's own.
    public var urls: [Endpoint: String]?

    public init(files: String? = nil, batches: String? = nil, urls: [Endpoint: String]? = nil) {
        self.files = files
        self.batches = batches
        self.urls = urls
    }

    /// OpenAI's own, which the clients of this gateway use: the endpoints whose lines can be metered.
    public static let clientURLs: [Endpoint: String] = [
        .chat: "/v1/chat/completions", .completions: "/v1/completions", .embeddings: "/v1/embeddings", .responses: "/v1/responses",
    ]

    /// The endpoint that a client's `url` or `endpoint` names; nil for every other.
    public static func endpoint(url: String) -> Endpoint? { clientURLs.first { $0.value == url }?.key }

    /// The URLs that are allowed, for error messages.
    public static var allowedURLs: String { clientURLs.values.sorted().joined(separator: ", ") }
}

/// A call about a vendor's files and batches. Ids are the vendor's own.
public enum BatchCall: Sendable {
    /// - Parameters:
    ///   - form: `multipart/form-data` with this boundary.
    case upload(form: ByteBuffer, boundary: String)
    case file(id: String)
    case content(id: String)
    case deleteFile(id: String)
    case create(body: ByteBuffer)
    case batch(id: String)
    case cancel(id: String)
    /// The newest batches of the key's account. - Parameter after: the last one that was seen.
    case list(after: String?)
}
