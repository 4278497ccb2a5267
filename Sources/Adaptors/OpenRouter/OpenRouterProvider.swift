import HTTPTypes
public import NIOCore
public import RouterCore

/// OpenRouter: the OpenAI family with its own errors, costs and generation ids.
///
/// Source: https://openrouter.ai/docs/api-reference (chat completions, errors, streaming, usage accounting, `GET /generation`).
/// Failures come in four places: the HTTP status; a 200 body with `error`; `choices[].error`; a stream chunk with a top-level `error`.
/// Attribution headers (`HTTP-Referer`, `X-OpenRouter-Title`) are ordinary headers of the provider file.
public struct OpenRouterProvider: Provider {
    public static let family = AdaptorID.openrouter
    public static let paths = OpenAIProvider.paths

    private let base: OpenAIProvider

    public init(spec: ProviderSpec) {
        var dialect = OpenAIDialect.plain
        dialect.reportsCost = true
        // `provider` holds preferences among OpenRouter's hosts and `session_id` keeps them sticky: both go through. Names of our own
        // channels have been taken out of the preferences (``ClientPreferences/forwarded``).
        // `models` stays here, because its fallbacks are planned over our own channels.
        dialect.gatewayFields = ["models"]
        dialect.sendsEndUser = true
        dialect.forbiddenMayBeModeration = true
        dialect.readsRateLimitReset = true
        dialect.generationHeader = HTTPField.Name("X-Generation-Id")
        dialect.sidePaths = ["credits": "/credits", "generation": "/generation?id="]
        base = OpenAIProvider(spec: spec, dialect: dialect)
    }

    public var spec: ProviderSpec { base.spec }
    public var passesPreferencesOn: Bool { true }

    public func request(for call: UpstreamCall) throws(UpstreamFailure) -> UpstreamRequest { try base.request(for: call) }

    public func decode(_ body: ByteBuffer, for call: UpstreamCall) throws(UpstreamFailure) -> WholeAnswer {
        try base.decode(body, for: call)
    }

    public func streamDecoder(for call: UpstreamCall) -> any StreamDecoder { base.streamDecoder(for: call) }

    public func classify(_ head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        base.classify(head, body: body, now: now)
    }

    public func generationID(_ head: UpstreamHead) -> String? { base.generationID(head) }

    public func call(_ side: SideCall, baseURL: String?, key: Secret?) -> UpstreamRequest? {
        base.call(side, baseURL: baseURL, key: key)
    }
}
