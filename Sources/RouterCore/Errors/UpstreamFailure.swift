/// A failure of one attempt, classified once, where it was seen. Routing, health, billing and the client's answer all
/// read this value and nothing else.
public struct UpstreamFailure: Error, Sendable, Hashable {
    public enum Source: String, Sendable, Hashable {
        case upstream, downstream, gateway
    }
    /// Where to go after this failure, as long as nothing has reached the client.
    public enum Retry: String, Sendable, Hashable {
        /// Nowhere: give the failure to the client.
        case no
        /// To another of the client's own fallback `models`, if it named some: every channel of this model would say the same.
        case otherModel = "other_model"
        /// To the next channel.
        case otherChannel = "other_channel"
        /// To another key of the same channel if it has one in health, else to the next channel.
        case otherKey = "other_key"
        /// To the same channel and key at once, on a new connection: what failed was a kept connection, not the vendor.
        case sameChannel = "same_channel"
    }

    public var source: Source
    public var kind: FailureKind
    public var retry: Retry
    /// The vendor's wish (`Retry-After`), already as a duration; nil when it expressed none.
    public var retryAfter: Duration?
    /// The vendor bills for this attempt as far as we know.
    public var isBillable: Bool
    /// The upstream status, when there was one.
    public var status: Int?
    /// The error for the client if its request is at fault; anything that looks like a key has been removed.
    public var clientError: ErrorObject?
    /// For our log; may name hosts; never shown to a client.
    public var detail: String

    public init(
        source: Source = .upstream, kind: FailureKind, retry: Retry? = nil, retryAfter: Duration? = nil,
        isBillable: Bool = false, status: Int? = nil, clientError: ErrorObject? = nil, detail: String = ""
    ) {
        self.source = source
        self.kind = kind
        self.retry = retry ?? kind.next
        self.retryAfter = retryAfter
        self.isBillable = isBillable
        self.status = status
        self.clientError = clientError
        self.detail = detail
    }
}

/// The classes of failure, named in provider files (`errors: - {…, kind: …}`), logs and metrics.
public enum FailureKind: String, Sendable, Hashable, CaseIterable {
    /// No connection: name look-up, TCP, TLS or proxy refused or too slow.
    case connect
    /// The connection broke before an answer came.
    case connectionReset = "connection_reset"
    /// Nothing, or no content, in time.
    case timeout
    case rateLimit = "rate_limit"
    /// 5xx without a better name.
    case server
    case overloaded
    /// 401 or 403 for our key.
    case credentialRefused = "credential_refused"
    /// 402, or a code that says that our account or key has run dry.
    case credentialExhausted = "credential_exhausted"
    /// 402 for this request only: our account affords fewer tokens than it may cost.
    case unaffordable
    /// This vendor does not have the model (any more).
    case modelUnavailable = "model_unavailable"
    /// The client's request is at fault: 400, 413, 422 and the like.
    case invalidRequest = "invalid_request"
    case contextLength = "context_length"
    case contentFilter = "content_filter"
    /// An answer that is not what the protocol promises.
    case malformed
    /// The stream or body ended too early, after content.
    case truncated
    /// An error inside a stream that had begun.
    case midStream = "mid_stream"
    case cancelled

    /// Where a request goes after this failure.
    public var next: UpstreamFailure.Retry {
        switch self {
        case .credentialRefused, .credentialExhausted, .rateLimit: .otherKey
        case .connect, .connectionReset, .timeout, .server, .overloaded, .modelUnavailable, .malformed, .unaffordable:
            .otherChannel
        case .contextLength, .contentFilter: .otherModel
        case .invalidRequest, .truncated, .midStream, .cancelled: .no
        }
    }

    /// Whether asking the same channel again after a short wait makes sense when nobody else is left. Never a host that stayed silent: it
    /// had its time.
    public var mayRetrySame: Bool {
        switch self {
        case .connectionReset, .server, .overloaded, .rateLimit, .malformed: true
        default: false
        }
    }

    /// The host itself is in trouble, so another model there would fare no better.
    public var isAboutHost: Bool {
        switch self {
        case .connect, .connectionReset, .timeout: true
        default: false
        }
    }

    /// What the failure says about health.
    public var blame: Blame {
        switch self {
        case .rateLimit: .quota
        case .connect: .host
        case .connectionReset, .timeout, .server, .overloaded, .malformed, .truncated, .midStream: .endpoint
        case .credentialExhausted: .account
        case .credentialRefused: .credential
        case .modelUnavailable: .model
        case .invalidRequest, .contextLength, .contentFilter, .cancelled, .unaffordable: .nobody
        }
    }

    /// Whom a failure cools. Where keys share an account, what is said of one key's quota or money holds for all of the account.
    public enum Blame: String, Sendable, Hashable {
        /// The channel as a whole: nobody gets through to it.
        case host
        /// One key of one channel for one model.
        case endpoint
        /// The same, or the model for the whole account where keys share one.
        case quota
        /// One key for all models, or the whole account where keys share one.
        case account
        /// One key for all models.
        case credential
        /// One model for all keys of a channel.
        case model
        case nobody
    }
}
