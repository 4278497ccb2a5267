/// The holder of leases: one life of a gateway, from its start to its end.
public struct LeaseHolder: Sendable, Hashable {
    /// The same across restarts; stored beside the journal. A copy of the directory contains it too.
    public var gatewayID: String
    /// 128 random bits for this start. Leases belong to it, so that no copy of a gateway can spend another's.
    public var incarnation: String
    /// True when no other gateway can share the ledger (SQLite): everything is leased at once.
    public var isExclusive: Bool
    /// Seconds without a heartbeat after which others may take the leases back.
    public var lifetime: Int64

    public init(gatewayID: String, incarnation: String, isExclusive: Bool, lifetime: Int64 = 120) {
        self.gatewayID = gatewayID
        self.incarnation = incarnation
        self.isExclusive = isExclusive
        self.lifetime = lifetime
    }
}

/// A row of `balance_leases`: the part of a user's balance that one life of a gateway may spend on its own.
public struct LeaseRow: Sendable, Hashable {
    public var incarnation: String
    public var amount: NanoUSD

    public init(incarnation: String, amount: NanoUSD) {
        self.incarnation = incarnation
        self.amount = amount
    }
}

/// The ledger's answer about one user to the gateway that asked.
public struct LeaseState: Sendable, Hashable {
    /// Sum of the ledger rows.
    public var balance: NanoUSD
    /// The lease of the life that asked.
    public var lease: NanoUSD
    /// Sum of the leases of all other lives.
    public var leasedElsewhere: NanoUSD

    public init(balance: NanoUSD, lease: NanoUSD, leasedElsewhere: NanoUSD = .zero) {
        self.balance = balance
        self.lease = lease
        self.leasedElsewhere = leasedElsewhere
    }
}

/// The rules of leasing. Pure: the stores read rows, ask here, and write the result, inside one transaction that locks the user's row; the
/// simulation of many gateways does the same without a database.
///
/// For every user at every moment, the leases never add up to more than the balance above the floor, as long as charges stay within their
/// holds and nobody withdraws money by hand. A posting takes its charge out of the balance and out of the poster's lease in the same step.
/// No lease expires by a clock of the ledger: ``LeaseWatch`` decides when the leases of a silent gateway are taken back, all at once.
public enum LeaseDesk {
    public struct Grant: Sendable, Hashable {
        /// The new contents of this life's row.
        public var row: LeaseRow
        public var state: LeaseState
        /// True when less was granted than needed while others hold leases: they are asked to give some back.
        public var wantsRecall: Bool
    }

    /// The part of the free balance that one gateway takes at a time when others may need some: an eighth, but never less than it needs. A
    /// large balance is thus leased in a few large parts, and a small one request by request.
    private static let share: Int64 = 8

    /// - Parameters:
    ///   - floor: the least that leases must leave of the balance; negative = credit, which can be leased like money.
    ///   - rows: all leases of the user.
    ///   - needed: what the gateway needs in addition to its present lease.
    public static func acquire(
        balance: NanoUSD, floor: NanoUSD = .zero, rows: [LeaseRow], holder: LeaseHolder, needed: NanoUSD
    ) -> Grant {
        var elsewhere: Int64 = 0
        var own: Int64 = 0
        for row in rows {
            if row.incarnation == holder.incarnation {
                own = row.amount.nanos
            } else {
                elsewhere = clampedSum(elsewhere, row.amount.nanos)
            }
        }
        let free = max(0, clampedSum(clampedSum(balance.nanos, -floor.nanos), -clampedSum(own, elsewhere)))
        let wanted = holder.isExclusive ? free : max(needed.nanos, free / share)
        let granted = max(0, min(free, wanted))
        let lease = NanoUSD(nanos: clampedSum(own, granted))
        return Grant(
            row: LeaseRow(incarnation: holder.incarnation, amount: lease),
            state: LeaseState(balance: balance, lease: lease, leasedElsewhere: NanoUSD(nanos: elsewhere)),
            wantsRecall: granted < needed.nanos && elsewhere > 0)
    }

    /// A gateway's lease after its posting: the charge has left the balance too. A charge beyond the lease (the estimate was too low)
    /// leaves the lease empty; the balance bears the rest.
    public static func lease(_ lease: NanoUSD, afterPosting charge: NanoUSD) -> NanoUSD {
        NanoUSD(nanos: max(0, clampedSum(lease.nanos, -charge.nanos)))
    }

    /// The lease after an amount was given back.
    public static func lease(_ lease: NanoUSD, afterReturning amount: NanoUSD) -> NanoUSD {
        NanoUSD(nanos: max(0, clampedSum(lease.nanos, -amount.nanos)))
    }

    private static func clampedSum(_ left: Int64, _ right: Int64) -> Int64 {
        let (sum, overflowed) = left.addingReportingOverflow(right)
        return overflowed ? (right < 0 ? .min : .max) : sum
    }
}
