/// Divides one limit between several gateways. Pure: the ledger's database stores each gateway's claims; the gateways, one after the other,
/// ask here and write down the answer.
///
/// As long as the set of live gateways does not change, the recorded shares never add up to more than the limit, and neither do the buckets
/// of all gateways plus the pool (the part that belongs to no gateway). All gateways together thus admit at most as much as a single one
/// would. Every gateway has a minimum, so that the first request of a quiet key is not refused; the rest follows the demand.
public enum LimitShares {
    /// The recorded claim of one gateway on one limit of one key or user.
    public struct Claim: Sendable, Hashable {
        public var gatewayID: String
        /// Recent demand, refused requests included: units per minute, or concurrent requests.
        public var demand: Int64
        /// The amount that the gateway uses or may use.
        public var taken: Int64

        public init(gatewayID: String, demand: Int64, taken: Int64) {
            self.gatewayID = gatewayID
            self.demand = demand
            self.taken = taken
        }
    }

    /// The row of a gateway: all limits of one key or user.
    public struct Row: Sendable, Hashable {
        public var gatewayID: String
        public var demand: RateLimits
        public var taken: RateLimits

        public init(gatewayID: String, demand: RateLimits, taken: RateLimits) {
            self.gatewayID = gatewayID
            self.demand = demand
            self.taken = taken
        }
    }

    public struct Decision: Sendable, Hashable {
        public var grant: LimitGrant
        /// The row to write; nil = the gateway's row is deleted.
        public var row: Row?
        /// The units that belong to no gateway afterwards; nil = the limit is not in use any more, so it is full again.
        public var pool: RateLimits?
    }

    /// - Parameters:
    ///   - rows: those of the other live gateways.
    ///   - pool: as stored; nil = the limit has not been used lately.
    ///   - gateways: the ids of all live gateways, this one included.
    public static func decide(
        _ report: LimitReport, own: String, rows: [Row], pool: RateLimits?, gateways: [String]
    ) -> Decision {
        let subject = report.scope.description
        var decision = Decision(grant: LimitGrant(share: RateLimits(), moved: RateLimits()), row: nil, pool: RateLimits())
        var row = Row(gatewayID: own, demand: report.demand, taken: RateLimits())
        for limit in ChannelLimit.allCases {
            guard let whole = report.limits[limit] else { continue }
            let least = minimum(whole, subject: subject, own: own, gateways: gateways)
            let claims = rows.map { Claim(gatewayID: $0.gatewayID, demand: $0.demand[limit] ?? 0, taken: $0.taken[limit] ?? 0) }
            let share =
                report.isLeaving
                ? least
                : share(of: whole, subject: subject, own: own, demand: report.demand[limit] ?? 0, claims: claims, gateways: gateways)
            decision.grant.share?[limit] = share
            guard limit != .concurrency else {
                row.taken[limit] = max(share, report.inFlight)
                continue
            }
            row.taken[limit] = share
            let count = Int64(gateways.count)
            let before = report.share[limit] ?? least
            // A limit that has not been used lately is full. Its pool excludes what may already be in this gateway's bucket (all of it, if
            // the gateway was alone) and the minimum of the others.
            let untouched = whole < count ? 0 : whole - before - (count - 1) * least
            var free = max(0, min(pool.map { $0[limit] ?? 0 } ?? untouched, whole))
            // A larger share is filled from the pool; what a smaller one cannot hold goes back to the pool.
            let moved = share > before ? min(free, share - before) : -max(0, (report.left[limit] ?? 0) - share)
            free = min(free - moved, whole)
            decision.grant.moved[limit] = moved
            decision.pool?[limit] = free
        }
        if report.isLeaving {
            decision.grant.share = nil
            if rows.isEmpty { decision.pool = nil }
        } else {
            decision.row = row
        }
        return decision
    }

    /// The inverse of the fraction of a limit that is set aside for gateways without demand.
    private static let setAside: Int64 = 8

    /// The part of a limit that a gateway may use without having asked.
    /// - Parameters:
    ///   - subject: the key or user of the limit; the minimum of different subjects falls to different gateways.
    ///   - gateways: the ids of all live gateways, this one included.
    public static func minimum(_ limit: Int64, subject: String, own: String, gateways: [String]) -> Int64 {
        let count = Int64(max(gateways.count, 1))
        guard limit < count else { return max(1, limit / (setAside * count)) }
        // The limit is smaller than the number of gateways: that many gateways get one unit each, the same ones everywhere.
        let rank = gateways.count { order($0, subject) < order(own, subject) }
        return Int64(rank) < limit ? 1 : 0
    }

    private static func order(_ gateway: String, _ subject: String) -> (UInt64, String) {
        (SplitMix64.mixed(AffinityKey("\(subject) \(gateway)").hash), gateway)
    }

    /// An equal part, for a gateway that cannot ask.
    public static func equal(_ limit: Int64, subject: String, own: String, gateways: [String]) -> Int64 {
        let count = Int64(max(gateways.count, 1))
        return limit < count ? minimum(limit, subject: subject, own: own, gateways: gateways) : limit / count
    }

    /// The share that a gateway may claim now: what its demand entitles it to, as far as the others have not taken it yet.
    /// - Parameters:
    ///   - demand: that of this gateway.
    ///   - claims: those of the other live gateways that have any.
    public static func share(
        of limit: Int64, subject: String, own: String, demand: Int64, claims: [Claim], gateways: [String]
    ) -> Int64 {
        let least = minimum(limit, subject: subject, own: own, gateways: gateways)
        guard gateways.count > 1 else { return limit }
        guard limit >= Int64(gateways.count) else { return least }
        let demands = [(own, demand)] + claims.map { ($0.gatewayID, $0.demand) }
        let wanted = fair(limit, least: least, demands, own: own, gateways: Int64(gateways.count))
        // The others may still use their recorded claims, and those without a claim their minimum.
        let silent = Int64(max(0, gateways.count - 1 - claims.count))
        let free = claims.reduce(limit - silent * least) { $0 - max($1.taken, least) }
        return max(least, min(wanted, free))
    }

    /// The share by demand: first the demands themselves, small ones in full and large ones in equal parts; the rest goes to the gateways
    /// with demand, in proportion.
    private static func fair(
        _ limit: Int64, least: Int64, _ demands: [(id: String, demand: Int64)], own: String, gateways: Int64
    ) -> Int64 {
        var rest = limit - least * gateways
        // A demand beyond the limit counts as one of the size of the limit.
        let wishes = demands.map { (id: $0.id, wish: max(0, min($0.demand, limit) - least)) }
            .sorted { ($0.wish, $0.id) < ($1.wish, $1.id) }
        var granted: [String: Int64] = [:]
        for (position, wish) in wishes.enumerated() {
            let part = min(wish.wish, rest / Int64(wishes.count - position))
            granted[wish.id] = part
            rest -= part
        }
        let share = least + (granted[own] ?? 0)
        guard rest > 0 else { return share }
        let total = demands.reduce(Int128(0)) { $0 + Int128(max(0, min($1.demand, limit))) }
        let mine = demands.first { $0.id == own }.map { max(0, min($0.demand, limit)) } ?? 0
        guard total > 0 else { return share + rest / Int64(demands.count) }
        return share + Int64(Int128(rest) * Int128(mine) / total)
    }
}
