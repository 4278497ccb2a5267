public import RouterCore

/// Errors of the stores that a caller can act on.
public enum StoreError: Error, Sendable, Hashable {
    case notFound
    /// A unique value is taken; the name says which (`username`, `key_hash`, `model_name`).
    case duplicate(String)
    /// The same reference id was posted before with other contents.
    case conflict(String)
    case insufficientBalance
    /// The database failed; the text is for our log.
    case database(String)
    /// The database is newer than this program, or a migration file was changed afterwards.
    case schema(String)
    /// Another life of this gateway has its identity, or its leases were taken back after a long silence: this one must not spend.
    case fenced
    /// The journal has reached its bounded size because the ledger's database is away.
    case journalFull
}

/// Users and their credentials. Hashes are made by the Server and stored as given.
///
/// What takes an ``AuditEntry`` writes it in the transaction of the change: where it cannot be written nothing has changed.
public protocol UserStore: Sendable {
    /// - Throws: ``StoreError/duplicate(_:)`` for a taken username (compared without case).
    func createUser(_ user: NewUser, audit: AuditEntry) async throws -> User
    func user(id: Int64) async throws -> User?
    /// By name, without case, with the encoded password hash.
    func userForLogin(username: String) async throws -> (user: User, passwordHash: String)?
    func users(_ page: PageRequest) async throws -> Page<User>
    /// All users, for the account book and the key directory at start-up.
    func allUsers() async throws -> [User]
    /// - Throws: ``StoreError/notFound``, ``StoreError/duplicate(_:)``, ``StoreError/conflict(_:)`` for another password than expected.
    func changeUser(id: Int64, _ change: UserChange, audit: AuditEntry) async throws -> User
    /// Deletes a user who has no ledger rows; one who has is disabled and renamed instead, because books are kept.
    func deleteUser(id: Int64, audit: AuditEntry) async throws
    /// Adds a session or a management token; one that is there stays as it is. Of a user's sessions beyond a thousand the least recently
    /// used end.
    /// - Parameter passwordHash: the stored hash that the caller has verified a password against; nil = it has not.
    /// - Returns: false, with nothing added, where the user is gone, or has another password by now, or has been disabled since.
    func addAccessToken(_ token: AccessToken, verified passwordHash: String?, audit: AuditEntry) async throws -> Bool
    func removeAccessToken(hash: [UInt8]) async throws
    /// Ends the user's sessions and management tokens, the bootstrap token included; API keys stay.
    /// - Parameter kept: the hash of the one that goes on; nil = none does.
    func endManagementTokens(userID: Int64, except kept: [UInt8]?, audit: AuditEntry) async throws
    /// Makes the one management token without an end what the environment says: those of earlier starts end. One that has been ended since
    /// it was set here is not set again.
    /// - Parameter hash: nil = the environment names none.
    /// - Throws: ``StoreError/notFound`` for an unknown user.
    func setBootstrapToken(userID: Int64, hash: [UInt8]?, audit: AuditEntry) async throws -> BootstrapOutcome
    /// Ends a user's sessions, not the tokens that have no end. - Parameter hash: of the one that stays.
    func removeSessions(userID: Int64, except hash: [UInt8]?) async throws
    /// The owner of a token that has no end, or of a session that has not expired at `now` and was used after `idleSince` (Unix seconds).
    func userForAccessToken(hash: [UInt8], now: Int64, idleSince: Int64) async throws -> User?
    /// Notes a use. - Parameter now: Unix seconds.
    func touchAccessToken(hash: [UInt8], now: Int64) async throws
    /// A user's tokens that ``userForAccessToken(hash:now:idleSince:)`` would take, the most recently used first.
    func accessTokens(userID: Int64, now: Int64, idleSince: Int64) async throws -> [AccessToken]
    /// Whether the user has logged in from an address since a time (Unix seconds).
    func knowsLogin(userID: Int64, address: String, since: Int64) async throws -> Bool
    /// Notes that the user has logged in from an address. The last hundred are kept.
    func noteLogin(userID: Int64, address: String, now: Int64) async throws
}

