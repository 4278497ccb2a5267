public import NIOCore

/// A protocol family's translator for one vendor: from an OpenAI-format request to the vendor's call, and back.
///
/// Pure: no I/O, no clock, no randomness. The Server sends what it makes. A vendor of an existing family is a
/// ``ProviderSpec`` and needs no code.
public protocol Provider: Sendable {
    /// Endpoint paths of the family, relative to the base URL; what is missing is not spoken.
    var paths: [Endpoint: String] { get }
    /// Dialects of clients that the family does not speak itself, each with its own endpoint that serves them by conversion.
    var conversions: [Endpoint: Endpoint] { get }
    var spec: ProviderSpec { get }

    /// The upstream call for a client's request.
    /// - Throws: ``UpstreamFailure`` of source `.gateway` when the request cannot be expressed.
    func request(for call: UpstreamCall) throws(UpstreamFailure) -> UpstreamRequest

    /// Reads a whole answer (status 2xx).
    func decode(_ body: ByteBuffer, for call: UpstreamCall) throws(UpstreamFailure) -> WholeAnswer

    /// Reads a streamed answer (status 2xx).
    func streamDecoder(for call: UpstreamCall) -> any StreamDecoder

    /// The same for an answer whose head says more than its bytes (the length of a sound).
    func streamDecoder(for call: UpstreamCall, head: UpstreamHead) -> any StreamDecoder

    /// Makes a failure of a non-2xx answer. `body` may be cut at 64 KiB. `now` (Unix seconds) turns a `Retry-After` date into a duration.
    func classify(_ head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure

    /// The vendor's id of the generation, when the head tells it (OpenRouter: `X-Generation-Id`).
    func generationID(_ head: UpstreamHead) -> String?

    /// Whether the vendor is an aggregator that understands the client's `provider` preferences over its own hosts.
    var passesPreferencesOn: Bool { get }

    /// Calls beside the traffic, as data; nil where the vendor has no such thing. The Server makes them.
    func call(_ side: SideCall, baseURL: String?, key: Secret?) -> UpstreamRequest?

    /// A call about files and batches; nil where the vendor has none, or an id is not fit for a URL.
    func call(_ batch: BatchCall, channel: Channel, key: Secret?) -> UpstreamRequest?

    /// Endpoints that a batch may call at this vendor, with the `url` of a line there; empty where the vendor has no batches.
    var batchURLs: [Endpoint: String] { get }

    /// Reads the answer to ``SideCall/generation(id:)``; nil when it is no record of a generation.
    func generation(_ body: ByteBuffer) -> Usage?

    /// Reads the answer to ``SideCall/activity``; nil when it is none.
    func activity(_ body: ByteBuffer) -> [DailyCost]?

    /// Reads the answer to ``SideCall/listModels``; nil when it is no list of models.
    func models(_ body: ByteBuffer) -> [ListedModel]?
}

/// What can be asked of a vendor apart from answers.
public enum SideCall: Sendable, Hashable {
    case listModels
    /// The vendor's record of one generation, by its id.
    case generation(id: String)
    /// What the account has cost, day by day.
    case activity
    /// A response that the vendor keeps.
    case response(id: String, ResponseCall)
}

/// A call to a vendor about a response that it keeps (https://platform.openai.com/docs/api-reference/responses).
public enum ResponseCall: Sendable, Hashable {
    /// - Parameter query: as the client sent it, without its question mark.
    case retrieve(query: String)
    case inputItems(query: String)
    case delete
    case cancel
}

extension Provider {
    /// Endpoints that both the family and the file serve, and those that are served by conversion.
    public var capabilities: Set<Endpoint> {
        let own = Set(spec.endpoints.keys).intersection(paths.keys)
        return own.union(conversions.filter { own.contains($0.value) }.keys)
    }

    public func streamDecoder(for call: UpstreamCall, head: UpstreamHead) -> any StreamDecoder { streamDecoder(for: call) }

    public var passesPreferencesOn: Bool { false }

