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
}

/// Users and their credentials. Hashes are made by the Server and stored as given.
public protocol UserStore: Sendable {
    /// - Throws: ``StoreError/duplicate(_:)`` for a taken username (compared without case).
    func createUser(_ user: NewUser) async throws -> User
    func user(id: Int64) async throws -> User?
    /// By name, without case, with the encoded password hash.
    func userForLogin(username: String) async throws -> (user: User, passwordHash: String)?
    func users(_ page: PageRequest) async throws -> Page<User>
    /// All users, for the account book and the key directory at start-up.
    func allUsers() async throws -> [User]
    /// - Throws: ``StoreError/notFound``, ``StoreError/duplicate(_:)``.
    func changeUser(id: Int64, _ change: UserChange) async throws -> User
    /// Deletes a user who has no ledger rows; one who has is disabled and renamed instead, because books are kept.
    func deleteUser(id: Int64) async throws
    /// SHA-256 of the management token, valid until `expiresAt` (Unix seconds; nil = no end). One user may have several.
    func addAccessToken(userID: Int64, hash: [UInt8], expiresAt: Int64?, createdAt: Int64) async throws
    func removeAccessToken(hash: [UInt8]) async throws
    func removeAccessTokens(userID: Int64) async throws
    /// The owner, when the token exists and has not expired at `now`.
    func userForAccessToken(hash: [UInt8], now: Int64) async throws -> User?
}

/// API keys of clients.
public protocol TokenStore: Sendable {
    /// Stores and returns with its id. - Throws: ``StoreError/duplicate(_:)``.
    func createToken(_ token: Token) async throws -> Token
    func token(id: Int64) async throws -> Token?
    func tokens(userID: Int64?, _ page: PageRequest) async throws -> Page<Token>
    func allTokens() async throws -> [Token]
    func changeToken(id: Int64, _ change: TokenChange) async throws -> Token
    func deleteToken(id: Int64) async throws
    /// Last use, written in groups by the Server; Unix seconds.
    func touchTokens(_ accessed: [Int64: Int64]) async throws
}

/// The price table. Each change is a new version and a row of `model_pricing_history`.
public protocol PricingStore: Sendable {
    func allPrices() async throws -> [PricingRow]
    /// Inserts what is new and updates what has changed, but never a row that an admin has edited.
    /// - Returns: how many rows were inserted or changed.
    func seedPrices(_ rows: [PricingRow], now: Int64) async throws -> Int
    /// Inserts or replaces by `modelName`, marks the row as edited, raises the version.
    func setPrice(_ row: PricingRow, now: Int64) async throws -> PricingRow
}

/// The ledger. Append-only: the database refuses UPDATE and DELETE on `balance_transactions`.
public protocol Ledger: Sendable {
    /// Posts finished requests in one transaction: for each its `logs` row and, when it has a charge, its ledger row
    /// (`usage`, reference id = request id), and moves the balances. A request that is there already is skipped, so
    /// posting again after a crash changes nothing.
    /// - Returns: the charges newly posted, per user, as positive amounts.
    func post(_ records: [RequestRecord]) async throws -> [Int64: NanoUSD]
    /// Posts a credit or correction and returns its row. Repeating a (kind, referenceID) with the same user and amount
    /// returns the first row and `isNew` false.
    /// - Throws: ``StoreError/conflict(_:)`` when the reference exists with another user or amount, ``StoreError/notFound``
    ///   for an unknown user.
    func post(_ posting: LedgerPosting) async throws -> (entry: LedgerEntry, isNew: Bool)
    func entries(userID: Int64, kind: TransactionKind?, _ page: PageRequest) async throws -> Page<LedgerEntry>
    /// Recomputes every balance and every `balance_after`, checks that each usage row has its log row with the same amount.
    func verify() async throws -> LedgerReport
}

public protocol LogStore: Sendable {
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

    public init(
        scope: HealthScope, state: State, kind: FailureKind? = nil, openUntil: Int64? = nil, failures: Int, openings: Int
    ) {
        self.scope = scope
        self.state = state
        self.kind = kind
        self.openUntil = openUntil
        self.failures = failures
        self.openings = openings
    }
}

/// Small things: settings by key, and who did what.
public protocol AdminStore: Sendable {
    func setting(_ key: String) async throws -> String?
    func setSetting(_ key: String, _ value: String) async throws
    /// `action` is a short verb phrase (`user.create`, `balance.add`), `detail` JSON text without secrets.
    func audit(actorID: Int64?, action: String, detail: String, clientIP: String, at: Int64) async throws
}

/// One database behind all of it.
public protocol Store: UserStore, TokenStore, PricingStore, Ledger, LogStore, HealthStore, AdminStore {
    /// A cheap round trip for `/health/ready`.
    func ping() async throws
    func close() async throws
}

/// The local crash-safe record of what requests hold and how they ended. Kept apart from the ledger so that a
/// request never waits for the ledger's database.
///
/// All appends are group-committed by one writer: a call returns when its record is durable (survives `kill -9`).
public protocol Journal: Sendable {
    /// Before the first upstream byte is asked for.
    func hold(_ record: HoldRecord) async throws
    /// Before the last byte reaches the client. Replaces the hold of the same request. A second settlement of a
    /// request is ignored.
    func settle(_ record: RequestRecord) async throws
    /// Settled requests in the order of their settlement, not yet cleared, at most `limit`.
    func settled(limit: Int) async throws -> [RequestRecord]
    /// Forgets requests that the ledger has now.
    func clear(_ ids: [RequestID]) async throws
    /// Holds without an end, found at start-up: requests that were running when the process died.
    func orphans() async throws -> [HoldRecord]
    func close() async throws
}

/// A hold as the journal keeps it: enough to settle the request without any memory of it.
public struct HoldRecord: Sendable, Hashable {
    public var requestID: RequestID
    public var userID: Int64
    public var tokenID: Int64?
    public var amount: NanoUSD
    public var model: String
    public var endpoint: Endpoint
    public var isStream: Bool
    /// Estimated prompt tokens and their charge: what an orphan is settled with when nothing else is known.
    public var promptTokens: Int64
    public var promptCharge: NanoUSD
    public var pricingVersion: Int64
    public var clientIP: String
    /// Unix seconds.
    public var createdAt: Int64

    public init(
        requestID: RequestID, userID: Int64, tokenID: Int64?, amount: NanoUSD, model: String, endpoint: Endpoint,
        isStream: Bool, promptTokens: Int64, promptCharge: NanoUSD, pricingVersion: Int64, clientIP: String,
        createdAt: Int64
    ) {
        self.requestID = requestID
        self.userID = userID
        self.tokenID = tokenID
        self.amount = amount
        self.model = model
        self.endpoint = endpoint
        self.isStream = isStream
        self.promptTokens = promptTokens
        self.promptCharge = promptCharge
        self.pricingVersion = pricingVersion
        self.clientIP = clientIP
        self.createdAt = createdAt
    }
}