/// API keys of clients.
public protocol TokenStore: Sendable {
    /// Stores and returns with its id. - Throws: ``StoreError/duplicate(_:)``.
    func createToken(_ token: Token, audit: AuditEntry) async throws -> Token
    func token(id: Int64) async throws -> Token?
    func tokens(userID: Int64?, _ page: PageRequest) async throws -> Page<Token>
    func allTokens() async throws -> [Token]
    func changeToken(id: Int64, _ change: TokenChange, audit: AuditEntry) async throws -> Token
    func deleteToken(id: Int64, audit: AuditEntry) async throws
    /// The same rule as ``UserStore/setBootstrapToken(userID:hash:audit:)`` for the API key from the environment.
    /// - Parameter token: nil = the environment names none.
    func setBootstrapKey(userID: Int64, _ token: Token?, audit: AuditEntry) async throws -> BootstrapOutcome
    /// Last use, written in groups by the Server; Unix seconds.
    func touchTokens(_ accessed: [Int64: Int64]) async throws
}

/// The price table. Each change is a new version and a row of `model_pricing_history`.
public protocol PricingStore: Sendable {
    func allPrices() async throws -> [PricingRow]
    /// Inserts what is new and updates what has changed, but never a row that an admin has edited.
    /// - Parameter audit: for what somebody has asked for; nil = the program's own doing.
    /// - Returns: how many rows were inserted or changed.
    func seedPrices(_ rows: [PricingRow], now: Int64, audit: AuditEntry?) async throws -> Int
    /// The price that a version stood for; nil for a version that never was (0 = no row of the table).
    func price(version: Int64) async throws -> ModelPrice?
    /// All versions that ever were, with the time (Unix seconds) from which each has been there.
    func priceVersions() async throws -> [Int64: Int64]
    /// Inserts or replaces by `modelName`, marks the row as edited, raises the version.
    /// - Parameter row: with the version that it was made from; 0 = whatever is there is replaced.
    /// - Throws: ``StoreError/conflict(_:)`` when another version is there by now.
    func setPrice(_ row: PricingRow, now: Int64, audit: AuditEntry) async throws -> PricingRow
}

/// The ledger. Append-only: the database refuses UPDATE and DELETE on `balance_transactions`.
public protocol Ledger: Sendable {
    /// Posts finished requests in one transaction: for each its `logs` row and, when it has a charge, its ledger row (`usage`, reference id
    /// = request id), its spending by window and, when it was estimated, its row in `reconciliations`; moves the balances and takes the
    /// charges out of the holder's leases. A request that is there already is skipped, so posting again after a crash changes nothing. A
    /// record that the database refuses is set aside with the reason and does not hold up its neighbours.
    ///
    /// Locks users in the order of their ids, then everything else: whoever takes several does the same.
    /// - Parameter holder: whose leases the charges come out of; nil = nobody's.
    func post(_ records: [RequestRecord], holder: LeaseHolder?) async throws -> PostingResult
    /// Posts a credit or correction and returns its row. Repeating a reference id with the same user and amount returns the first row and
    /// `isNew` false, with no second audit row; so does the second of two at once.
    /// - Throws: ``StoreError/conflict(_:)`` that says what differs when the reference was used for something else, ``StoreError/notFound``
    ///   for an unknown user.
    func post(_ posting: LedgerPosting, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool)
    /// Gives back what a request was charged, or a part of it, once: the row is a `refund` with the same reference id.
    /// - Returns: `isNew` false when the same refund was given before, under this key or without one.
    /// - Throws: ``StoreError/notFound`` when there is no such charge, ``StoreError/conflict(_:)`` when it was refunded with another
    ///   amount, the amount is more than the charge, or the key was used for something else.
    func refund(_ refund: Refund, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool)
    /// Whose request a charge was for; nil when there is no such charge.
    func chargedUser(reference: String) async throws -> Int64?
    func entries(userID: Int64, kind: TransactionKind?, _ page: PageRequest) async throws -> Page<LedgerEntry>
    /// The row of a (kind, referenceID), if there is one.
    func entry(kind: TransactionKind, referenceID: String) async throws -> LedgerEntry?
    /// Deletes the leases of users: they were made of balances that a restore has changed. A gateway that has one asks again.
    func dropLeases(of users: Set<Int64>) async throws
    /// Rows of all users in the order of their ids, for exports.
    /// - Parameters:
    ///   - range: Unix seconds of `created_at`.
    ///   - after: the id of the last row that was read.
    func entries(in range: Range<Int64>, after: Int64, limit: Int) async throws -> [LedgerEntry]
    /// Recomputes every balance and every `balance_after`, checks that each usage row has its log row with the same amount (corrections
    /// included) and a price version that exists, and that no lease is negative or without its user.
    func verify() async throws -> LedgerReport
}

