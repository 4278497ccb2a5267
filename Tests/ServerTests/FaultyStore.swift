import RouterCore
import Storage
import Synchronization

/// A store or journal call that is made to fail, before or after it has done its work: the second is what a lost answer looks like.
final class Faults: Sendable {
    struct Injected: Error {}
    private struct State {
        var countdown: Int
        var hasFailed = false
    }
    private let state: Mutex<State>
    let failsAfterwards: Bool

    /// - Parameter call: which call fails, from 1; 0 = none.
    init(call: Int, failsAfterwards: Bool) {
        state = Mutex(State(countdown: call))
        self.failsAfterwards = failsAfterwards
    }

    var hasFailed: Bool { state.withLock { $0.hasFailed } }

    func guarding<Value>(_ body: () async throws -> Value) async throws -> Value {
        let fails = state.withLock { state in
            state.countdown -= 1
            if state.countdown == 0 { state.hasFailed = true }
            return state.countdown == 0
        }
        if fails, !failsAfterwards { throw StoreError.database("injected") }
        let value = try await body()
        if fails { throw StoreError.database("injected, afterwards") }
        return value
    }
}

/// Passes everything on to a real store, and fails where it is told to.
struct FaultyStore: Store {
    let store: any Store
    let faults: Faults

    var isShared: Bool { store.isShared }
    func notes() async throws -> [String] { try await store.notes() }
    func changes() -> AsyncStream<[StoreChange]>? { store.changes() }
    func entry(kind: TransactionKind, referenceID: String) async throws -> LedgerEntry? {
        try await faults.guarding { try await store.entry(kind: kind, referenceID: referenceID) }
    }
    func dropLeases(of users: Set<Int64>) async throws { try await faults.guarding { try await store.dropLeases(of: users) } }
    func priceHistory(_ model: String, limit: Int) async throws -> [PricingRow] {
        try await faults.guarding { try await store.priceHistory(model, limit: limit) }
    }
    func priceVersions() async throws -> [Int64: Int64] { try await faults.guarding { try await store.priceVersions() } }
    func ping() async throws { try await faults.guarding { try await store.ping() } }
    func close() async throws { try await store.close() }

    func createUser(_ user: NewUser, audit: AuditEntry) async throws -> User {
        try await faults.guarding { try await store.createUser(user, audit: audit) }
    }
    func user(id: Int64) async throws -> User? { try await faults.guarding { try await store.user(id: id) } }
    func userForLogin(username: String) async throws -> (user: User, passwordHash: String)? {
        try await faults.guarding { try await store.userForLogin(username: username) }
    }
    func users(_ query: UserQuery) async throws -> Page<User> { try await faults.guarding { try await store.users(query) } }
    func countUsers() async throws -> [String: Int64] { try await faults.guarding { try await store.countUsers() } }
    func allUsers() async throws -> [User] { try await faults.guarding { try await store.allUsers() } }
    func changeUser(id: Int64, _ change: UserChange, audit: AuditEntry) async throws -> User {
        try await faults.guarding { try await store.changeUser(id: id, change, audit: audit) }
    }
    func deleteUser(id: Int64, audit: AuditEntry) async throws {
        try await faults.guarding { try await store.deleteUser(id: id, audit: audit) }
    }
    func addAccessToken(_ token: AccessToken, verified passwordHash: String?, audit: AuditEntry) async throws -> Bool {
        try await faults.guarding { try await store.addAccessToken(token, verified: passwordHash, audit: audit) }
    }
    func removeAccessToken(hash: [UInt8]) async throws { try await faults.guarding { try await store.removeAccessToken(hash: hash) } }
    func endManagementTokens(userID: Int64, except kept: [UInt8]?, audit: AuditEntry) async throws {
        try await faults.guarding { try await store.endManagementTokens(userID: userID, except: kept, audit: audit) }
    }
    func setBootstrapToken(userID: Int64, hash: [UInt8]?, audit: AuditEntry) async throws -> BootstrapOutcome {
        try await faults.guarding { try await store.setBootstrapToken(userID: userID, hash: hash, audit: audit) }
    }
    func setBootstrapKey(userID: Int64, _ token: Token?, audit: AuditEntry) async throws -> BootstrapOutcome {
        try await faults.guarding { try await store.setBootstrapKey(userID: userID, token, audit: audit) }
    }
    func removeSessions(userID: Int64, except hash: [UInt8]?) async throws {
        try await faults.guarding { try await store.removeSessions(userID: userID, except: hash) }
    }
    func userForAccessToken(hash: [UInt8], now: Int64, idleSince: Int64) async throws -> TokenOwner? {
        try await faults.guarding { try await store.userForAccessToken(hash: hash, now: now, idleSince: idleSince) }
    }
    func touchAccessToken(hash: [UInt8], now: Int64) async throws {
        try await faults.guarding { try await store.touchAccessToken(hash: hash, now: now) }
    }
    func accessTokens(userID: Int64, now: Int64, idleSince: Int64) async throws -> [AccessToken] {
        try await faults.guarding { try await store.accessTokens(userID: userID, now: now, idleSince: idleSince) }
    }
    func knowsLogin(userID: Int64, address: String, since: Int64) async throws -> Bool {
        try await faults.guarding { try await store.knowsLogin(userID: userID, address: address, since: since) }
    }
    func noteLogin(userID: Int64, address: String, now: Int64) async throws {
        try await faults.guarding { try await store.noteLogin(userID: userID, address: address, now: now) }
    }
    func claimSetting(_ key: String, _ value: String) async throws -> String {
        try await faults.guarding { try await store.claimSetting(key, value) }
    }

