import RouterCore

/// One run.
final class LeaseSimulation {
    enum Case: CaseIterable, Hashable {
        case lateCharge, takeOver, takeOverWithoutProof, reaped, wokeWithoutLeases, fencedWhileRunning, copyStandsBy,
            copyGetsItsOwnIdentity
        case answerAfterExpiry, clockJump, leasedMoneyTaken, startCut, sessionEnded
    }

    struct Request {
        var id: RequestID
        var user: Int64
        var amount: NanoUSD
    }

    /// A data folder, and the process that runs on it.
    struct Gateway {
        // The folder.
        var gatewayID: String
        var lives: [String] = []
        var isCopied = false
        var holds: [Request] = []
        var settlements: [Request] = []
        // The process.
        /// Its connection to the database; another one in every process.
        var session = 0
        var isAlive = false
        var isStopped = false
        var isCutOff = false
        /// When it was cut off.
        var cutOffAt: Int64 = 0
        /// Its session was ended by hand, and it has not noticed.
        var hasLostSession = false
        var book = AccountBook()
        var trust = LeaseTrust()
        var watch = LeaseWatch()
        /// Has the identity; else it stands by, or is fenced.
        var isMember = false
        var isFenced = false
        var holder: LeaseHolder
        /// A sign of life whose answer is under way.
        var answer: (asked: MonotonicInstant, holder: LeaseHolder, lives: [GatewayLife]?)?
        /// Posted, but the answer was lost: the book does not know yet.
        var unconfirmed: Set<RequestID> = []
        /// Rate of its clock in parts per thousand: leases must hold although clocks drift.
        var rate: Int64
    }

    private let seed: UInt64
    private var rng: SplitMix64
    var seconds: Int64 = 1_000
    var gateways: [Gateway] = []
    var model = LeaseModel()
    var saw: Set<Case> = []
    private var number = 0
    private let users: [Int64] = [1, 2]
    private var credits: [Int64: Int64] = [:]
    /// What a request may be charged: a copied journal may have an estimate where the original has a figure.
    private var charges: [RequestID: Set<Int64>] = [:]

    static let lifetime: Int64 = 120

    init(seed: UInt64) {
        self.seed = seed
        rng = SplitMix64(seed: seed)
        for _ in 0..<1 + Int(rng.below(4)) {
            add(Gateway(gatewayID: "g\(gateways.count)", holder: holder("", ""), rate: rate()))
        }
        for user in users {
            credits[user] = Int64(rng.below(5_000))
            model.balances[user] = credits[user]
            model.leases[user] = [:]
        }
        for index in gateways.indices { start(index) }
    }

    /// - Returns: the hard cases that happened.
    func run() throws -> Set<Case> {
        for _ in 0..<150 {
            step()
            try check()
        }
        if model.slack.values.contains(where: { $0 > 0 }) { saw.insert(.lateCharge) }
        try settleDown()
        return saw
    }

    func fail(_ what: String) -> SimulationFailure {
        SimulationFailure(description: "seed \(seed), second \(seconds): \(what)")
    }
    private func rate() -> Int64 { 985 + Int64(rng.below(31)) }
    private func add(_ gateway: Gateway) { gateways.append(gateway) }
    private func chance(_ parts: UInt64) -> Bool { rng.below(parts) == 0 }

    private func holder(_ id: String, _ life: String) -> LeaseHolder {
        LeaseHolder(gatewayID: id, incarnation: life, isExclusive: false, lifetime: Self.lifetime)
    }