    public func generationID(_ head: UpstreamHead) -> String? { nil }

    public func call(_ side: SideCall, baseURL: String?, key: Secret?) -> UpstreamRequest? { nil }

    public func call(_ batch: BatchCall, channel: Channel, key: Secret?) -> UpstreamRequest? { nil }

    public var batchURLs: [Endpoint: String] { [:] }

    public func generation(_ body: ByteBuffer) -> Usage? { nil }

    public func activity(_ body: ByteBuffer) -> [DailyCost]? { nil }

    public func models(_ body: ByteBuffer) -> [ListedModel]? { nil }
}

/// One attempt, as an adaptor sees it.
public struct UpstreamCall: Sendable {
    public var envelope: RequestEnvelope
    public private(set) var shared: SharedChannel
    public var channel: Channel {
        @inlinable _read { yield shared.value }
        set { shared = SharedChannel(newValue) }
    }
    public var key: Secret?
    /// Public name, as the client knows it; may be one of its fallback `models`.
    public var model: String
    public var upstreamModel: String
    /// For `usage.cost`.
    public var quote: PriceQuote
    /// The client's preferences among the hosts of an aggregator.
    public var hostPreferences: ClientPreferences.Forwarded
    /// When the call was made, in Unix seconds: the `created` of an answer whose vendor tells none.
    public var startedAt: Int64 = 0
    /// The id of an answer whose vendor gives it none; letters, digits, `-` and `_`.
    public var answerID = ""
    /// Names of Anthropic's betas that a Messages client asked for (`anthropic-beta`): the one header of a client that may go on, and only
    /// to a vendor of that dialect.
    public var betas = ""
    /// The gateway keeps the answer: it has the id that the gateway gives it, and tells what it continues. nil = it does not.
    public var kept: KeptAnswer?
    /// The vendor makes the response behind its answer, and somebody looks after it.
    public var isBackground = false
    /// A conversion leaves out what steers the vendor's upkeep alone (``ConversionMode/lenient``), instead of refusing it.
    public var isLenient = true

    public init(
        envelope: RequestEnvelope, channel: SharedChannel, key: Secret?, model: String, upstreamModel: String,
        quote: PriceQuote, hostPreferences: ClientPreferences.Forwarded = .asGiven, startedAt: Int64 = 0
    ) {
        self.startedAt = startedAt
        self.envelope = envelope
        shared = channel
        self.key = key
        self.model = model
        self.upstreamModel = upstreamModel
        self.quote = quote
        self.hostPreferences = hostPreferences
    }

    /// Where the channel points.
    public var baseURL: String { channel.baseURL ?? channel.provider.baseURL }
}

/// The state that an answer tells of because the gateway keeps it.
public struct KeptAnswer: Sendable, Hashable {
    public var previousResponseID: String?
    public var conversationID: String?

    public init(previousResponseID: String? = nil, conversationID: String? = nil) {
        self.previousResponseID = previousResponseID
        self.conversationID = conversationID
    }
}

/// A whole answer, translated.
public struct WholeAnswer: Sendable {
    /// What the client gets.
    public var body: ByteBuffer
    public var progress: AnswerProgress
    /// nil = JSON.
    public var contentType: String?

    public init(body: ByteBuffer, progress: AnswerProgress) {
        self.body = body
        self.progress = progress
    }
}

/// What is known of an answer so far.
public struct AnswerProgress: Sendable, Hashable {
    /// Content, reasoning, a tool call or a refusal came: from here on the client has something that costs.
    public var hasContent = false
    /// The vendor's figures; the last ones win.
    public var usage: Usage? {
        didSet { if (usage?.completionTokens ?? 0) > (oldValue?.completionTokens ?? 0) { usageCoversDelivered() } }
    }
    /// Our estimate of what had been delivered when ``usage`` last told more of the answer than before: figures that stand still (Gemini's
    /// of the prompt alone) say nothing of what has come since.
    public private(set) var coveredTokens: Int64 = 0
    /// `usage` is our own count, because the vendor has told nothing (yet).
    public var isUsageEstimated = false
    /// Some choice ended regularly.
    public var hasFinishReason = false
    /// That reason, where it is known; of several choices, the last one's.
    public var finish: AnswerFinish?
    /// The end marker of the stream came.
    public var isDone = false
    /// Text delivered, for a count of our own when no usage comes. An adaptor feeds it with what the model wrote, as it comes.
    public var delivered = DeliveredText()
    /// Tokens of delivered thinking, by our estimate.
    public var deliveredThoughts: Int64 = 0
    /// The vendor's id of the answer.
    public var generationID: String?
    /// The model that the vendor says it used.
    public var servedModel: String?
    /// The service tier that the vendor says it used, where that stands beside the usage and not in it.
    public var serviceTier: String?

