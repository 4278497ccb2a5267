import Foundation
import GRDB
import PostgresTesting
import RouterCore
import Storage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An empty folder that goes away with the value.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/storage-tests-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Makes empty stores of one kind. A further database joins the conformance suite by a further value.
struct StoreFactory: Sendable, CustomStringConvertible {
    var description: String
    var open: @Sendable () async throws -> any Store

    static let sqlite = StoreFactory(description: "SQLite") {
        try await openStore(path: root.path + "/" + UUID().uuidString)
    }

    static let postgres = StoreFactory(description: "PostgreSQL") {
        let url = try PostgresServer.shared.get().makeDatabase()
        return try await PostgresStore.open(
            url: Secret(url), migrationsDirectory: try Migrations.locate(dialect: .postgres, environment: [:]), now: 1,
            connections: 2)
    }

    static let all = [sqlite, postgres]

    /// Stores are handed out without an owner for their files, which therefore stay until the process ends.
    private static let root: TemporaryFolder = {
        atexit { try? FileManager.default.removeItem(atPath: StoreFactory.root.path) }
        do { return try TemporaryFolder() } catch { fatalError("no temporary folder: \(error)") }
    }()
}

func openStore(_ folder: TemporaryFolder) async throws -> SQLiteStore { try await openStore(path: folder.path) }

func openStore(path: String) async throws -> SQLiteStore {
    try await SQLiteStore.open(
        path: path + "/ledger.db",
        migrationsDirectory: try Migrations.locate(dialect: .sqlite, environment: [:]), now: 1)
}

/// A second connection to the ledger of a folder, for what the store has no verb for.
func rawLedger(_ folder: TemporaryFolder) throws -> DatabaseQueue {
    try DatabaseQueue(path: folder.path + "/ledger.db")
}

func newUser(_ name: String) -> NewUser { NewUser(username: name, passwordHash: "hash of \(name)", createdAt: 100) }

func credit(_ user: Int64, _ nanos: Int64, _ reference: String, _ kind: TransactionKind = .recharge) -> LedgerPosting {
    LedgerPosting(
        userID: user, amount: NanoUSD(nanos: nanos), kind: kind, referenceID: reference, description: "test",
        createdAt: 200)
}

/// A finished request with a different value in each of its fields.
func record(_ id: Int, user: Int64, charge: Int64?, createdAt: Int64 = 300) -> RequestRecord {
    var record = RequestRecord(
        requestID: RequestID(bits: UInt128(id)), userID: user, tokenID: 7, channelID: 8, provider: "vendor",
        model: "openai/gpt-4o", upstreamModel: "gpt-4o-2024", endpoint: .chat,
        usage: Usage(
            uncachedInput: 12, cacheRead: 3, cacheWrite5m: 4, cacheWrite1h: 5, output: 34, reasoning: 6,
            audioInput: 1, audioOutput: 2, images: 9, searches: 10, characters: 11, audioMilliseconds: 12, requests: 1,
            upstreamCost: FemtoUSD(femtos: 1_234_000_000)),
        usageSource: .estimated, charge: charge.map { NanoUSD(nanos: $0) },
        uncharged: NanoUSD(nanos: 13), ceiling: NanoUSD(nanos: 14), ratio: PriceRatio(millionths: 15), pricingVersion: 0,
        outcome: .truncated,
        status: 200, errorCode: "upstream_cut", isStream: true, attempts: 2,
        attemptList: [
            AttemptRecord(
                channelID: 3, upstreamModel: "m", status: 503, kind: .overloaded, milliseconds: 12, billedTokens: 7,
                upstreamCost: NanoUSD(nanos: 9), cost: VendorCost(NanoUSD(nanos: 10), .reported)),
            AttemptRecord(channelID: 4, upstreamModel: "m", status: 200, milliseconds: 40),
        ],
        generationID: "gen-1", answerID: "msg-1", finish: .toolCalls,
        latencyMilliseconds: 1500, firstTokenMilliseconds: 250, clientIP: "::1", createdAt: createdAt,
        droppedFields: ["tools.web_search", "context_management"])
    record.usage.imageInput = 16
    record.vendorCost = VendorCost(NanoUSD(nanos: 1_300), .computed)
    return record
}

func hold(_ id: Int, user: Int64 = 1, model: String = "openai/gpt-4o") -> HoldRecord {
    HoldRecord(
        requestID: RequestID(bits: UInt128(id)), userID: user, tokenID: 7, amount: NanoUSD(nanos: 5000), model: model,
        endpoint: .chat, isStream: true, promptTokens: 12, promptCharge: NanoUSD(nanos: 120), pricingVersion: 3,
        ratio: PriceRatio(millionths: 16), ceiling: NanoUSD(nanos: 17), clientIP: "::1", createdAt: 300)
}

/// Small, fast and the same everywhere: a seed names a run.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

/// A life of a gateway that shares the ledger with others.
func gateway(_ id: String, life: Int = 1, isExclusive: Bool = false, lifetime: Int64 = 120) -> LeaseHolder {
    LeaseHolder(gatewayID: id, incarnation: "\(id)-\(life)", isExclusive: isExclusive, lifetime: lifetime)
}

extension Store {
    /// A life that has its gateway's identity.
    func joined(_ id: String, life: Int = 1, isExclusive: Bool = false) async throws -> LeaseHolder {
        let holder = gateway(id, life: life, isExclusive: isExclusive)
        guard case .granted = try await claim(holder, now: 100) else { throw StoreError.fenced }
        return holder
    }
}

extension Store {
    /// Posts out of nobody's lease. - Returns: the charges newly posted.
    func post(_ records: [RequestRecord]) async throws -> [Int64: NanoUSD] { try await post(records, holder: nil).charges }
}

// MARK: Journals

func progress(_ id: Int, _ tokens: Int64) -> ProgressRecord {
    ProgressRecord(
        requestID: RequestID(bits: UInt128(id)), channelID: 3, provider: "vendor", model: "openai/gpt-4o", upstreamModel: "gpt-4o",
        generationID: "gen-\(id)", promptTokens: 12, completionTokens: tokens, charge: NanoUSD(nanos: tokens * 10), pricingVersion: 4,
        cost: NanoUSD(nanos: tokens * 7))
}

/// A connection to any SQLite file, for what the stores have no verb for.
func rawDatabase(_ path: String) throws -> DatabaseQueue { try DatabaseQueue(path: path) }