    func now(_ index: Int) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: seconds * gateways[index].rate * 1_000_000)
    }

    private func pass(_ time: Int64) {
        seconds += time
        model.clock += time
        // The server drops a session that has been silent for longer than leases last.
        for index in gateways.indices
        where gateways[index].isCutOff && seconds - gateways[index].cutOffAt > Self.lifetime + 40 {
            model.endSession(gateways[index].session)
        }
    }

    // MARK: What can happen

    private func step() {
        let index = Int(rng.below(UInt64(gateways.count)))
        switch rng.below(26) {
        case 0...6: request(index)
        case 7...9: end(index)
        case 10, 11: post(index, answerIsLost: chance(5))
        case 12: pass(Int64(rng.below(30)))
        case 13, 14: beat(index)
        case 15: giveBack(index, all: chance(2))
        case 16: toggleCutOff(index)
        case 17: gateways[index].isAlive ? crash(index) : start(index)
        case 18: adjust()
        case 19: if chance(4) { pass(Self.lifetime + Int64(rng.below(60))) }
        case 20: jump()
        case 21: if gateways[index].isAlive { gateways[index].isStopped.toggle() }
        case 22: if chance(3) { model.restart() }
        case 23: if chance(2) { copy(index) }
        case 24: endSession(index)
        default:
            // A loop of restarts.
            for _ in 0..<rng.below(4) {
                if gateways[index].isAlive { crash(index) }
                start(index)
            }
        }
    }

    private func jump() {
        model.clock += (chance(2) ? 1 : -1) * Int64(rng.below(1_000_000))
        saw.insert(.clockJump)
    }

    private func toggleCutOff(_ index: Int) {
        // Not together with a session that was ended by hand: that is one fault too many (docs/decisions/0007).
        guard !gateways[index].hasLostSession else { return }
        gateways[index].isCutOff.toggle()
        gateways[index].cutOffAt = seconds
    }

    private func endSession(_ index: Int) {
        // Not within the second in which it has come back and not asked yet: two faults again.
        guard canAsk(index), gateways[index].isMember, !gateways[index].trust.isLedgerAway else { return }
        model.endSession(gateways[index].session)
        gateways[index].hasLostSession = true
        saw.insert(.sessionEnded)
    }

    /// The folder is copied while its gateway runs, or not, and a gateway is started on the copy.
    private func copy(_ index: Int) {
        guard gateways.count < 6 else { return }
        let source = gateways[index]
        var copy = Gateway(gatewayID: source.gatewayID, holder: source.holder, rate: rate())
        (copy.lives, copy.holds, copy.settlements, copy.isCopied) = (
            source.lives, source.holds, source.settlements, true
        )
        add(copy)
        start(gateways.count - 1)
    }

    func canAsk(_ index: Int) -> Bool {
        gateways[index].isAlive && !gateways[index].isStopped && !gateways[index].isCutOff
    }

    // MARK: Lives

    private func crash(_ index: Int) {
        model.endSession(gateways[index].session)
        gateways[index].isAlive = false
        gateways[index].isStopped = false
        gateways[index].isMember = false
        gateways[index].isFenced = false
        gateways[index].hasLostSession = false
        gateways[index].answer = nil
        gateways[index].book = AccountBook()
        gateways[index].unconfirmed = []
        gateways[index].trust = LeaseTrust()
        gateways[index].watch = LeaseWatch()
    }

    private func newLife(_ index: Int) {
        number += 1
        gateways[index].lives.insert("life\(number)", at: 0)
        gateways[index].holder = holder(gateways[index].gatewayID, "life\(number)")
    }

    private func newGateway(_ index: Int) {
        number += 1
        gateways[index].gatewayID = "new\(number)"
        gateways[index].lives = []
        newLife(index)
    }

    /// A start needs the database; without it the gateway stays down. Any start may be cut.
    private func start(_ index: Int) {
        guard !gateways[index].isCutOff else { return }
        newLife(index)
        gateways[index].session = number
        gateways[index].isAlive = true
        join(index, mayChange: gateways[index].holds.isEmpty)
    }

    private func join(_ index: Int, mayChange: Bool) {
        var earlier = model.claim(gateways[index].holder, gateways[index].session)
        if earlier == nil, mayChange {
            newGateway(index)
            saw.insert(.copyGetsItsOwnIdentity)
            earlier = model.claim(gateways[index].holder, gateways[index].session)
        }
        guard let earlier else {
            saw.insert(.copyStandsBy)
            return
        }
        if chance(8) {
            saw.insert(.startCut)
            return crash(index)
        }
        // A folder that was copied cannot know whose process is gone.
        if gateways[index].isCopied, earlier > 0 { pass(1 + LeaseTrust.grace.components.seconds) }
        gateways[index].isCopied = false
        guard let taken = model.takeOver(Array(gateways[index].lives.dropFirst()), by: gateways[index].holder) else {
            return crash(index)
        }
        if taken > 0 { saw.insert(.takeOver) }
        if taken < earlier { saw.insert(.takeOverWithoutProof) }
        if chance(8) { return crash(index) }
        for orphan in gateways[index].holds {
            journal(index, orphan, Int64(rng.below(UInt64(orphan.amount.nanos + 1))))
        }
        gateways[index].holds = []
        post(index, answerIsLost: false)
        takePlace(index)
    }

    private func takePlace(_ index: Int) {
        let asked = now(index)
        guard model.beat(gateways[index].holder, gateways[index].session) != nil else { return fence(index) }
        gateways[index].book.loseLeases()
        for user in users where model.leases[user]?[gateways[index].holder.incarnation] != nil {
            gateways[index].book.leased(user, model.state(user, gateways[index].holder), now: asked)
        }
        (gateways[index].isMember, gateways[index].isFenced, gateways[index].answer) = (true, false, nil)
        gateways[index].trust.lost()
        gateways[index].trust.heard(asked: asked)
        trust(index)
    }

    private func fence(_ index: Int) {
        gateways[index].isMember = false
        gateways[index].isFenced = true
        gateways[index].trust.lost()
        trust(index)
    }

    private func trust(_ index: Int) {
        gateways[index].book.trust(until: gateways[index].trust.until(lifetime: Self.lifetime))
    }

    /// A sign of life: asked in one step, heard in another. Or a try to come back.
    private func beat(_ index: Int) {
        guard gateways[index].isAlive, !gateways[index].isStopped else { return }
        if gateways[index].isFenced { return comeBack(index) }
        guard gateways[index].isMember else {
            if canAsk(index) { join(index, mayChange: false) }
            return
        }
        if let answer = gateways[index].answer {
            gateways[index].answer = nil
            return heard(index, answer)
        }
        guard !gateways[index].isCutOff else {
            gateways[index].trust.isLedgerAway = true
            return trust(index)
        }
        gateways[index].hasLostSession = false
        let asked = now(index)
        let holder = gateways[index].holder
        let answer = (asked: asked, holder: holder, lives: model.beat(holder, gateways[index].session))
        if chance(3) { gateways[index].answer = answer } else { heard(index, answer) }
    }

    private func heard(_ index: Int, _ answer: (asked: MonotonicInstant, holder: LeaseHolder, lives: [GatewayLife]?)) {
        guard answer.holder == gateways[index].holder else { return }
        guard let lives = answer.lives else {
            saw.insert(.fencedWhileRunning)
            return fence(index)
        }
        if now(index) > answer.asked.advanced(by: .seconds(Self.lifetime)) { saw.insert(.answerAfterExpiry) }
        gateways[index].trust.heard(asked: answer.asked)
        trust(index)
        let own = gateways[index].holder.incarnation
        for life in gateways[index].watch.saw(lives, own: own, asked: answer.asked, answered: now(index))
        where canAsk(index) {
            if model.reap(life) { saw.insert(.reaped) }
        }
    }

    private func comeBack(_ index: Int) {
        guard canAsk(index) else { return }
        post(index, answerIsLost: false)
        newLife(index)
        if model.claim(gateways[index].holder, gateways[index].session) == nil {
            newGateway(index)
            guard model.claim(gateways[index].holder, gateways[index].session) != nil else { return }
        }
        takePlace(index)
    }

    // MARK: Requests

    private func request(_ index: Int) {
        guard gateways[index].isAlive, !gateways[index].isStopped else { return }
        number += 1
        let user = users[Int(rng.below(UInt64(users.count)))]
        let request = Request(
            id: RequestID(bits: UInt128(number)), user: user, amount: NanoUSD(nanos: Int64(rng.below(700))))
        _ = admit(index, request)
    }

    /// As the meter does it: the book, else the ledger, else others' idle leases.
    private func admit(_ index: Int, _ request: Request) -> Bool {
        for attempt in 0..<3 {
            if hold(index, request) { return true }
            guard canAsk(index), gateways[index].isMember, let wantsRecall = acquire(index, request) else {
                return false
            }
            if hold(index, request) { return true }
            guard wantsRecall, attempt < 2 else { return false }
            for other in gateways.indices where other != index && canAsk(other) { giveBack(other, user: request.user) }
        }
        return false
    }

    private func hold(_ index: Int, _ request: Request) -> Bool {
        guard gateways[index].isMember else { return false }
        do {
            try gateways[index].book.hold(request.id, userID: request.user, amount: request.amount, now: now(index))
        } catch {
            return false
        }
        gateways[index].holds.append(request)
        return true
    }

    private func acquire(_ index: Int, _ request: Request) -> Bool? {
        let isKnown = gateways[index].book.isTrusted(at: now(index))
        let available = isKnown ? gateways[index].book.account(request.user)?.available ?? .zero : .zero
        guard let needed = try? request.amount.subtracting(available) else { return nil }
        let asked = now(index)
        guard let grant = model.acquire(request.user, needed, gateways[index].holder) else {
            // The request is refused; the next sign of life tells why.
            saw.insert(.wokeWithoutLeases)
            return nil
        }
        gateways[index].trust.heard(asked: asked)
        gateways[index].book.leased(request.user, grant.state, now: asked)
        trust(index)
        return grant.wantsRecall
    }

    private func end(_ index: Int) {
        guard gateways[index].isAlive, gateways[index].isMember || gateways[index].isFenced, !gateways[index].isStopped,
            !gateways[index].holds.isEmpty
        else { return }
        let request = gateways[index].holds.remove(at: Int(rng.below(UInt64(gateways[index].holds.count))))
        guard !chance(4) else {
            _ = gateways[index].book.void(request.id)
            return journal(index, request, 0)
        }
        // Strict admission: never more than was held.
        let charge = Int64(rng.below(UInt64(request.amount.nanos + 1)))
        _ = gateways[index].book.settle(request.id, charge: NanoUSD(nanos: charge))
        journal(index, request, charge)
    }

    private func journal(_ index: Int, _ request: Request, _ charge: Int64) {
        charges[request.id, default: []].insert(charge)
        gateways[index].settlements.append(Request(id: request.id, user: request.user, amount: NanoUSD(nanos: charge)))
    }

    private func post(_ index: Int, answerIsLost: Bool) {
        guard canAsk(index) else { return }
        let group = gateways[index].settlements
        let states = model.post(group.map { ($0.id, $0.user, $0.amount.nanos) }, gateways[index].holder)
        // The transaction is done, its answer is on the way.
        guard !answerIsLost else { return gateways[index].unconfirmed.formUnion(group.map(\.id)) }
        gateways[index].book.posted(group.map(\.id), setAside: [], states: states)
        gateways[index].settlements = []
        gateways[index].unconfirmed = []
    }

    private func giveBack(_ index: Int, all: Bool) {
        guard canAsk(index), gateways[index].isMember else { return }
        let before = all ? MonotonicInstant(nanoseconds: .max) : now(index).advanced(by: .seconds(-10))
        for (user, _) in gateways[index].book.idle(before: before) { giveBack(index, user: user) }
    }

    private func giveBack(_ index: Int, user: Int64) {
        let amount = gateways[index].book.takeBack(user)
        if amount.isPositive { model.giveBack(user, amount, gateways[index].holder) }
    }

    private func adjust() {
        let user = users[Int(rng.below(UInt64(users.count)))]
        let amount = Int64(rng.below(1_200)) - 400
        credits[user, default: 0] += amount
        let before = model.slack[user] ?? 0
        model.adjust(user, amount)
        if amount < 0, model.slack[user] ?? 0 > before { saw.insert(.leasedMoneyTaken) }
    }

    // MARK: What must hold

    private func check() throws {
        for user in users {
            let balance = model.balances[user] ?? 0
            let slack = model.slack[user] ?? 0
            let leased = model.leased(user)
            guard leased <= max(0, balance) + slack else {
                throw fail("user \(user): leases \(leased) above balance \(balance), slack \(slack)")
            }
            guard balance + slack >= 0 else {
                throw fail("user \(user): balance \(balance), of which \(slack) is explained")
            }
            for index in gateways.indices where gateways[index].isAlive && !gateways[index].isStopped {
                try check(index, user)
            }
        }
        for (id, charge) in model.posted where charges[id]?.contains(charge) != true {
            throw fail("\(id) was posted with another charge")
        }
    }

    /// Who may spend without asking spends what the ledger has reserved for this life, and for nobody else.
    private func check(_ index: Int, _ user: Int64) throws {
        let gateway = gateways[index]
        guard let account = gateway.book.account(user), gateway.book.isTrusted(at: now(index)), gateway.isMember else {
            return
        }
        let unconfirmed = gateway.settlements.filter { $0.user == user && gateway.unconfirmed.contains($0.id) }
            .reduce(0) { $0 + $1.amount.nanos }
        let reserved = model.leases[user]?[gateway.holder.incarnation] ?? 0
        guard account.lease.nanos <= reserved + unconfirmed else {
            throw fail(
                "\(gateway.holder.incarnation) believes in a lease of \(account.lease), the ledger has \(reserved)")
        }
    }

    /// Everybody comes back, one after the other, everything is posted: the books must agree to the last unit, and what
    /// is left can be spent.
    private func settleDown() throws {
        for index in gateways.indices {
            for other in gateways.indices where gateways[other].isAlive { crash(other) }
            gateways[index].isCutOff = false
            for _ in 0..<100 where !gateways[index].isMember { start(index) }
            guard gateways[index].isMember else { throw fail("gateway \(index) cannot start") }
            post(index, answerIsLost: false)
            try check()
        }
        for id in charges.keys where model.posted[id] == nil { throw fail("\(id) was never posted") }
        let sum = credits.values.reduce(0, +) - model.posted.values.reduce(0, +)
        guard model.balances.values.reduce(0, +) == sum else {
            throw fail("balances \(model.balances), credits − charges = \(sum)")
        }
        let last = gateways.count - 1
        gateways[last].answer = nil
        for _ in 0..<4 {
            for _ in 0..<4 { beat(last) }
            pass(Self.lifetime)
        }
        for user in users where (model.balances[user] ?? 0) > 0 {
            number += 1
            let whole = Request(
                id: RequestID(bits: UInt128(number)), user: user, amount: NanoUSD(nanos: model.balances[user] ?? 0))
            guard admit(last, whole) else {
                throw fail("user \(user) is refused although \(model.balances[user] ?? 0) are left")
            }
        }
    }
}
