/// The JSON that may stand at one place of a request body so that the vendor's count of it stays within a bound. A body is compared with
/// the shape of its dialect member by member; anything that the shape does not name is refused.
indirect enum StrictShape: Sendable {
    /// Any JSON, which the vendor reads as text: schemas of tools, their arguments, settings. Counted by its bytes.
    case free
    /// A string, counted by its bytes.
    case text
    /// A number, a boolean, a string or null, but no object or array.
    case scalar
    /// Nothing but null, because the value would refer to something that the vendor stores or runs.
    case absent(StrictRefusal)
    /// One of these strings, or null.
    case words([String], StrictRefusal)
    /// A list of shapes, or null.
    case list(StrictShape)
    /// An object, or a list of such objects.
    case listOrOne(StrictShape)
    /// A string, or a list of parts (or one part), or null.
    case textOr(StrictShape)
    /// An object with these members.
    case object([String: StrictShape])
    /// An object whose member `type` says which other members it has; without a `type` it is read as `fallback`.
    case typed([String: [String: StrictShape]], fallback: String?)
    /// An object that is recognised by having one of these members, as Google's parts are; `common` members may accompany each.
    case told([String: StrictShape], common: [String: StrictShape])
    /// A shape of the dialect, by name: for shapes that contain themselves.
    case named(String)
    /// A list of tools: the client runs tools of the given types, the vendor runs all others.
    case tools([String: StrictTool], keyed: Bool)
    /// The URL of an image, or the image as a data URL; where `isObject`, an object with the member `url`.
    case imageLink(isObject: Bool)
    /// An image in base64. Only used where the surrounding shape says that the data is an image.
    case imageData
    /// A data URL of plain text.
    case textDataURL
    /// Google's inline data: a media type and base64.
    case inlineData
    /// `{data, format}` of spoken input.
    case audioInput
    /// Text, a list of texts, a list of tokens, or a list of lists of tokens.
    case prompts
}

/// A tool that the client runs.
struct StrictTool: Sendable {
    /// Tokens that the vendor adds to describe the tool.
    var addedTokens: Int64
    init(adds addedTokens: Int64 = 0) { self.addedTokens = addedTokens }
}

/// The reason why something has no bound.
enum StrictRefusal: String, Sendable {
    case heldByVendor = "refers to something that the vendor holds, whose length nobody here knows"
    case byReference = "refers to a file or document elsewhere, whose length nobody here knows"
    case vendorTool = "asks for a tool that the vendor runs, which adds to the prompt and to the price"
    case unknown = "is nothing whose cost is known"
    case data = "is data whose length in tokens cannot be told"
    case priced = "asks for something that costs extra"
    case output = "asks for an answer that max_tokens does not bound"
    case disguised = "is written with escapes that hide its name"
    case twice = "is given twice"
    case nested = "is nested too deeply for the size of the request"
    case shape = "has a value of a type that is not expected there"
}
