import RouterCore

/// The vendors' own checks of a request, for the control `strict`: unknown fields, roles, parts, names of tools, and that every call of a
/// tool has its result where the vendor expects it. Each vendor's file names its source.
enum VendorRules {
    case openAIChat, openRouterChat, responses, anthropic, gemini, bedrock

    init?(_ family: SimulatedFamily) {
        switch family {
        case .anthropic: self = .anthropic
        case .gemini: self = .gemini
        case .bedrock: self = .bedrock
        case .cohere: return nil
        }
    }

    /// - Returns: the message of the vendor's refusal; nil when the vendor would accept the request.
    func refusal(of request: JSONValue) -> String? {
        let request = CheckedJSON(request)
        do throws(VendorRefusal) {
            switch self {
            case .openAIChat: try ChatRules(isOpenRouter: false).check(request)
            case .openRouterChat: try ChatRules(isOpenRouter: true).check(request)
            case .responses: try ResponsesRules.check(request)
            case .anthropic: try AnthropicRules.check(request)
            case .gemini: try GeminiRules.check(request)
            case .bedrock: try BedrockRules.check(request)
            }
        } catch {
            return error.message
        }
        return nil
    }
}
