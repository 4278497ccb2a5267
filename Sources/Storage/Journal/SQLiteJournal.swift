import Dispatch
import Foundation
import GRDB
public import RouterCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How much a returned append has survived.
public enum JournalDurability: String, Sendable {
    /// `kill -9` of the process: the bytes are in the system's hands.
    case process
    /// Power loss: the bytes are on the disk (one fsync per group).
    case power
}

/// The journal on a SQLite file of its own. Appends of many requests share one transaction: whoever comes while a group is being
/// written goes into the next one, so that load makes groups larger and nobody waits for a timer.
public final class SQLiteJournal: Journal {
    private enum Record: Sendable {
        case hold(HoldRecord)
        case settle(RequestRecord)
    }

    private struct Backlog {
        var waiting: [(record: Record, continuation: CheckedContinuation<Void, any Error>)] = []
        var isScheduled = false
        var isClosed = false
    }

    private let database: DatabaseQueue
    private let lock: Int32
    private let queue = DispatchQueue(label: "journal", qos: .userInitiated)
    private let backlog = Mutex(Backlog())

    /// Appends beyond this are refused: a disk that does not keep up must not fill the memory.
    private let maximumBacklog: Int

    private init(database: DatabaseQueue, lock: Int32, maximumBacklog: Int) {
        self.database = database
        self.maximumBacklog = maximumBacklog
        self.lock = lock
    }

    /// Opens `journal.db` in a directory, which one process at a time may do.
    /// - Parameter maximumBacklog: records that may wait for the disk; further appends are refused.
    /// - Throws: ``StoreError``.
    public static func open(
        directory: String, durability: JournalDurability = .process, maximumBacklog: Int = 100_000
    ) async throws -> SQLiteJournal {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let lock = Glibc.open(directory + "/journal.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw StoreError.database("cannot open \(directory)/journal.lock: errno \(errno)") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            Glibc.close(lock)
            throw StoreError.database("another gateway is using \(directory) (journal.lock is held)")
        }
        do {
            return try await mapped {
                SQLiteJournal(
                    database: try openDatabase(directory + "/journal.db", durability), lock: lock,
                    maximumBacklog: maximumBacklog)
            }
        } catch {
            Glibc.close(lock)
            throw error
        }
    }