    public init() {}

    /// Figures hold for the whole event that they stand in: an adaptor says so when it has read the event to its end.
    /// - Parameter before: the completion tokens of ``usage`` before that event; unless there are more now, nothing is covered.
    public mutating func usageCoversDelivered(since before: Int64) {
        if (usage?.completionTokens ?? 0) > before { usageCoversDelivered() }
    }

    private mutating func usageCoversDelivered() { coveredTokens = estimatedOutputTokens }

    /// Completion tokens that came after ``usage`` and are not in it, by our own count. Vendors' figures in the middle of a stream are
    /// cumulative; those from before the first text say how it begins (Anthropic's: one token,
    /// https://docs.anthropic.com/en/docs/build-with-claude/streaming).
    public func tokensSinceUsage(by vocabulary: BPEVocabulary?) -> Int64 {
        let all = estimatedOutputTokens
        guard let usage, all > coveredTokens else { return 0 }
        let counted = delivered.tokens(by: vocabulary)
        // Hidden thoughts are none of what was counted.
        guard coveredTokens > 0 else { return max(0, counted - max(0, usage.output - usage.reasoning)) }
        let (product, overflowed) = counted.multipliedReportingOverflow(by: all - coveredTokens)
        return overflowed ? all - coveredTokens : product / all
    }

    /// Completion tokens by our own count of what was delivered.
    public var estimatedOutputTokens: Int64 { delivered.estimate.tokens }

    /// Bytes of ASCII and characters beyond it in what was delivered. Adding to them counts text of which only the size is
    /// known, less exactly than feeding ``delivered``.
    public var deliveredASCII: Int64 {
        get { delivered.estimate.asciiBytes }
        set { delivered.add(asciiBytes: newValue - delivered.estimate.asciiBytes, otherCharacters: 0) }
    }
    public var deliveredOther: Int64 {
        get { delivered.estimate.otherCharacters }
        set { delivered.add(asciiBytes: 0, otherCharacters: newValue - delivered.estimate.otherCharacters) }
    }
}

/// Reads a stream as it comes, cut anywhere, and writes what the client gets. A value: feed it, look at its progress.
///
/// It holds at most one incomplete event (bounded) and never the stream. Its end marker is not written to `out` but
/// kept in ``trailer``, so that the relay can settle before the client sees the end.
public protocol StreamDecoder: Sendable {
    var progress: AnswerProgress { get }
    /// Whether ``progress`` is complete; asked for after every piece.
    var isDone: Bool { get }
    /// The end of the stream as the client gets it (`data: [DONE]`), once the stream is complete.
    var trailer: ByteBuffer { get }
    /// Takes bytes and appends what is ready for the client to `out`.
    /// - Throws: ``UpstreamFailure``: an in-band error, malformed data, an event over the bound. `out` then holds what came before.
    mutating func push(_ bytes: ByteBuffer, into out: inout ByteBuffer) throws(UpstreamFailure)
    /// The upstream has closed in order. Completes the last event.
    /// - Throws: ``UpstreamFailure`` of kind `.truncated` when the answer is not complete.
    mutating func finish(into out: inout ByteBuffer) throws(UpstreamFailure)
}

extension StreamDecoder {
    public var isDone: Bool { progress.isDone }
}
