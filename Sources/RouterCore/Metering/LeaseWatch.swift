/// A row of `gateways`: one life of a gateway, as the ledger knows it.
public struct GatewayLife: Sendable, Hashable {
    public var incarnation: String
    /// The same over restarts.
    public var gatewayID: String
    /// Raised with every sign of life. Only that it changes means something.
    public var beats: Int64
    /// A later life has the gateway's identity: this one gets no lease any more.
    public var isFenced: Bool
    /// Seconds without a sign of life after which the leases may be taken back.
    public var lifetime: Int64
    /// Unix seconds of the ledger's clock; for people.
    public var startedAt: Int64
    public var seenAt: Int64
    /// Seconds since the last sign of life by the ledger's clock, which may have jumped: nothing about money goes by
    /// it.
    public var silence: Int64

    public init(
        incarnation: String, gatewayID: String, beats: Int64, isFenced: Bool, lifetime: Int64, startedAt: Int64,
        seenAt: Int64,
        silence: Int64
    ) {
        self.incarnation = incarnation
        self.gatewayID = gatewayID
        self.beats = beats
        self.isFenced = isFenced
        self.lifetime = lifetime
        self.startedAt = startedAt
        self.seenAt = seenAt
        self.silence = silence
    }
}

/// How one gateway judges the silence of the others. Pure; knows no clock but the instants that it is told.
///
/// A lease ends when some other gateway has seen no sign of life of its holder for the holder's lifetime, measured by
/// the observer's own clock since boot. Points of time are never compared between machines: only that a number has
/// changed, and how long it has not. A database whose clock jumps, or another database server with another clock, ends
/// no lease.
///
/// The holder counts from before it *asked* for a sign of life, and stops five seconds early; the observer counts from
/// after it *saw* the sign. So the holder has stopped spending before the observer's time is over, unless the rates of
/// their clocks differ by more than five seconds in a lifetime.
public struct LeaseWatch: Sendable {
    private struct Sight: Sendable {
        var beats: Int64
        var since: MonotonicInstant
        /// Nothing has changed since it was seen first, when the ledger's clock had it silent for so long.
        var silenceAtFirst: Int64?
    }

    private var sights: [String: Sight] = [:]
    /// Other lives that have shown themselves lately.
    public private(set) var othersAlive = 0

    /// A gateway that has been silent for so long does not count as alive, though its leases stand.
    public static let aliveFor = Duration.seconds(10)

    public init() {}

    /// What the ledger says of all lives.
    /// - Parameters:
    ///   - asked: before the ledger was asked.
    ///   - answered: when its answer was there.
    /// - Returns: lives whose leases may be taken back, if they still have the same number of beats then.
    public mutating func saw(
        _ lives: [GatewayLife], own: String, asked: MonotonicInstant, answered: MonotonicInstant
    ) -> [GatewayLife] {
        var overdue: [GatewayLife] = []
        var next: [String: Sight] = [:]
        othersAlive = 0
        for life in lives where life.incarnation != own {
            var sight = Sight(beats: life.beats, since: answered, silenceAtFirst: life.silence)
            if let known = sights[life.incarnation] {
                sight =
                    known.beats == life.beats ? known : Sight(beats: life.beats, since: answered, silenceAtFirst: nil)
            }
            next[life.incarnation] = sight
            if asked >= sight.since.advanced(by: .seconds(max(1, life.lifetime))) { overdue.append(life) }
            let wasAlive = sight.silenceAtFirst.map { .seconds($0) < Self.aliveFor } ?? true
            if !life.isFenced, wasAlive, asked < sight.since.advanced(by: Self.aliveFor) { othersAlive += 1 }
        }
        sights = next
        return overdue
    }
}

/// Until when a life may spend its leases without another word of the ledger. Pure.
///
/// Two rules. While the ledger answers, leases are trusted for a few seconds after its last word: a process that was
/// stopped for longer, however it was, asks first when it wakes up, and hears that its identity or its leases are
/// another's. While the ledger does not answer, they are trusted until others may have them.
public struct LeaseTrust: Sendable {
    /// Leases are given up this much before others may have them, so that a slow clock does no harm.
    public static let margin: Int64 = 5
    public static let freshness = Duration.seconds(5)
    /// A claimant that cannot know that the earlier life's process is gone waits this long before it takes leases over:
    /// longer than that life trusts its leases after it has lost its lock.
    public static let grace = Duration.seconds(6)

    private var proof: MonotonicInstant?
    public var isLedgerAway = false

    public init() {}

    /// The ledger has answered "you are the one" to a question. - Parameter asked: before the question.
    public mutating func heard(asked: MonotonicInstant) {
        proof = max(proof ?? asked, asked)
        isLedgerAway = false
    }

    public mutating func lost() { proof = nil }

    public func until(lifetime: Int64) -> MonotonicInstant {
        guard let proof else { return MonotonicInstant(nanoseconds: .min) }
        let lease = Duration.seconds(max(1, lifetime - Self.margin))
        return proof.advanced(by: isLedgerAway ? lease : min(Self.freshness, lease))
    }
}
