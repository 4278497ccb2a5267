/// A cost beyond tokens that a field of a request causes.
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