    func createToken(_ token: Token, audit: AuditEntry) async throws -> Token {
        try await faults.guarding { try await store.createToken(token, audit: audit) }
    }
    func token(id: Int64) async throws -> Token? { try await faults.guarding { try await store.token(id: id) } }
    func token(keyHash: [UInt8]) async throws -> Token? { try await faults.guarding { try await store.token(keyHash: keyHash) } }
    func tokens(_ query: TokenQuery) async throws -> Page<Token> {
        try await faults.guarding { try await store.tokens(query) }
    }
    func allTokens() async throws -> [Token] { try await faults.guarding { try await store.allTokens() } }
    func changeToken(id: Int64, _ change: TokenChange, audit: AuditEntry) async throws -> Token {
        try await faults.guarding { try await store.changeToken(id: id, change, audit: audit) }
    }
    func deleteToken(id: Int64, audit: AuditEntry) async throws {
        try await faults.guarding { try await store.deleteToken(id: id, audit: audit) }
    }
    func touchTokens(_ accessed: [Int64: Int64]) async throws { try await faults.guarding { try await store.touchTokens(accessed) } }

    func allPrices() async throws -> [PricingRow] { try await faults.guarding { try await store.allPrices() } }
    func latestPriceVersion() async throws -> Int64 { try await faults.guarding { try await store.latestPriceVersion() } }
    func seedPrices(_ rows: [PricingRow], now: Int64, audit: AuditEntry?) async throws -> Int {
        try await faults.guarding { try await store.seedPrices(rows, now: now, audit: audit) }
    }
    func price(version: Int64) async throws -> ModelPrice? { try await faults.guarding { try await store.price(version: version) } }
    func setPrice(_ row: PricingRow, now: Int64, audit: AuditEntry) async throws -> PricingRow {
        try await faults.guarding { try await store.setPrice(row, now: now, audit: audit) }
    }

    func post(_ records: [RequestRecord], holder: LeaseHolder?) async throws -> PostingResult {
        try await faults.guarding { try await store.post(records, holder: holder) }
    }
    func post(_ posting: LedgerPosting, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await faults.guarding { try await store.post(posting, audit: audit) }
    }
    func refund(_ refund: Refund, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await faults.guarding { try await store.refund(refund, audit: audit) }
    }
    func chargedAccount(reference: String) async throws -> ChargedAccount? {
        try await faults.guarding { try await store.chargedAccount(reference: reference) }
    }
    func spent(userID: Int64) async throws -> (balance: NanoUSD, charged: NanoUSD)? {
        try await faults.guarding { try await store.spent(userID: userID) }
    }
    func entries(userID: Int64, kind: TransactionKind?, _ page: PageRequest) async throws -> Page<LedgerEntry> {
        try await faults.guarding { try await store.entries(userID: userID, kind: kind, page) }
    }
    func entries(in range: Range<Int64>, after: Int64, limit: Int) async throws -> [LedgerEntry] {
        try await faults.guarding { try await store.entries(in: range, after: after, limit: limit) }
    }
    func verify() async throws -> LedgerReport { try await faults.guarding { try await store.verify() } }