/// What came of a claim to a gateway's identity.
public enum LeaseClaim: Sendable, Hashable {
    /// The identity is the claimant's. Lives that had it before are fenced; `earlier` of them still have rows.
    case granted(earlier: Int)
    /// Another life has it and is there. - Parameter by: as the ledger knows it; nil when its row is not there (yet).
    case taken(by: GatewayLife?)
}

/// Leases belong to one life of a gateway (``LeaseHolder/incarnation``), and one life at a time has a gateway's identity: on a shared
/// database it holds a lock there for as long as its connection lasts (docs/decisions/0007-one-gateway-one-life.md).
public protocol LeaseStore: SharedStore {
    /// A cheap round trip, that says whether the database answers.
    func ping() async throws
    /// Makes this life the one that has its gateway's identity, and lets no earlier life of the gateway lease anything any more. Repeating
    /// it does no harm.
    /// - Parameter now: Unix seconds; a shared database uses its own clock, here and below.
    func claim(_ holder: LeaseHolder, now: Int64) async throws -> LeaseClaim
    /// Takes the leases of earlier lives over, of those that are provably gone: on a shared database, those whose lock was lost while the
    /// server has been running without a break. Only a life that has the identity may do this.
    /// - Parameter earlier: lives whose journal the caller has.
    /// - Returns: the lives whose leases are the holder's now.
    func takeOver(_ earlier: [String], by holder: LeaseHolder) async throws -> [String]
    /// A sign of life, which prolongs all leases of the holder.
    /// - Returns: all lives that the ledger knows.
    /// - Throws: ``StoreError/fenced`` when the identity is another's, or the leases were taken back.
    func beat(_ holder: LeaseHolder, now: Int64) async throws -> [GatewayLife]
    /// All lives that the ledger knows: the gateways of this database, and dead ones whose leases stand.
    func gateways(now: Int64) async throws -> [GatewayLife]
    /// Takes back the leases of a life that has been silent for too long (``LeaseWatch``).
    /// - Parameter beats: what the caller saw last.
    /// - Returns: false when there was a sign of life meanwhile.
    func reap(_ incarnation: String, beats: Int64) async throws -> Bool
    /// The orderly end of a life. What is still leased stays for the next start.
    func leave(_ holder: LeaseHolder) async throws
    /// Balance and lease of all users with a lease of the holder.
    func leases(of holder: LeaseHolder) async throws -> [Int64: LeaseState]
    /// Balance and lease of one user. - Returns: nil for an unknown user.
    func leaseState(userID: Int64, holder: LeaseHolder) async throws -> LeaseState?
    /// Adds to the holder's lease by the rules of ``LeaseDesk``, which is a sign of life too; where too little is free, other gateways are
    /// asked to give back.
    /// - Parameters:
    ///   - needed: on top of the present lease.
    ///   - floor: what leases must not take the balance below (`metering.overdraft_floor`).
    /// - Returns: nil for an unknown user.
    /// - Throws: ``StoreError/fenced`` as ``beat(_:now:)`` does.
    func acquireLease(userID: Int64, needed: NanoUSD, floor: NanoUSD, holder: LeaseHolder, now: Int64) async throws -> LeaseState?
    /// Gives a part of the lease back.
    func returnLease(userID: Int64, amount: NanoUSD, holder: LeaseHolder, now: Int64) async throws
    /// What was charged in these windows; those without spending are left out.
    func spending(_ counters: [BudgetCounter]) async throws -> [BudgetCounter: NanoUSD]
}

extension LeaseStore {
    /// With the usual floor: no credit, no reserve.
    public func acquireLease(userID: Int64, needed: NanoUSD, holder: LeaseHolder, now: Int64) async throws -> LeaseState? {
        try await acquireLease(userID: userID, needed: needed, floor: .zero, holder: holder, now: now)
    }
}

