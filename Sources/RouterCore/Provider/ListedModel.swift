/// A model as its vendor's list tells of it. What the list has no word for is nil or empty: never a guess.
public struct ListedModel: Sendable, Hashable {
    /// The vendor's name for requests.
    public var id: String
    public var displayName: String?
    public var description: String?
    /// Tokens.
    public var contextLength: Int64?
    public var maxOutputTokens: Int64?
    /// nil: the list has no prices.
    public var price: ModelPrice?
    /// Prices that are finer than 10⁻¹⁵ USD per unit and were rounded, in the vendor's words (`prompt=0.00000000000000001`).
    public var rounded: [String]
    /// What it takes and gives, in OpenRouter's words: `text`, `image`, `audio`, `file`, `video`, `embeddings`.
    public var inputModalities: [String]
    public var outputModalities: [String]
    public var facts: ModelFacts

    public init(
        id: String, displayName: String? = nil, description: String? = nil, contextLength: Int64? = nil,
        maxOutputTokens: Int64? = nil, price: ModelPrice? = nil, rounded: [String] = [], inputModalities: [String] = [],
        outputModalities: [String] = [], facts: ModelFacts = ModelFacts()
    ) {
        self.id = id
        self.displayName = displayName
        self.description = description
        self.contextLength = contextLength
        self.maxOutputTokens = maxOutputTokens
        self.price = price
        self.rounded = rounded
        self.inputModalities = inputModalities
        self.outputModalities = outputModalities
        self.facts = facts
    }
}