    func claim(_ holder: LeaseHolder, now: Int64) async throws -> LeaseClaim {
        try await faults.guarding { try await store.claim(holder, now: now) }
    }
    func takeOver(_ earlier: [String], by holder: LeaseHolder) async throws -> [String] {
        try await faults.guarding { try await store.takeOver(earlier, by: holder) }
    }
    func beat(_ holder: LeaseHolder, now: Int64) async throws -> [GatewayLife] {
        try await faults.guarding { try await store.beat(holder, now: now) }
    }
    func gateways(now: Int64) async throws -> [GatewayLife] { try await faults.guarding { try await store.gateways(now: now) } }
    func reap(_ incarnation: String, beats: Int64) async throws -> Bool {
        try await faults.guarding { try await store.reap(incarnation, beats: beats) }
    }
    func leave(_ holder: LeaseHolder) async throws { try await faults.guarding { try await store.leave(holder) } }
    func leases(of holder: LeaseHolder) async throws -> [Int64: LeaseState] {
        try await faults.guarding { try await store.leases(of: holder) }
    }
    func leaseState(userID: Int64, holder: LeaseHolder) async throws -> LeaseState? {
        try await faults.guarding { try await store.leaseState(userID: userID, holder: holder) }
    }
    func acquireLease(userID: Int64, needed: NanoUSD, floor: NanoUSD, holder: LeaseHolder, now: Int64) async throws -> LeaseState? {
        try await faults.guarding {
            try await store.acquireLease(userID: userID, needed: needed, floor: floor, holder: holder, now: now)
        }
    }
    func returnLease(userID: Int64, amount: NanoUSD, holder: LeaseHolder, now: Int64) async throws {
        try await faults.guarding { try await store.returnLease(userID: userID, amount: amount, holder: holder, now: now) }
    }
    func spending(_ counters: [BudgetCounter]) async throws -> [BudgetCounter: NanoUSD] {
        try await faults.guarding { try await store.spending(counters) }
    }

    func shareLimits(
        _ reports: [LimitReport], gateway: String, lifetime: Int64
    ) async throws -> (gateways: [String], grants: [BudgetScope: LimitGrant]) {
        try await faults.guarding { try await store.shareLimits(reports, gateway: gateway, lifetime: lifetime) }
    }
    func leaveLimits(gateway: String) async throws { try await faults.guarding { try await store.leaveLimits(gateway: gateway) } }

    func reconciliations(_ state: ReconciliationRow.State?, open: Bool, _ page: PageRequest) async throws -> Page<ReconciliationRow> {
        try await faults.guarding { try await store.reconciliations(state, open: open, page) }
    }
    func dueReconciliations(now: Int64, limit: Int) async throws -> [ReconciliationRow] {
        try await faults.guarding { try await store.dueReconciliations(now: now, limit: limit) }
    }
    func postponeReconciliation(_ id: RequestID, nextAt: Int64?, note: String) async throws {
        try await faults.guarding { try await store.postponeReconciliation(id, nextAt: nextAt, note: note) }
    }
    func reconcile(_ id: RequestID, usage: Usage, bill: Bill, cost: VendorCost?, now: Int64) async throws {
        try await faults.guarding { try await store.reconcile(id, usage: usage, bill: bill, cost: cost, now: now) }
    }

