/// The thing whose health is kept: one key of one channel for one upstream model.
public struct HealthTarget: Sendable, Hashable {
    public var channelID: Int64
    /// -1: the channel has no keys.
    public var keyIndex: Int
    public var model: String
    /// Where keys share an account: its name.
    public var account: String?

    public init(channelID: Int64, keyIndex: Int, model: String, account: String? = nil) {
        self.channelID = channelID
        self.keyIndex = keyIndex
        self.model = model
        self.account = account
    }
}

/// What one record of health is about.
public struct HealthScope: Sendable, Hashable {
    /// nil: the record is about an account.
    public var channelID: Int64?
    public var account: String?
    /// nil = all keys.
    public var keyIndex: Int?
    /// nil = all models.
    public var model: String?

    public init(channelID: Int64? = nil, account: String? = nil, keyIndex: Int? = nil, model: String? = nil) {
        self.channelID = channelID
        self.account = account
        self.keyIndex = keyIndex
        self.model = model
    }
}

public enum HealthState: Sendable, Hashable {
    /// In use. Legal next: open.
    case closed
    /// Not asked until then. Legal next: half-open (by time).
    case open(until: MonotonicInstant)
    /// The cool-down is over; one request may try. Legal next: closed, open.
    case halfOpen
}

/// One record that is not in plain health, for `GET /api/channel` and for the table `channel_health`.
public struct HealthReportRow: Sendable, Hashable {
    public var scope: HealthScope
    public var state: HealthState
    public var consecutiveFailures: Int
    /// How often in a row the record was opened; the exponent of the next cool-down.
    public var openings: Int
    /// While the record is open: why it is.
    public var lastKind: FailureKind?
    /// The vendor has named a time (`Retry-After`) that is not over yet.
    public var isWished: Bool

    public init(
        scope: HealthScope, state: HealthState, consecutiveFailures: Int, openings: Int = 0,
        lastKind: FailureKind? = nil, isWished: Bool = false
    ) {
        self.scope = scope
        self.state = state
        self.consecutiveFailures = consecutiveFailures
        self.openings = openings
        self.lastKind = lastKind
        self.isWished = isWished
    }
}

/// What an operator has said of a channel at run time; above what the file says.
public enum OperatorSwitch: String, Sendable, Hashable, CaseIterable {
    /// As the file says.
    case on
    /// No new attempts.
    case disabled
    /// No new attempts; shown as drained once nothing is under way.
    case draining
}

/// An attempt that is under way. Given back to the table exactly once.
public struct AttemptTicket: Sendable, Hashable {
    public var target: HealthTarget
    public var startedAt: MonotonicInstant
    /// It tries out a channel whose cool-down is over, or one that still cools (``isLastResort``).
    public var isProbe: Bool
    /// It tries a channel that is cooling down, because no other is left.
    public var isLastResort: Bool
    /// Taken from the channel's tokens per minute.
    public var tokens: Int64
    /// Which channel of this id it was, and with which keys: results for a channel that has been replaced meanwhile do not count.
    var born: UInt64
    var generation: UInt64
}

/// How an attempt ended, as health sees it.
public enum AttemptEnd: Sendable, Hashable {
    /// The whole answer came.
    case completed
    case failed(UpstreamFailure)
    /// No verdict: the client left, or the fault was the client's or the gateway's own.
    case released
}
