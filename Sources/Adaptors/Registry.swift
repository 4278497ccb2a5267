public import RouterCore

/// All protocol families, as an explicit list. A new family is one line here and one folder beside it.
public enum AdaptorRegistry {
    public static let families: [any Provider.Type] = [
        OpenAIProvider.self, OpenRouterProvider.self, AnthropicProvider.self, GeminiProvider.self, CohereProvider.self,
        AzureOpenAIProvider.self, BedrockProvider.self,
    ]

    /// The translator for a vendor; nil when no family has the name in `adaptor:`.
    public static func provider(for spec: ProviderSpec) -> (any Provider)? {
        families.first { $0.family == spec.family }?.init(spec: spec)
    }
}
