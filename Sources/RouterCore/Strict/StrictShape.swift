/// What strict admission knows of a place in a request body: which JSON may stand there so that the vendor's count of it stays within a
/// bound. A body is held against its dialect's shape member by member; what the shape does not name is refused.
indirect enum StrictShape: Sendable {
    /// JSON that the vendor reads as text, whatever it says: schemas of tools, their arguments, settings. Counted by its bytes.
    case free
    /// A string, counted by its bytes.
    case text
    /// A number, a boolean, a string or null: never a structure.
    case scalar
    /// Nothing but null, because what it names lies with the vendor, or is run by it.
    case absent(StrictRefusal)
    /// A string that is one of these, or null.
    case words([String], StrictRefusal)
    /// A list of shapes, or null.
    case list(StrictShape)
    /// An object, or a list of such.
    case listOrOne(StrictShape)
    /// A string, or a list of parts (or one part), or null.
    case textOr(StrictShape)
    /// An object with these members.
    case object([String: StrictShape])
    /// An object whose member `type` says what else it has; `fallback` is meant where there is none.
    case typed([String: [String: StrictShape]], fallback: String?)
    /// An object that is told by having one of these members, as Google's parts are; `common` may stand beside each.
    case told([String: StrictShape], common: [String: StrictShape])
    /// A shape of the dialect by its name, for those that contain themselves.
    case named(String)
    /// A list of tools: those of the types given are run by the client, all others by the vendor.
    case tools([String: StrictTool], keyed: Bool)
    /// The address of a picture, or the picture as a data URL; an object with `url` where `isObject`.
    case imageLink(isObject: Bool)
    /// Base64 of a picture. Only where the shape around it says that it is one.
    case imageData
    /// A data URL of plain text.
    case textDataURL
    /// Google's data in the request: a type and base64.
    case inlineData
    /// `{data, format}` of spoken input.
    case audioInput
    /// Text, a list of texts, a list of tokens, or a list of lists of tokens.
    case prompts
}

/// A tool that the client runs.
struct StrictTool: Sendable {
    /// Tokens that the vendor adds of its own to describe it.
    var addedTokens: Int64
    init(adds addedTokens: Int64 = 0) { self.addedTokens = addedTokens }
}

/// Why something cannot be bounded.
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
