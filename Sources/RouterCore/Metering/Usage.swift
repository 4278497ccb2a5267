/// The consumption of one answer, normalised so that no unit is counted twice.
///
/// Vendors disagree on what `prompt_tokens` contains (OpenAI includes cached tokens, Anthropic does not); adaptors convert the figures.
/// Here `uncachedInput + cacheRead + cacheWrite5m + cacheWrite1h` is the whole prompt, apart from audio and from pictures that a vendor
/// counts by themselves.
public struct Usage: Sendable, Hashable {
    /// Prompt tokens read at the full price, text and, where the vendor does not tell them apart, images; audio is counted separately.
    public var uncachedInput: Int64
    public var cacheRead: Int64
    public var cacheWrite5m: Int64
    public var cacheWrite1h: Int64
    /// All completion tokens except audio, reasoning included.
    public var output: Int64
    /// The part of `output` that was reasoning.
    public var reasoning: Int64
    public var audioInput: Int64
    public var audioOutput: Int64
    /// Prompt tokens of pictures that are to be edited, where the vendor tells them apart.
    public var imageInput: Int64 = 0
    /// Images that the vendor counted: made by an image model, or read where it bills them separately.
    public var images: Int64
    /// Web searches, or search units of a reranker.
    public var searches: Int64
    /// Characters of text that were spoken.
    public var characters: Int64
    /// Transcribed audio, in milliseconds.
    public var audioMilliseconds: Int64
    /// Calls that count towards a per-request price: 1 for every answer that is charged.
    public var requests: Int64
    /// The amount that the vendor says it bills us, if it says so (OpenRouter's `usage.cost`).
    public var upstreamCost: FemtoUSD?
    /// The service tier that the answer names (`flex`, `priority`, …); nil when it names none.
    public var serviceTier: String?

    public init(
        uncachedInput: Int64 = 0, cacheRead: Int64 = 0, cacheWrite5m: Int64 = 0, cacheWrite1h: Int64 = 0,
        output: Int64 = 0, reasoning: Int64 = 0, audioInput: Int64 = 0, audioOutput: Int64 = 0,
        images: Int64 = 0, searches: Int64 = 0, characters: Int64 = 0, audioMilliseconds: Int64 = 0,
        requests: Int64 = 1, upstreamCost: FemtoUSD? = nil, serviceTier: String? = nil
    ) {
        self.uncachedInput = uncachedInput
        self.cacheRead = cacheRead
        self.cacheWrite5m = cacheWrite5m
        self.cacheWrite1h = cacheWrite1h
        self.output = output
        self.reasoning = reasoning
        self.audioInput = audioInput
        self.audioOutput = audioOutput
        self.images = images
        self.searches = searches
        self.characters = characters
        self.audioMilliseconds = audioMilliseconds
        self.requests = requests
        self.upstreamCost = upstreamCost
        self.serviceTier = serviceTier
    }

    /// All tokens of the prompt: the figure that price tiers depend on.
    public var promptTokens: Int64 { uncachedInput + cacheRead + cacheWrite5m + cacheWrite1h + audioInput + imageInput }
    /// All tokens of the completion.
    public var completionTokens: Int64 { output + audioOutput }
}

/// The sources of a settlement's usage, best first.
public enum UsageSource: String, Sendable, Hashable, CaseIterable {
    /// The vendor's final (or last cumulative) usage.
    case upstream
    /// Counted by us because the vendor reported nothing; charged all the same, never silently zero.
    case estimated
    /// An estimate that was later corrected from the vendor's own record.
    case reconciled
}
