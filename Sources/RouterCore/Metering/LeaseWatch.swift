/// A row of `gateways`: one life of a gateway, as the ledger knows it.
public struct GatewayLife: Sendable, Hashable {
    public var incarnation: String
    /// The same across restarts.
    public var gatewayID: String
    /// Raised with every heartbeat. Only a change of the value has a meaning.
    public var beats: Int64
    /// A later life has taken over the gateway's identity: this one gets no more leases.
    public var isFenced: Bool
    /// Seconds without a heartbeat after which the leases may be taken back.
    public var lifetime: Int64
    /// Unix seconds of the ledger's clock; informational only.
    public var startedAt: Int64
    public var seenAt: Int64
    /// Seconds since the last heartbeat by the ledger's clock, which may have jumped: no decision about money depends on it.
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

/// Judges the silence of other gateways from the point of view of one. Pure: its only clock is the instants that it is given.
///
/// A lease ends when another gateway has seen no heartbeat of its holder for the holder's lifetime, measured by the observer's own clock
/// since boot. Timestamps are never compared between machines; all that counts is that a number has changed, and for how long it has not. A
/// database whose clock jumps, or another database server with another clock, ends no lease.
///
/// The holder counts from before it *sent* a heartbeat, and stops five seconds early; the observer counts from after it *saw* the
/// heartbeat. The holder has therefore stopped spending before the observer's time is over, unless the rates of their clocks differ by more
/// than five seconds per lifetime.
public struct LeaseWatch: Sendable {
    private struct Sight: Sendable {
        var beats: Int64
        var since: MonotonicInstant
        /// The silence by the ledger's clock when this life was first seen; nil once a heartbeat has been observed.
        var silenceAtFirst: Int64?
    }

    private var sights: [String: Sight] = [:]
    /// Number of other lives that have sent a heartbeat lately.
    public private(set) var othersAlive = 0

    /// A gateway that has been silent for longer does not count as alive, though its leases remain valid.
    public static let aliveFor = Duration.seconds(10)

    public init() {}

    /// Takes in what the ledger reports about all lives.
    /// - Parameters:
    ///   - asked: when the question to the ledger began.
    ///   - answered: when the answer had arrived.
    /// - Returns: lives whose leases may be taken back, provided that their number of beats is still the same at that time.
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

/// Decides until when a life may spend its leases without another answer from the ledger. Pure.
///
/// There are two rules. While the ledger answers, leases are trusted for a few seconds after its last answer: a process that was suspended
/// for longer, for whatever reason, asks first when it resumes, and learns if its identity or its leases have been taken over. While the
/// ledger does not answer, leases are trusted until other gateways may take them.
public struct LeaseTrust: Sendable {
    /// Leases are given up this many seconds before others may take them, so that a slow clock does no harm.
    public static let margin: Int64 = 5
    public static let freshness = Duration.seconds(5)
    /// A claimant that cannot know whether the earlier life's process has ended waits this long before it takes over leases: longer than
    /// that life trusts its leases after it has lost its lock.
    public static let grace = Duration.seconds(6)

    private var proof: MonotonicInstant?
    public var isLedgerAway = false

    public init() {}

    /// The ledger has confirmed this life. - Parameter asked: when the question began.
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
