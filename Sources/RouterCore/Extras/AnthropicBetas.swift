/// Selects the Anthropic betas that are passed on: those that are known not to change the cost of a request under the configured prices.
///
/// A beta is a name with a date (`interleaved-thinking-2025-05-14`). Source: https://docs.anthropic.com/en/api/beta-headers and the pages
/// of each feature; fast mode, code execution, skills and containers have prices of their own.
public enum AnthropicBetas {
    private static let free = [
        "prompt-caching-", "prompt-caching-scope-", "extended-cache-ttl-", "interleaved-thinking-", "dev-full-thinking-",
        "redact-thinking-",
        "thinking-token-count-", "adaptive-thinking-", "fine-grained-tool-streaming-", "token-efficient-tools-", "advanced-tool-use-",
        "tool-examples-", "tool-search-tool-", "computer-use-", "context-management-", "model-context-window-exceeded-", "effort-",
        "structured-outputs-", "output-128k-", "max-tokens-3-5-sonnet-", "pdfs-", "files-api-", "mcp-client-", "web-fetch-",
        "token-counting-",
        "claude-code-", "oauth-", "search-results-", "citations-",
    ]
    /// Prompts beyond 200,000 tokens, which cost more: allowed where the price row has a tier for them.
    private static let longContext = "context-1m-"

    /// - Parameters:
    ///   - list: the value of the client's header.
    ///   - pricesLongContext: whether the price rows have tiers for long prompts.
    /// - Returns: the list that is passed on, and the names that are not.
    public static func split(_ list: String, pricesLongContext: Bool) -> (kept: String, leftOut: [String]) {
        var kept: [Substring] = []
        var leftOut: [String] = []
        for part in list.split(separator: ",") {
            let name = part.drop { $0 == " " }.prefix { $0 != " " }
            if name.isEmpty { continue }
            let isKnown = free.contains { name.hasPrefix($0) } || pricesLongContext && name.hasPrefix(longContext)
            if isKnown { kept.append(name) } else { leftOut.append(String(name.prefix(64))) }
        }
        return (kept.joined(separator: ","), leftOut)
    }
}
