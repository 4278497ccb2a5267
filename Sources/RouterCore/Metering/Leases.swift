/// Who asks for leases: one running gateway.
public struct LeaseHolder: Sendable, Hashable {
    /// The same over restarts; kept beside the journal.
    public var gatewayID: String
    /// Raised at every start, so that an earlier life of the same gateway is told from this one.
    public var epoch: Int64
    /// True when no other gateway can share the ledger (SQLite): everything is leased at once.
    public var isExclusive: Bool
    /// Seconds after which a lease that was not renewed may be taken back by others.
    public var lifetime: Int64

    public init(gatewayID: String, epoch: Int64, isExclusive: Bool, lifetime: Int64 = 120) {
        self.gatewayID = gatewayID
        self.epoch = epoch
        self.isExclusive = isExclusive
        self.lifetime = lifetime
    }
}

/// A row of `balance_leases`: the part of a user's balance that one gateway may spend on its own.
public struct LeaseRow: Sendable, Hashable {
    public var gatewayID: String
    public var epoch: Int64
    public var amount: NanoUSD
    /// Seconds of the ledger's own clock.
    public var expiresAt: Int64

    public init(gatewayID: String, epoch: Int64, amount: NanoUSD, expiresAt: Int64) {
        self.gatewayID = gatewayID
        self.epoch = epoch
        self.amount = amount
        self.expiresAt = expiresAt
    }
}

/// What the ledger says of a user to a gateway that asked.
public struct LeaseState: Sendable, Hashable {
    /// Sum of the ledger rows.
    public var balance: NanoUSD
    /// This gateway's row.
    public var lease: NanoUSD
    /// Rows of other gateways that have not expired.
    public var leasedElsewhere: NanoUSD

    public init(balance: NanoUSD, lease: NanoUSD, leasedElsewhere: NanoUSD = .zero) {
        self.balance = balance
        self.lease = lease
        self.leasedElsewhere = leasedElsewhere
    }
}

/// The rules of leasing. Pure: the stores read rows, ask here, and write what they are told, inside one transaction that holds the
/// user's row; the simulation of many gateways does the same without a database.
///
/// What the rules keep true of every user at every moment: the leases that have not expired never sum up to more than the balance, as long
/// as charges stay within their holds. A posting takes its charge out of the balance and out of the poster's lease at once.
public enum LeaseDesk {
    public struct Grant: Sendable, Hashable {
        /// What this gateway's row is to say afterwards; its epoch and expiry are those of the holder, now.
        public var row: LeaseRow
        /// Rows whose time is over; they are deleted.
        public var expired: [String]
        public var state: LeaseState
        /// True when less was granted than needed while others hold leases: they are asked to give back.
        public var wantsRecall: Bool
    }

    public enum Refusal: Error, Sendable, Hashable {
        /// A later life of the same gateway is running.
        case fenced
    }

    /// How much of what is free one gateway takes at a time, when others may want some: an eighth, but what it needs in any case. So a large
    /// balance is leased in a few large parts, and a small one request by request.
    private static let share: Int64 = 8

    /// - Parameters:
    ///   - needed: what the gateway needs on top of its row.
    ///   - now: seconds of the ledger's clock.
    public static func acquire(
        balance: NanoUSD, rows: [LeaseRow], holder: LeaseHolder, needed: NanoUSD, now: Int64
    ) throws(Refusal) -> Grant {
        var elsewhere: Int64 = 0
        var own: Int64 = 0
        var expired: [String] = []
        for row in rows {
            if row.gatewayID == holder.gatewayID {
                guard row.epoch <= holder.epoch else { throw .fenced }
                own = row.amount.nanos
            } else if row.expiresAt < now {
                expired.append(row.gatewayID)
            } else {
                elsewhere = clampedSum(elsewhere, row.amount.nanos)
            }
        }
        let free = max(0, clampedSum(balance.nanos, -clampedSum(own, elsewhere)))
        let wanted = holder.isExclusive ? free : max(needed.nanos, free / share)
        let granted = max(0, min(free, wanted))
        let lease = NanoUSD(nanos: clampedSum(own, granted))
        return Grant(
            row: LeaseRow(gatewayID: holder.gatewayID, epoch: holder.epoch, amount: lease, expiresAt: now + holder.lifetime),
            expired: expired,
            state: LeaseState(balance: balance, lease: lease, leasedElsewhere: NanoUSD(nanos: elsewhere)),
            wantsRecall: granted < needed.nanos && elsewhere > 0)
    }

    /// What a gateway's row says after its posting: the charge has left the balance too. A charge beyond the lease (an estimate that was too
    /// low) leaves an empty lease; the balance bears the rest.
    public static func lease(_ lease: NanoUSD, afterPosting charge: NanoUSD) -> NanoUSD {
        NanoUSD(nanos: max(0, clampedSum(lease.nanos, -charge.nanos)))
    }

    /// What a row says after something was given back.
    public static func lease(_ lease: NanoUSD, afterReturning amount: NanoUSD) -> NanoUSD {
        NanoUSD(nanos: max(0, clampedSum(lease.nanos, -amount.nanos)))
    }

    private static func clampedSum(_ left: Int64, _ right: Int64) -> Int64 {
        let (sum, overflowed) = left.addingReportingOverflow(right)
        return overflowed ? (right < 0 ? .min : .max) : sum
    }
}
