/// Properties of a model beyond name, limits and prices, in OpenRouter's words, as a vendor's list has them
/// (https://openrouter.ai/docs/api-reference/list-available-models). Unknown ones are nil or empty: never a guess.
public struct ModelFacts: Sendable, Hashable {
    /// A name that stays when ``ListedModel/id`` is given to a newer model.
    public var canonicalSlug: String?
    public var huggingFaceID: String?
    /// Unix seconds.
    public var created: Int64?
    /// `text+image->text`
    public var modality: String?
    /// A family of tokenizers: `GPT`, `Claude`, `Llama3`.
    public var tokenizer: String?
    public var instructType: String?
    public var isModerated: Bool?
    /// Names of request fields: `tools`, `temperature`.
    public var supportedParameters: [String] = []
    /// Sampling parameters with their values as JSON numbers; null = the vendor's own default.
    public var defaultParameters: [JSONValue.Member] = []
    /// Dates such as `2026-11-29`.
    public var knowledgeCutoff: String?
    public var expirationDate: String?

    public init() {}

    public var isEmpty: Bool { self == ModelFacts() }
}