/// Charges by our own count, and what became of them.
public protocol ReconciliationStore: Sendable {
    /// Newest first.
    /// - Parameters:
    ///   - state: nil = all.
    ///   - open: leaves out what is resolved.
    func reconciliations(_ state: ReconciliationRow.State?, open: Bool, _ page: PageRequest) async throws -> Page<ReconciliationRow>
    /// Pending ones whose time has come, oldest first, claimed until `now + 60` so that no other gateway asks for them too.
    func dueReconciliations(now: Int64, limit: Int) async throws -> [ReconciliationRow]
    /// The vendor had no answer. - Parameter nextAt: Unix seconds; nil = no further try, the estimate stands.
    func postponeReconciliation(_ id: RequestID, nextAt: Int64?, note: String) async throws
    /// Corrects an estimate: an `adjustment` row with the difference (none when there is none), which names the request; the log row gets
    /// the vendor's figures and `reconciled`. A second correction of the same request changes nothing.
    func reconcile(_ id: RequestID, usage: Usage, bill: Bill, now: Int64) async throws
}

/// What other gateways on the same database have changed.
public struct StoreChange: Sendable, Hashable {
    public enum Topic: String, Sendable, Hashable {
        case users, tokens, settings, prices = "model_pricing"
        /// There are new management tokens.
        case accessTokens = "access_tokens"
        /// Another gateway needs money of this user that is leased here.
        case recall
        /// Money of this user has been given back.
        case freed
        /// Changes may have been missed: everything is to be read again.
        case everything
    }
    public var topic: Topic
    /// An id or a name.
    public var subject: String

    public init(topic: Topic, subject: String) {
        self.topic = topic
        self.subject = subject
    }
}

public protocol LogStore: Sendable {
    /// Charges and upstream costs by model and channel, for requests of a time range (Unix seconds).
    func margins(in range: Range<Int64>) async throws -> [MarginRow]
    /// Sum of what a provider said that requests cost, by day (UTC), for comparison with its bill.
    func upstreamCosts(provider: String, in range: Range<Int64>) async throws -> [DailyCost]
    func logs(_ query: LogQuery) async throws -> Page<LogRow>
    func logStatistics(_ query: LogQuery) async throws -> LogStatistics
}

/// What is known of channels that are not well, for people who look into the database and for the next start.
public protocol HealthStore: Sendable {
    /// Replaces everything that is stored. `now` in Unix seconds.
    func saveHealth(_ rows: [ChannelHealthRow], now: Int64) async throws
    func loadHealth() async throws -> [ChannelHealthRow]
}

/// A row of `channel_health`.
public struct ChannelHealthRow: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        case closed, open
        case halfOpen = "half_open"
    }
    public var scope: HealthScope
    public var state: State
    /// The last failure.
    public var kind: FailureKind?
    /// Unix seconds; nil unless open.
    public var openUntil: Int64?
    public var failures: Int
    public var openings: Int
    /// `openUntil` is a time that the vendor has named.
    public var isWished: Bool

    public init(
        scope: HealthScope, state: State, kind: FailureKind? = nil, openUntil: Int64? = nil, failures: Int,
        openings: Int, isWished: Bool = false
    ) {
        self.isWished = isWished
        self.scope = scope
        self.state = state
        self.kind = kind
        self.openUntil = openUntil
        self.failures = failures
        self.openings = openings
    }
}

extension ChannelHealthRow {
    /// Behind the kind of a record whose time the vendor has named, for whoever looks into the table.
    private static let wish = " (retry-after)"

    /// The column `kind`.
    var storedKind: String? { kind.map { isWished ? $0.rawValue + Self.wish : $0.rawValue } }

    /// Reads the column `kind`.
    static func kind(stored: String?) -> (FailureKind?, isWished: Bool) {
        guard let stored, stored.hasSuffix(wish) else { return (stored.flatMap { FailureKind(rawValue: $0) }, false) }
        return (FailureKind(rawValue: String(stored.dropLast(wish.count))), true)
    }
}

