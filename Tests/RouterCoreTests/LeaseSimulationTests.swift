import RouterCore
import Testing

/// Many gateways on one ledger, in virtual time: the real book and the real rules of leasing, against a model of the database, with crashes,
/// partitions, lost answers, late returns, clocks that drift and a database clock that jumps. A failing run prints its seed; put it into
/// `replay` to see it alone.
@Suite struct LeaseSimulationTests {
    private static let replay: UInt64? = nil

    @Test(.timeLimit(.minutes(5))) func `ten thousand runs keep the money and the cap`() throws {
        if let seed = Self.replay { return try LeaseSimulation(seed: seed).run() }
        var late = 0
        for seed in 0..<10_000 as Range<UInt64> {
            let simulation = LeaseSimulation(seed: seed)
            try simulation.run()
            if simulation.sawLateCharge { late += 1 }
        }
        // The runs are only worth something when the hard cases happen in them.
        #expect(late > 100, "late returns happened in \(late) runs")
    }
}

struct SimulationFailure: Error, CustomStringConvertible { var description: String }

/// One run.
private final class LeaseSimulation {
    private struct Request {
        var id: RequestID
        var user: Int64
        var amount: NanoUSD
    }

    private struct Gateway {
        var holder: LeaseHolder
        var book = AccountBook()
        /// Survive a crash.
        var journaledHolds: [Request] = []
        var journaledSettlements: [Request] = []
        var isAlive = true
        var isCutOff = false
        /// Rate of its clock in parts per thousand: leases must hold although clocks drift.
        var rate: Int64
        /// Posted, but the answer was lost: the book does not know yet.
        var unconfirmed: Set<RequestID> = []
    }

    private let seed: UInt64
    private var rng: SplitMix64
    private var seconds: Int64 = 1_000
    private var clockOffset: Int64 = 0
    private var gateways: [Gateway] = []
    private var number = 0
    private let users: [Int64] = [1, 2]

    // The database.
    private var credits: [Int64: Int64] = [:]
    private var balances: [Int64: Int64] = [:]
    private var leases: [Int64: [String: LeaseRow]] = [:]
    private var posted: [RequestID: Int64] = [:]
    /// Charges that no lease covered any more when they came, because the gateway was away for longer than its leases lasted.
    private var late: [Int64: Int64] = [:]
    private var settledCharges: [RequestID: Int64] = [:]

    private static let lifetime: Int64 = 120
    private static let margin: Int64 = 5

    var sawLateCharge: Bool { late.values.contains { $0 > 0 } }

    init(seed: UInt64) {
        self.seed = seed
        rng = SplitMix64(seed: seed)
        let count = 1 + Int(rng.below(4))
        for index in 0..<count {
            gateways.append(
                Gateway(
                    holder: LeaseHolder(
                        gatewayID: "g\(index)", epoch: 1, isExclusive: count == 1 && rng.below(2) == 0, lifetime: Self.lifetime),
                    rate: 980 + Int64(rng.below(41))))
        }
        for user in users {
            credits[user] = Int64(rng.below(5_000))
            balances[user] = credits[user]
        }
    }

    func run() throws {
        for _ in 0..<120 {
            step()
            try check()
        }
        try settleDown()
    }

    private func fail(_ what: String) -> SimulationFailure { SimulationFailure(description: "seed \(seed), second \(seconds): \(what)") }

    private var databaseClock: Int64 { seconds + clockOffset }