    func margins(in range: Range<Int64>) async throws -> [MarginRow] { try await faults.guarding { try await store.margins(in: range) } }
    func upstreamCosts(provider: String, in range: Range<Int64>) async throws -> [DailyCost] {
        try await faults.guarding { try await store.upstreamCosts(provider: provider, in: range) }
    }
    func log(answerID: String, userID: Int64) async throws -> LogRow? {
        try await faults.guarding { try await store.log(answerID: answerID, userID: userID) }
    }
    func logs(_ query: LogQuery) async throws -> Page<LogRow> { try await faults.guarding { try await store.logs(query) } }
    func logs(_ query: LogQuery, before: Int64) async throws -> CursorPage<LogRow> {
        try await faults.guarding { try await store.logs(query, before: before) }
    }
    func names(tokens: Set<Int64>, users: Set<Int64>) async throws -> RecordNames {
        try await faults.guarding { try await store.names(tokens: tokens, users: users) }
    }
    func letGoLogs(before limit: Int64, most: Int) async throws -> Int {
        try await faults.guarding { try await store.letGoLogs(before: limit, most: most) }
    }
    func logsLetGo() async throws -> Int64? { try await faults.guarding { try await store.logsLetGo() } }
    func entries(_ query: EntryQuery, before: Int64, size: Int) async throws -> CursorPage<LedgerEntry> {
        try await faults.guarding { try await store.entries(query, before: before, size: size) }
    }
    func usage(_ query: UsageQuery) async throws -> [UsageRow] { try await faults.guarding { try await store.usage(query) } }
    func mostLogs(_ query: LogQuery) async throws -> Int64 { try await faults.guarding { try await store.mostLogs(query) } }
    func mostEntries(_ query: EntryQuery) async throws -> Int64 { try await faults.guarding { try await store.mostEntries(query) } }
    func usageDays() async throws -> [Int64] { try await faults.guarding { try await store.usageDays() } }
    func rebuildUsage(day: Int64) async throws -> Int64? { try await faults.guarding { try await store.rebuildUsage(day: day) } }
    func rebuildEntryRanges() async throws { try await faults.guarding { try await store.rebuildEntryRanges() } }
    func logStatistics(_ query: LogQuery) async throws -> LogStatistics {
        try await faults.guarding { try await store.logStatistics(query) }
    }
    func saveHealth(_ rows: [ChannelHealthRow], now: Int64) async throws {
        try await faults.guarding { try await store.saveHealth(rows, now: now) }
    }
    func loadHealth() async throws -> [ChannelHealthRow] { try await faults.guarding { try await store.loadHealth() } }
    func setting(_ key: String) async throws -> String? { try await faults.guarding { try await store.setting(key) } }
    func setSetting(_ key: String, _ value: String, audit: AuditEntry?) async throws {
        try await faults.guarding { try await store.setSetting(key, value, audit: audit) }
    }
    func audit(_ entry: AuditEntry) async throws { try await faults.guarding { try await store.audit(entry) } }
    func auditRows(_ page: PageRequest) async throws -> Page<AuditRow> { try await faults.guarding { try await store.auditRows(page) } }

    func auditRows(_ query: AuditQuery, limit: Int) async throws -> [AuditRow] {
        try await faults.guarding { try await store.auditRows(query, limit: limit) }
    }

    func openLongHold(_ hold: LongHold, holder: LeaseHolder, now: Int64) async throws -> LeaseState {
        try await faults.guarding { try await store.openLongHold(hold, holder: holder, now: now) }
    }
    func bindLongHold(_ id: RequestID, objectID: String, nextAt: Int64) async throws -> Bool {
        try await faults.guarding { try await store.bindLongHold(id, objectID: objectID, nextAt: nextAt) }
    }
    func setLongHoldDetail(_ id: RequestID, _ detail: String) async throws {
        try await faults.guarding { try await store.setLongHoldDetail(id, detail) }
    }
    func longHold(_ id: RequestID) async throws -> LongHold? { try await faults.guarding { try await store.longHold(id) } }
    func longHold(_ kind: LongHold.Kind, objectID: String, channelID: Int64) async throws -> LongHold? {
        try await faults.guarding { try await store.longHold(kind, objectID: objectID, channelID: channelID) }
    }
    func countLongHolds(
        _ kind: LongHold.Kind, userID: Int64, accountID: Int64?, tokenID: Int64?
    ) async throws -> LongHoldCount {
        try await faults.guarding { try await store.countLongHolds(kind, userID: userID, accountID: accountID, tokenID: tokenID) }
    }
    func openLongHolds(_ kind: LongHold.Kind) async throws -> Set<RequestID> {
        try await faults.guarding { try await store.openLongHolds(kind) }
    }