    private static func openDatabase(_ path: String, _ durability: JournalDurability) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.label = "journal"
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA journal_mode = WAL")
            try db.execute(sql: "PRAGMA synchronous = \(durability == .power ? "FULL" : "NORMAL")")
        }
        let database = try DatabaseQueue(path: path, configuration: configuration)
        let columns = RecordColumns.names.map { "\($0) \($0 == "request_id" ? "TEXT NOT NULL UNIQUE" : "ANY")" }
            .joined(separator: ", ")
        try database.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS holds (
                        request_id TEXT PRIMARY KEY, user_id INTEGER NOT NULL, token_id INTEGER,
                        amount_nanos INTEGER NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL,
                        is_stream INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
                        prompt_charge_nanos INTEGER NOT NULL, pricing_version INTEGER NOT NULL,
                        client_ip TEXT NOT NULL, created_at INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;
                    CREATE TABLE IF NOT EXISTS settlements (seq INTEGER PRIMARY KEY AUTOINCREMENT, \(columns)) STRICT;
                    """)
            // A journal that an older program left behind lacks the columns that have come since.
            let present = Set(try db.columns(in: "settlements").map(\.name))
            for name in RecordColumns.names where !present.contains(name) {
                try db.execute(sql: "ALTER TABLE settlements ADD COLUMN \(name) ANY")
            }
        }
        return database
    }

    // MARK: Appending

    public func hold(_ record: HoldRecord) async throws { try await append(.hold(record)) }

    public func settle(_ record: RequestRecord) async throws { try await append(.settle(record)) }

    private func append(_ record: Record) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let refusal = backlog.withLock { backlog -> StoreError? in
                if backlog.isClosed { return .database("the journal is closed") }
                if backlog.waiting.count >= maximumBacklog { return .database("journal backlog full") }
                backlog.waiting.append((record, continuation))
                if !backlog.isScheduled {
                    backlog.isScheduled = true
                    queue.async { self.writeGroups() }
                }
                return nil
            }
            if let refusal { continuation.resume(throwing: refusal) }
        }
    }

    /// On the journal's own queue: writes groups until nobody waits.
    private func writeGroups() {
        while true {
            let group = backlog.withLock { backlog in
                defer { backlog.waiting = [] }
                if backlog.waiting.isEmpty { backlog.isScheduled = false }
                return backlog.waiting
            }
            if group.isEmpty { return }
            do {
                try database.write { db in
                    for entry in group { try Self.write(entry.record, db) }
                }
                for entry in group { entry.continuation.resume() }
            } catch {
                // One bad record must not fail its neighbours.
                for entry in group { writeSingly(entry.record, entry.continuation) }
            }
        }
    }

    private func writeSingly(_ record: Record, _ continuation: CheckedContinuation<Void, any Error>) {
        do {
            try database.write { db in try Self.write(record, db) }
            continuation.resume()
        } catch let error as DatabaseError {
            continuation.resume(throwing: StoreError(error))
        } catch {
            continuation.resume(throwing: error)
        }
    }

    private static func write(_ record: Record, _ db: Database) throws {
        switch record {
        case .hold(let hold):
            // Never a hold for a request that has ended.
            let statement = try db.cachedStatement(
                sql: """
                    INSERT INTO holds SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
                    WHERE NOT EXISTS (SELECT 1 FROM settlements WHERE request_id = ?1)
                    ON CONFLICT (request_id) DO NOTHING
                    """)
            try statement.execute(arguments: [
                hold.requestID.description, hold.userID, hold.tokenID, hold.amount.nanos, hold.model,
                hold.endpoint.rawValue, hold.isStream, hold.promptTokens, hold.promptCharge.nanos, hold.pricingVersion,
                hold.clientIP, hold.createdAt,
            ])
        case .settle(let record):
            let free = try db.cachedStatement(sql: "DELETE FROM holds WHERE request_id = ?")
            try free.execute(arguments: [record.requestID.description])
            let insert = try db.cachedStatement(
                sql: """
                    INSERT INTO settlements (\(RecordColumns.list)) VALUES (\(RecordColumns.marks))
                    ON CONFLICT (request_id) DO NOTHING
                    """)
            try insert.execute(arguments: RecordColumns.arguments(record))
        }
    }

    // MARK: Reading and clearing

    public func settled(limit: Int) async throws -> [RequestRecord] {
        try await mapped {
            try await database.read { db in
                try Row.fetchAll(db, sql: "SELECT * FROM settlements ORDER BY seq LIMIT ?", arguments: [limit])
                    .map(RecordColumns.record)
            }
        }
    }

    public func clear(_ ids: [RequestID]) async throws {
        try await mapped {
            try await database.write { db in
                let statement = try db.cachedStatement(sql: "DELETE FROM settlements WHERE request_id = ?")
                for id in ids { try statement.execute(arguments: [id.description]) }
            }
        }
    }

    public func orphans() async throws -> [HoldRecord] {
        try await mapped {
            try await database.read { db in
                try Row.fetchAll(db, sql: "SELECT * FROM holds ORDER BY created_at, request_id").map { row in
                    guard let id = RequestID(row["request_id"] as String), let endpoint = Endpoint(rawValue: row["endpoint"])
                    else { throw StoreError.database("the journal has a hold with an unknown id or endpoint") }
                    return HoldRecord(
                        requestID: id, userID: row["user_id"], tokenID: row["token_id"],
                        amount: NanoUSD(nanos: row["amount_nanos"]), model: row["model"], endpoint: endpoint,
                        isStream: row["is_stream"], promptTokens: row["prompt_tokens"],
                        promptCharge: NanoUSD(nanos: row["prompt_charge_nanos"]),
                        pricingVersion: row["pricing_version"], clientIP: row["client_ip"], createdAt: row["created_at"])
                }
            }
        }
    }

    /// Writes what waits, then closes. Later appends are refused.
    public func close() async throws {
        let wasClosed = backlog.withLock { backlog in
            defer { backlog.isClosed = true }
            return backlog.isClosed
        }
        guard !wasClosed else { return }
        await withCheckedContinuation { continuation in
            queue.async {
                self.writeGroups()
                continuation.resume()
            }
        }
        try database.close()
        Glibc.close(lock)
    }
}
