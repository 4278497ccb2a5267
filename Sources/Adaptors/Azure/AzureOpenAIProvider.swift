public import NIOCore
public import RouterCore

/// OpenAI's protocol behind Azure's URLs: the model is a deployment's name in the path, and every call names an API version
/// (https://learn.microsoft.com/en-us/azure/ai-services/openai/reference). The base URL is the resource's
/// (`https://NAME.openai.azure.com`), the provider file says `auth: {type: header, name: api-key}`, and another version is a path of the
/// file, where `{model}` stands for the deployment.
public struct AzureOpenAIProvider: Provider {
    public static let family = AdaptorID.azureOpenAI
    public static let paths: [Endpoint: String] = [
        .chat: path("chat/completions"), .completions: path("completions"), .embeddings: path("embeddings"),
        .images: path("images/generations"), .speech: path("audio/speech"), .transcriptions: path("audio/transcriptions"),
    ]
    public static let conversions = OpenAIProvider.conversions

    /// The latest general version of the data plane.
    static let version = "2024-10-21"

    private static func path(_ operation: String) -> String { "/openai/deployments/{model}/\(operation)?api-version=\(version)" }

    private let base: OpenAIProvider

    public init(spec: ProviderSpec) { base = OpenAIProvider(spec: spec, dialect: .plain, paths: Self.paths) }

    public var spec: ProviderSpec { base.spec }

    public func request(for call: UpstreamCall) throws(UpstreamFailure) -> UpstreamRequest { try base.request(for: call) }

    public func decode(_ body: ByteBuffer, for call: UpstreamCall) throws(UpstreamFailure) -> WholeAnswer {
        try base.decode(body, for: call)
    }

    public func streamDecoder(for call: UpstreamCall) -> any StreamDecoder { base.streamDecoder(for: call) }

    public func streamDecoder(for call: UpstreamCall, head: UpstreamHead) -> any StreamDecoder {
        base.streamDecoder(for: call, head: head)
    }

    public func classify(_ head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        base.classify(head, body: body, now: now)
    }
}