    func poisonRecords(limit: Int) async throws -> [PoisonRecord] {
        try await faults.guarding { try await store.poisonRecords(limit: limit) }
    }

    func openLongHolds(channelID: Int64) async throws -> Int64 {
        try await faults.guarding { try await store.openLongHolds(channelID: channelID) }
    }
    func openLongHolds(userID: Int64) async throws -> (count: Int64, amount: NanoUSD) {
        try await faults.guarding { try await store.openLongHolds(userID: userID) }
    }
    func dueLongHolds(_ kind: LongHold.Kind, now: Int64, claim: Int64, limit: Int) async throws -> [LongHold] {
        try await faults.guarding { try await store.dueLongHolds(kind, now: now, claim: claim, limit: limit) }
    }
    func postponeLongHold(_ id: RequestID, nextAt: Int64, note: String) async throws {
        try await faults.guarding { try await store.postponeLongHold(id, nextAt: nextAt, note: note) }
    }
    func hastenLongHold(_ id: RequestID, nextAt: Int64) async throws {
        try await faults.guarding { try await store.hastenLongHold(id, nextAt: nextAt) }
    }
    func endLongHold(_ record: RequestRecord, now: Int64) async throws -> Bool {
        try await faults.guarding { try await store.endLongHold(record, now: now) }
    }
    func addVendorObject(_ object: VendorObject) async throws { try await faults.guarding { try await store.addVendorObject(object) } }
    func vendorObject(_ kind: VendorObject.Kind, id: String, userID: Int64) async throws -> VendorObject? {
        try await faults.guarding { try await store.vendorObject(kind, id: id, userID: userID) }
    }
    func vendorObjects(
        _ kind: VendorObject.Kind, userID: Int64, purpose: String?, after: String?, limit: Int, isAscending: Bool
    ) async throws -> [VendorObject] {
        try await faults.guarding {
            try await store.vendorObjects(kind, userID: userID, purpose: purpose, after: after, limit: limit, isAscending: isAscending)
        }
    }
    func countVendorObjects(_ kind: VendorObject.Kind, userID: Int64) async throws -> Int64 {
        try await faults.guarding { try await store.countVendorObjects(kind, userID: userID) }
    }
    func setVendorObject(_ kind: VendorObject.Kind, id: String, object: String) async throws {
        try await faults.guarding { try await store.setVendorObject(kind, id: id, object: object) }
    }
    func removeVendorObject(_ kind: VendorObject.Kind, id: String) async throws {
        try await faults.guarding { try await store.removeVendorObject(kind, id: id) }
    }
}

/// The same for the journal.
struct FaultyJournal: Journal {
    let journal: any Journal
    let faults: Faults

    var identity: (gatewayID: String, epoch: Int64) { journal.identity }
    var lives: JournalLives { journal.lives }
    var size: Int64 { journal.size }
    func beginLife(asNewGateway: Bool) async throws {
        try await faults.guarding { try await journal.beginLife(asNewGateway: asNewGateway) }
    }
    func hold(_ record: HoldRecord) async throws { try await faults.guarding { try await journal.hold(record) } }
    func settle(_ record: RequestRecord) async throws { try await faults.guarding { try await journal.settle(record) } }
    func progress(_ record: ProgressRecord) { journal.progress(record) }
    func note(_ credit: LedgerEntry) async throws { try await faults.guarding { try await journal.note(credit) } }
    func settled(limit: Int) async throws -> [RequestRecord] { try await faults.guarding { try await journal.settled(limit: limit) } }
    func clear(_ ids: [RequestID]) async throws { try await faults.guarding { try await journal.clear(ids) } }
    func orphans() async throws -> [(hold: HoldRecord, progress: ProgressRecord?)] {
        try await faults.guarding { try await journal.orphans() }
    }
    func close() async throws { try await journal.close() }
}
