/// A failure of one attempt, classified once, where it was seen. Routing, health, billing and the client's answer all
/// read this value and nothing else.
public struct UpstreamFailure: Error, Sendable, Hashable {
    public enum Source: String, Sendable, Hashable {
        case upstream, downstream, gateway
    }
    public enum Retry: Sendable, Hashable {
        /// Give the failure to the client.
        case no
        /// Try the next candidate.
        case otherEndpoint
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
    /// The vendor's own error object as JSON text, when it is fit to be shown to the client.
    public var clientError: String?
    /// For our log; may name hosts; never shown to a client.
    public var detail: String

    public init(
        source: Source = .upstream, kind: FailureKind, retry: Retry? = nil, retryAfter: Duration? = nil,
        isBillable: Bool = false, status: Int? = nil, clientError: String? = nil, detail: String = ""
    ) {
        self.source = source
        self.kind = kind
        self.retry = retry ?? (kind.movesOn ? .otherEndpoint : .no)
        self.retryAfter = retryAfter
        self.isBillable = isBillable
        self.status = status
        self.clientError = clientError
        self.detail = detail
    }
}

/// The classes of failure, named in provider files (`errors: - {…, kind: …}`), logs and metrics.
public enum FailureKind: String, Sendable, Hashable, CaseIterable {
    /// No connection, reset or closed before an answer, TLS refused.
    case connect
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

    /// Whether another channel may do better. False for what the client's request brings upon itself.
    public var movesOn: Bool {
        switch self {
        case .connect, .timeout, .rateLimit, .server, .overloaded, .credentialRefused, .credentialExhausted,
            .modelUnavailable, .malformed:
            true
        case .invalidRequest, .contextLength, .contentFilter, .truncated, .midStream, .cancelled: false
        }
    }

    /// What the failure says about health.
    public var blame: Blame {
        switch self {
        case .connect, .timeout, .rateLimit, .server, .overloaded, .malformed, .truncated, .midStream: .endpoint
        case .credentialRefused, .credentialExhausted: .credential
        case .modelUnavailable: .model
        case .invalidRequest, .contextLength, .contentFilter, .cancelled: .nobody
        }
    }

    public enum Blame: String, Sendable, Hashable {
        case endpoint, credential, model, nobody
    }
}
