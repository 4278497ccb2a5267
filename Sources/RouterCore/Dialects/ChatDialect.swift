import NIOCore

/// OpenAI's chat and its relatives, with what OpenRouter and others add.
public enum ChatDialect: RequestDialect {
    static var outputBounds: OutputBounds { [.maxTokens, .maxCompletionTokens] }
    static var strictShape: StrictRequestShape { StrictRequestShape(body: StrictChat.body, named: StrictChat.named) }

    static func extra(_ name: String, _ member: JSONMember, _ bytes: Span<UInt8>) -> CostlyField? {
        switch name {
        case "plugins": return .plugins
        case "web_search_options": return .builtInSearch
        case "search_parameters":
            let mode = JSONPath.member("mode", of: member.value.lowerBound, bytes).map { JSONText.raw(bytes, $0.value) }
            return mode == "\"off\"" ? nil : .unpriced("asks for a search of the vendor's")
        case "enable_search": return JSONScanner.equals(bytes, member.value, "false") ? nil : .search
        default: return nil
        }
    }
}
