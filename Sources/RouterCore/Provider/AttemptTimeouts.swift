/// Time limits of one attempt. Each is an upper bound; zero is not allowed.
public struct AttemptTimeouts: Sendable, Hashable {
    /// Name look-up, TCP and TLS together.
    public var connect: Duration
    /// From the start of the call until the response head.
    public var firstByte: Duration
    /// From the start of the call until the first content of a stream: comments, roles and empty deltas are no content.
    public var firstContent: Duration
    /// Longest silence between two reads of the body.
    public var idle: Duration
    /// The whole call, body included; also the deadline of the whole request, over all its attempts.
    public var total: Duration

    public init(
        connect: Duration = .seconds(5), firstByte: Duration = .seconds(60), firstContent: Duration = .seconds(120),
        idle: Duration = .seconds(60), total: Duration = .seconds(600)
    ) {
        self.connect = connect
        self.firstByte = firstByte
        self.firstContent = firstContent
        self.idle = idle
        self.total = total
    }
}

/// The time limits that one level of the configuration names; what it leaves out comes from the level above.
public struct TimeoutOverrides: Sendable, Hashable {
    public var connect: Duration?
    public var firstByte: Duration?
    public var firstContent: Duration?
    public var idle: Duration?
    public var total: Duration?

    public init(
        connect: Duration? = nil, firstByte: Duration? = nil, firstContent: Duration? = nil, idle: Duration? = nil,
        total: Duration? = nil
    ) {
        self.connect = connect
        self.firstByte = firstByte
        self.firstContent = firstContent
        self.idle = idle
        self.total = total
    }

    public func applied(to base: AttemptTimeouts) -> AttemptTimeouts {
        AttemptTimeouts(
            connect: connect ?? base.connect, firstByte: firstByte ?? base.firstByte,
            firstContent: firstContent ?? base.firstContent, idle: idle ?? base.idle, total: total ?? base.total)
    }
}
