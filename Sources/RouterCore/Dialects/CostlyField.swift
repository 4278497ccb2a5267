/// What a field of a request asks for beyond tokens.
enum CostlyField: Sendable {
    /// A search.
    case search
    /// A search that models which always search have in their price per request.
    case builtInSearch
    /// OpenRouter's plugins, each of which is looked at.
    case plugins
    /// Something that nothing here has a price for, in words that follow the field's name.
    case unpriced(String)
}