    private func now(_ index: Int) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: seconds * gateways[index].rate * 1_000_000)
    }

    private func validity(_ index: Int) -> MonotonicInstant? {
        gateways[index].holder.isExclusive ? nil : now(index).advanced(by: .seconds(Self.lifetime - Self.margin))
    }

    // MARK: What can happen

    private func step() {
        let index = Int(rng.below(UInt64(gateways.count)))
        switch rng.below(20) {
        case 0...6: request(index)
        case 7...9: end(index)
        case 10, 11: post(index, answerIsLost: rng.below(5) == 0)
        case 12: seconds += Int64(rng.below(30))
        case 13: renew(index)
        case 14: giveBack(index, all: rng.below(2) == 0)
        case 15: gateways[index].isCutOff.toggle()
        case 16: gateways[index].isAlive ? crash(index) : restart(index)
        case 17: credit()
        case 18: if rng.below(4) == 0 { seconds += Self.lifetime + Int64(rng.below(60)) }
        default: clockOffset = max(-2, min(2, clockOffset + Int64(rng.below(3)) - 1))
        }
    }

    private func canReachDatabase(_ index: Int) -> Bool { gateways[index].isAlive && !gateways[index].isCutOff }

    private func request(_ index: Int) {
        guard gateways[index].isAlive else { return }
        number += 1
        let user = users[Int(rng.below(UInt64(users.count)))]
        let request = Request(id: RequestID(bits: UInt128(number)), user: user, amount: NanoUSD(nanos: Int64(rng.below(700))))
        _ = admit(index, request)
    }

    /// As the meter does it: the book, else the ledger, else others' idle leases.
    private func admit(_ index: Int, _ request: Request) -> Bool {
        for attempt in 0..<3 {
            if hold(index, request) { return true }
            guard canReachDatabase(index), let wantsRecall = acquire(index, request) else { return false }
            if hold(index, request) { return true }
            guard wantsRecall, attempt < 2 else { return false }
            for other in gateways.indices where other != index && canReachDatabase(other) { giveBack(other, user: request.user) }
        }
        return false
    }

    private func hold(_ index: Int, _ request: Request) -> Bool {
        do {
            try gateways[index].book.hold(request.id, userID: request.user, amount: request.amount, now: now(index))
        } catch {
            return false
        }
        gateways[index].journaledHolds.append(request)
        return true
    }

    private func acquire(_ index: Int, _ request: Request) -> Bool? {
        let account = gateways[index].book.account(request.user)
        let isValid = account.map { account in account.validUntil.map { now(index) < $0 } ?? true } ?? false
        let available = isValid ? account?.available ?? .zero : .zero
        guard let needed = try? request.amount.subtracting(available),
            let grant = try? LeaseDesk.acquire(
                balance: NanoUSD(nanos: balances[request.user] ?? 0), rows: Array((leases[request.user] ?? [:]).values),
                holder: gateways[index].holder, needed: needed, now: databaseClock)
        else { return nil }
        for gateway in grant.expired { leases[request.user]?[gateway] = nil }
        leases[request.user, default: [:]][grant.row.gatewayID] = grant.row
        gateways[index].book.leased(request.user, grant.state, validUntil: validity(index), now: now(index))
        return grant.wantsRecall
    }

    private func end(_ index: Int) {
        guard gateways[index].isAlive, !gateways[index].journaledHolds.isEmpty else { return }
        let position = Int(rng.below(UInt64(gateways[index].journaledHolds.count)))
        let request = gateways[index].journaledHolds.remove(at: position)
        guard rng.below(4) > 0 else {
            _ = gateways[index].book.void(request.id)
            return
        }
        // Strict admission: never more than was held.
        let charge = NanoUSD(nanos: Int64(rng.below(UInt64(request.amount.nanos + 1))))
        _ = gateways[index].book.settle(request.id, charge: charge)
        journal(index, request, charge)
    }

    private func journal(_ index: Int, _ request: Request, _ charge: NanoUSD) {
        settledCharges[request.id] = charge.nanos
        gateways[index].journaledSettlements.append(Request(id: request.id, user: request.user, amount: charge))
    }

    private func post(_ index: Int, answerIsLost: Bool) {
        guard canReachDatabase(index) else { return }
        let group = gateways[index].journaledSettlements
        var charges: [Int64: Int64] = [:]
        for settled in group where posted[settled.id] == nil {
            posted[settled.id] = settled.amount.nanos
            charges[settled.user, default: 0] += settled.amount.nanos
        }
        let holder = gateways[index].holder
        for (user, charge) in charges {
            balances[user, default: 0] -= charge
            let row = leases[user]?[holder.gatewayID].flatMap { $0.epoch == holder.epoch ? $0 : nil }
            late[user, default: 0] += max(0, charge - (row?.amount.nanos ?? 0))
            if let row {
                leases[user]?[holder.gatewayID]?.amount = LeaseDesk.lease(row.amount, afterPosting: NanoUSD(nanos: charge))
            }
        }
        // The transaction is done, its answer is on the way.
        guard !answerIsLost else { return gateways[index].unconfirmed.formUnion(group.map(\.id)) }
        let states = Dictionary(uniqueKeysWithValues: Set(group.map(\.user)).map { ($0, state($0, holder)) })
        gateways[index].book.posted(group.map(\.id), setAside: [], states: states)
        gateways[index].journaledSettlements = []
        gateways[index].unconfirmed = []
    }

    private func state(_ user: Int64, _ holder: LeaseHolder) -> LeaseState {
        LeaseState(
            balance: NanoUSD(nanos: balances[user] ?? 0), lease: leases[user]?[holder.gatewayID]?.amount ?? .zero)
    }

    private func renew(_ index: Int) {
        guard canReachDatabase(index) else { return }
        let holder = gateways[index].holder
        var renewed: [Int64: NanoUSD] = [:]
        for user in users {
            guard let row = leases[user]?[holder.gatewayID], row.epoch == holder.epoch else { continue }
            leases[user]?[holder.gatewayID]?.expiresAt = databaseClock + Self.lifetime
            renewed[user] = row.amount
        }
        gateways[index].book.renewed(renewed, validUntil: validity(index))
    }

    private func giveBack(_ index: Int, all: Bool) {
        guard canReachDatabase(index) else { return }
        let before = all ? MonotonicInstant(nanoseconds: .max) : now(index).advanced(by: .seconds(-10))
        for (user, _) in gateways[index].book.idle(before: before) { giveBack(index, user: user) }
    }

    private func giveBack(_ index: Int, user: Int64) {
        let amount = gateways[index].book.takeBack(user)
        let id = gateways[index].holder.gatewayID
        guard amount.isPositive, let row = leases[user]?[id], row.epoch == gateways[index].holder.epoch else { return }
        leases[user]?[id]?.amount = LeaseDesk.lease(row.amount, afterReturning: amount)
    }

    private func crash(_ index: Int) {
        gateways[index].isAlive = false
        gateways[index].book = AccountBook()
        gateways[index].unconfirmed = []
    }

    private func restart(_ index: Int) {
        gateways[index].isAlive = true
        gateways[index].holder.epoch += 1
        let holder = gateways[index].holder
        // A start needs the database; without it the gateway stays down.
        guard !gateways[index].isCutOff else { return crash(index) }
        for user in users where leases[user]?[holder.gatewayID] != nil {
            leases[user]?[holder.gatewayID]?.epoch = holder.epoch
            leases[user]?[holder.gatewayID]?.expiresAt = databaseClock + Self.lifetime
        }
        for orphan in gateways[index].journaledHolds {
            journal(index, orphan, NanoUSD(nanos: Int64(rng.below(UInt64(orphan.amount.nanos + 1)))))
        }
        gateways[index].journaledHolds = []
        post(index, answerIsLost: false)
        for user in users where leases[user]?[holder.gatewayID] != nil {
            gateways[index].book.leased(user, state(user, holder), validUntil: validity(index), now: now(index))
        }
    }

    private func credit() {
        let user = users[Int(rng.below(UInt64(users.count)))]
        let amount = Int64(rng.below(1_000))
        credits[user, default: 0] += amount
        balances[user, default: 0] += amount
    }

    // MARK: What must hold

    private func check() throws {
        for user in users {
            let balance = balances[user] ?? 0
            let live = (leases[user] ?? [:]).values.filter { $0.expiresAt >= databaseClock }.reduce(0) { $0 + $1.amount.nanos }
            let lateCharges = late[user] ?? 0
            guard live <= max(0, balance) + lateCharges else { throw fail("user \(user): leases \(live) above balance \(balance)") }
            guard balance + lateCharges >= 0 else { throw fail("user \(user): balance \(balance), of which late \(lateCharges)") }
            for (index, gateway) in gateways.enumerated() where gateway.isAlive {
                try check(gateway, index, user)
            }
        }
        for (id, charge) in posted where settledCharges[id] != charge { throw fail("\(id) was posted with another charge") }
    }

    /// What a gateway believes it may spend is what the ledger has reserved for it.
    private func check(_ gateway: Gateway, _ index: Int, _ user: Int64) throws {
        guard let account = gateway.book.account(user), account.validUntil.map({ now(index) < $0 }) ?? true else { return }
        let unconfirmed = gateway.journaledSettlements.filter { $0.user == user && gateway.unconfirmed.contains($0.id) }
            .reduce(0) { $0 + $1.amount.nanos }
        let reserved = leases[user]?[gateway.holder.gatewayID]?.amount.nanos ?? 0
        guard account.lease.nanos <= reserved + unconfirmed + (late[user] ?? 0) else {
            throw fail("\(gateway.holder.gatewayID) believes in a lease of \(account.lease), the ledger has \(reserved)")
        }
    }

    /// Everybody comes back, everything is posted: the books must agree to the last unit, and what is left can be spent anywhere.
    private func settleDown() throws {
        for index in gateways.indices {
            gateways[index].isCutOff = false
            if !gateways[index].isAlive { restart(index) }
            while !gateways[index].journaledHolds.isEmpty { end(index) }
            post(index, answerIsLost: false)
            try check()
        }
        for user in users {
            let charged = settledCharges.filter { posted[$0.key] != nil }.count
            guard charged == settledCharges.count else { throw fail("\(settledCharges.count - charged) settlements were never posted") }
            guard gateways.allSatisfy({ ($0.book.account(user)?.held ?? .zero) == .zero }) else { throw fail("user \(user): held at the end") }
        }
        let sum = credits.values.reduce(0, +) - posted.values.reduce(0, +)
        guard balances.values.reduce(0, +) == sum else { throw fail("balances \(balances), credits − charges = \(sum)") }
        for user in users where (balances[user] ?? 0) > 0 {
            number += 1
            let whole = Request(id: RequestID(bits: UInt128(number)), user: user, amount: NanoUSD(nanos: balances[user] ?? 0))
            guard admit(Int(rng.below(UInt64(gateways.count))), whole) else {
                throw fail("user \(user) is refused although \(balances[user] ?? 0) are left")
            }
        }
    }
}