/// Small things: settings by key, and who did what.
public protocol AdminStore: Sendable {
    func setting(_ key: String) async throws -> String?
    /// - Parameter audit: for what somebody has asked for; nil = the program's own doing.
    func setSetting(_ key: String, _ value: String, audit: AuditEntry?) async throws
    /// Sets what is not set yet. - Returns: what is set now.
    func claimSetting(_ key: String, _ value: String) async throws -> String
    /// For what changes nothing in the database. A change takes its entry with it.
    func audit(_ entry: AuditEntry) async throws
    /// Newest first.
    func auditRows(_ page: PageRequest) async throws -> Page<AuditRow>
}

extension PricingStore {
    public func seedPrices(_ rows: [PricingRow], now: Int64) async throws -> Int { try await seedPrices(rows, now: now, audit: nil) }
}

extension AdminStore {
    public func setSetting(_ key: String, _ value: String) async throws { try await setSetting(key, value, audit: nil) }
}

/// A store that other gateways may use as well.
public protocol SharedStore: Sendable {
    /// True when other gateways may use the same database.
    var isShared: Bool { get }
}

/// What others have changed in the same database.
public protocol ChangeFeed: Sendable {
    /// Changes by other gateways, as they come, with gaps told as ``StoreChange/Topic/everything``. Ends when the store is closed; nil when
    /// nobody else can change anything.
    func changes() -> AsyncStream<[StoreChange]>?
}

/// One database behind all of it.
public protocol Store: UserStore, TokenStore, PricingStore, Ledger, LeaseStore, LimitStore, ReconciliationStore, LogStore, HealthStore,
    AdminStore, ChangeFeed
{
    /// What an operator should know about how the database was found.
    func notes() async throws -> [String]
    func close() async throws
}

/// The local crash-safe record of what requests hold and how they ended. Kept apart from the ledger so that a
/// request never waits for the ledger's database.
///
/// A call returns when its record survives what the journal was opened for: `kill -9`, or loss of power.
public protocol Journal: Sendable {
    /// Before the first upstream byte is asked for.
    func hold(_ record: HoldRecord) async throws
    /// Before the last byte reaches the client. Replaces the hold of the same request. A second settlement of a
    /// request is ignored.
    func settle(_ record: RequestRecord) async throws
    /// How far a request has come, so that a crash does not forget it. Nobody waits for it, and nobody hears of a failure: a
    /// later word says the same and more.
    func progress(_ record: ProgressRecord)
    /// Settled requests in the order of their settlement, not yet cleared, at most `limit`.
    func settled(limit: Int) async throws -> [RequestRecord]
    /// Forgets requests that the ledger has now.
    func clear(_ ids: [RequestID]) async throws
    /// Notes a credit that the ledger has, for whoever has to restore the ledger from a backup: ``LedgerReplay`` lists those that it lacks.
    func note(_ credit: LedgerEntry) async throws
    /// Holds without an end, found at start-up: requests that were running when the process died, with how far they had come.
    func orphans() async throws -> [(hold: HoldRecord, progress: ProgressRecord?)]
    /// Who keeps this journal: the same id over restarts, a higher epoch at every start.
    var identity: (gatewayID: String, epoch: Int64) { get }
    /// The life that writes this journal, and those that have.
    var lives: JournalLives { get }
    /// Begins another life in the same process, because the present one may not lease any more.
    /// - Parameter asNewGateway: with an id of its own, because the old one is another's.
    func beginLife(asNewGateway: Bool) async throws
    /// Bytes that the journal takes up on the disk.
    var size: Int64 { get }
    func close() async throws
}

/// Lives of a gateway whose records are in one journal.
public struct JournalLives: Sendable, Hashable {
    /// 128 random bits, in hexadecimal digits.
    public var incarnation: String
    /// Earlier ones, the latest first, as many as are worth asking for.
    public var earlier: [String]
    /// True when the latest earlier life held the very lock of this folder, in this run of the system, that is held now: it is gone for
    /// certain. In a copied folder, on another machine or after a reboot this is false.
    public var isSamePlace: Bool

    public init(incarnation: String, earlier: [String] = [], isSamePlace: Bool = false) {
        self.incarnation = incarnation
        self.earlier = earlier
        self.isSamePlace = isSamePlace
    }
}
