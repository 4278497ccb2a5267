import RouterCore

/// The ledger's database as far as leases go, in virtual time: rows of `gateways` and `balance_leases`, locks of
/// sessions, and a clock that jumps.
struct LeaseModel {
    struct Life {
        var holder: LeaseHolder
        var beats: Int64 = 0
        var isFenced = false
        /// In which run of the server its lock was taken.
        var run: Int
        var seenAt: Int64
    }

    var balances: [Int64: Int64] = [:]
    var leases: [Int64: [String: Int64]] = [:]
    var lives: [String: Life] = [:]
    /// The session that holds the lock of an identity.
    var locks: [String: Int] = [:]
    /// Raised when the server starts anew or another takes its place: locks are forgotten.
    var run = 0
    /// A clock of its own, without meaning for money.
    var clock: Int64 = 1_000_000
    var posted: [RequestID: Int64] = [:]
    /// Money that may be gone although leases say that it is there: charges that came when their lease was lost, and
    /// what was taken away by hand.
    var slack: [Int64: Int64] = [:]

    func leased(_ user: Int64) -> Int64 { (leases[user] ?? [:]).values.reduce(0, +) }

    mutating func restart() {
        run += 1
        locks = [:]
    }

    mutating func endSession(_ session: Int) { locks = locks.filter { $0.value != session } }

    // MARK: As the stores do it

    private mutating func lock(_ holder: LeaseHolder, _ session: Int) -> Bool {
        if let owner = locks[holder.gatewayID], owner != session { return false }
        locks[holder.gatewayID] = session
        lives[holder.incarnation]?.run = run
        return true
    }

    /// - Returns: nil = taken.
    mutating func claim(_ holder: LeaseHolder, _ session: Int) -> Int? {
        guard lock(holder, session) else { return nil }
        lives[holder.incarnation] = Life(holder: holder, run: run, seenAt: clock)
        var earlier = 0
        for (id, life) in lives where life.holder.gatewayID == holder.gatewayID && id != holder.incarnation {
            lives[id]?.isFenced = true
            earlier += 1
        }
        return earlier
    }

    mutating func takeOver(_ earlier: [String], by holder: LeaseHolder) -> Int? {
        guard beatRow(holder) else { return nil }
        var taken = 0
        for id in earlier {
            guard let life = lives[id], life.holder.gatewayID == holder.gatewayID, life.isFenced, life.run == run else {
                continue
            }
            for user in leases.keys {
                guard let amount = leases[user]?.removeValue(forKey: id) else { continue }
                leases[user]?[holder.incarnation, default: 0] += amount
            }
            lives[id] = nil
            taken += 1
        }
        return taken
    }

    private mutating func beatRow(_ holder: LeaseHolder) -> Bool {
        guard let life = lives[holder.incarnation], !life.isFenced else { return false }
        lives[holder.incarnation]?.beats += 1
        lives[holder.incarnation]?.seenAt = clock
        return true
    }

    /// - Returns: nil = fenced.
    mutating func beat(_ holder: LeaseHolder, _ session: Int) -> [GatewayLife]? {
        guard lock(holder, session), beatRow(holder) else { return nil }
        return lives.map { id, life in
            GatewayLife(
                incarnation: id, gatewayID: life.holder.gatewayID, beats: life.beats, isFenced: life.isFenced,
                lifetime: life.holder.lifetime, startedAt: 0, seenAt: life.seenAt, silence: max(0, clock - life.seenAt))
        }.sorted { $0.incarnation < $1.incarnation }
    }

    mutating func reap(_ life: GatewayLife) -> Bool {
        guard lives[life.incarnation]?.beats == life.beats else { return false }
        lives[life.incarnation] = nil
        for user in leases.keys { leases[user]?[life.incarnation] = nil }
        return true
    }

    /// - Returns: nil = fenced.
    mutating func acquire(_ user: Int64, _ needed: NanoUSD, _ holder: LeaseHolder) -> LeaseDesk.Grant? {
        guard beatRow(holder) else { return nil }
        let rows = (leases[user] ?? [:]).map { LeaseRow(incarnation: $0.key, amount: NanoUSD(nanos: $0.value)) }
        let grant = LeaseDesk.acquire(
            balance: NanoUSD(nanos: balances[user] ?? 0), rows: rows, holder: holder, needed: needed)
        leases[user, default: [:]][holder.incarnation] = grant.row.amount.nanos
        return grant
    }

    mutating func giveBack(_ user: Int64, _ amount: NanoUSD, _ holder: LeaseHolder) {
        guard let lease = leases[user]?[holder.incarnation] else { return }
        leases[user]?[holder.incarnation] = LeaseDesk.lease(NanoUSD(nanos: lease), afterReturning: amount).nanos
    }

    mutating func post(
        _ charges: [(id: RequestID, user: Int64, charge: Int64)], _ holder: LeaseHolder
    ) -> [Int64: LeaseState] {
        var sums: [Int64: Int64] = [:]
        for (id, user, charge) in charges where posted[id] == nil {
            posted[id] = charge
            sums[user, default: 0] += charge
        }
        for (user, sum) in sums {
            balances[user, default: 0] -= sum
            let lease = leases[user]?[holder.incarnation]
            slack[user, default: 0] += max(0, sum - (lease ?? 0))
            if let lease {
                leases[user]?[holder.incarnation] =
                    LeaseDesk.lease(NanoUSD(nanos: lease), afterPosting: NanoUSD(nanos: sum)).nanos
            }
        }
        return Dictionary(charges.map { ($0.user, state($0.user, holder)) }) { first, _ in first }
    }

    func state(_ user: Int64, _ holder: LeaseHolder) -> LeaseState {
        LeaseState(
            balance: NanoUSD(nanos: balances[user] ?? 0), lease: NanoUSD(nanos: leases[user]?[holder.incarnation] ?? 0))
    }

    /// By hand, in either direction. What is taken may be leased.
    mutating func adjust(_ user: Int64, _ amount: Int64) {
        let free = max(0, (balances[user] ?? 0) - leased(user))
        balances[user, default: 0] += amount
        if amount < 0 { slack[user, default: 0] += max(0, -amount - free) }
    }
}
