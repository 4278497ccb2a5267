public import RouterCore

/// All protocol families, as an explicit list. A new family is one line here and one folder beside it.
public enum AdaptorRegistry {
    public static let families: [AdaptorID: @Sendable (ProviderSpec) -> any Provider] = [
        .openai: { OpenAIProvider(spec: $0) },
        .openrouter: { OpenAIProvider(spec: $0, variant: OpenRouter.variant) },
        .azureOpenAI: { OpenAIProvider(spec: $0, variant: AzureOpenAI.variant) },
        .anthropic: { AnthropicProvider(spec: $0) },
        .gemini: { GeminiProvider(spec: $0) },
        .cohere: { CohereProvider(spec: $0) },
        .bedrock: { BedrockProvider(spec: $0) },
    ]

    /// The translator for a vendor; nil when no family has the name in `adaptor:`.
    public static func provider(for spec: ProviderSpec) -> (any Provider)? { families[spec.family]?(spec) }
}
