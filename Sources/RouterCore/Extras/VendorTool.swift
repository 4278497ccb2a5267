/// Classifies a tool of a request by who runs it and how it is paid for.
public enum VendorTool: Sendable {
    /// The client runs it; the vendor bills the tokens of its description.
    case client
    /// The vendor runs it and bills only the tokens that it adds.
    case tokens
    /// A web search, for which price rows have a price.
    case search
    /// The vendor bills it in a unit for which price rows have no price.
    case priced

    /// Classifies by the `type` of a tool, in OpenAI's, Anthropic's and OpenRouter's dialects. Sources:
    /// https://platform.openai.com/docs/pricing (built-in tools), https://docs.anthropic.com/en/docs/about-claude/pricing (tool use),
    /// https://openrouter.ai/docs/features/web-search.
    public init(type: String) {
        switch type {
        case "", "function", "custom", "local_shell", "apply_patch", "namespace", "computer_use_preview", "computer": self = .client
        case "mcp", "mcp_toolset", "tool_search": self = .tokens
        case "web_search", "openrouter:web_search": self = .search
        default: self = Self.versioned(type)
        }
    }

    /// Anthropic's types end with a date, and some of OpenAI's with `preview` and a date.
    private static func versioned(_ type: String) -> VendorTool {
        func begins(_ names: String...) -> Bool { names.contains { type.hasPrefix($0) } }
        if begins("bash_", "text_editor_", "computer_2", "memory_") { return .client }
        if begins("web_fetch_", "tool_search_tool_") { return .tokens }
        return begins("web_search_") ? .search : .priced
    }

    /// Classifies by the member name of one of Google's tools (https://ai.google.dev/gemini-api/docs/pricing, tools).
    init(geminiName name: String) {
        switch name {
        case "functionDeclarations", "function_declarations", "computerUse", "computer_use": self = .client
        case "codeExecution", "code_execution", "urlContext", "url_context", "fileSearch", "file_search": self = .tokens
        case "googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval": self = .search
        default: self = .priced
        }
    }

    /// Nobody but the vendor can run it.
    public var isRunByVendor: Bool {
        if case .client = self { false } else { true }
    }

    /// Whether a request may use the tool. - Parameter pricesSearch: every candidate's price row has a price for a search.
    func isCovered(pricesSearch: Bool) -> Bool {
        switch self {
        case .client, .tokens: true
        case .search: pricesSearch
        case .priced: false
        }
    }
}
