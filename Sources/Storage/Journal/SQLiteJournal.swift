import Dispatch
import Foundation
import GRDB
public import RouterCore
import Synchronization

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
        case progress(ProgressRecord)
    }

    private struct Backlog {
        /// Nobody waits for a record of progress.
        var waiting: [(record: Record, continuation: CheckedContinuation<Void, any Error>?)] = []
        var isScheduled = false
        var isClosed = false
    }

    private let database: DatabaseQueue
    private let lock: FileLock
    private let queue = DispatchQueue(label: "journal", qos: .userInitiated)
    private let backlog = Mutex(Backlog())

    /// Appends beyond this are refused: a disk that does not keep up must not fill the memory.
    private let maximumBacklog: Int
    /// Holds are refused beyond this: the ledger's database is away, and the disk must not fill. What has been served is always taken.
    private let maximumBytes: Int64
    private let bytes = Atomic<Int64>(0)
    private let lastMeasured = Mutex<ContinuousClock.Instant?>(nil)
    public let identity: (gatewayID: String, epoch: Int64)

    private init(
        database: DatabaseQueue, lock: FileLock, maximumBacklog: Int, maximumBytes: Int64, identity: (gatewayID: String, epoch: Int64)
    ) {
        self.database = database
        self.maximumBacklog = maximumBacklog
        self.maximumBytes = maximumBytes
        self.lock = lock
        self.identity = identity
    }

    /// Opens `journal.db` in a directory, which one process at a time may do.
    /// - Parameters:
    ///   - maximumBacklog: records that may wait for the disk; further appends are refused.
    ///   - maximumBytes: what unposted records may take up on the disk before further holds are refused.
    /// - Throws: ``StoreError``.
    public static func open(
        directory: String, durability: JournalDurability = .process, maximumBacklog: Int = 100_000, maximumBytes: Int64 = 1 << 30
    ) async throws -> SQLiteJournal {
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw StoreError.database("cannot make the data directory \(directory): \(error.localizedDescription)")
        }
        let lock = try FileLock(
            directory + "/journal.lock", holder: "another gateway is using \(directory) (journal.lock is held)")
        return try await mapped {
            let database = try openDatabase(directory + "/journal.db", durability)
            let journal = SQLiteJournal(
                database: database, lock: lock, maximumBacklog: maximumBacklog, maximumBytes: maximumBytes,
                identity: try nextLife(database))
            journal.bytes.store(try await database.read(Self.usedBytes), ordering: .relaxed)
            return journal
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
                    CREATE TABLE IF NOT EXISTS progress (
                        request_id TEXT PRIMARY KEY, channel_id INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
                        upstream_model TEXT NOT NULL, generation_id TEXT, prompt_tokens INTEGER NOT NULL,
                        completion_tokens INTEGER NOT NULL, charge_nanos INTEGER NOT NULL, pricing_version INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;
                    CREATE TABLE IF NOT EXISTS identity (gateway_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
                    """)
            // A journal that an older program left behind lacks the columns that have come since.
            let present = Set(try db.columns(in: "settlements").map(\.name))
            for name in RecordColumns.names where !present.contains(name) {
                try db.execute(sql: "ALTER TABLE settlements ADD COLUMN \(name) ANY")
            }
        }
        return database
    }

    /// The id that this journal's gateway was given at its first start, and the number of this start.
    private static func nextLife(_ database: DatabaseQueue) throws -> (gatewayID: String, epoch: Int64) {
        try database.write { db in
            let known = try String.fetchOne(db, sql: "SELECT gateway_id FROM identity")
            try db.execute(
                sql: """
                    INSERT INTO identity (gateway_id, epoch) VALUES (?, 1) ON CONFLICT (gateway_id) DO UPDATE SET epoch = epoch + 1
                    """, arguments: [known ?? UUID().uuidString.lowercased()])
            guard let row = try Row.fetchOne(db, sql: "SELECT gateway_id, epoch FROM identity") else {
                throw StoreError.database("the journal has no identity")
            }
            return (row["gateway_id"], row["epoch"])
        }
    }

    /// Pages with records; those that earlier records have left free do not count.
    private static func usedBytes(_ db: Database) throws -> Int64 {
        let pages = try Int64.fetchOne(db, sql: "PRAGMA page_count") ?? 0
        let free = try Int64.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
        return (pages - free) * (try Int64.fetchOne(db, sql: "PRAGMA page_size") ?? 4096)
    }

    public var size: Int64 { bytes.load(ordering: .relaxed) }

    // MARK: Appending

    /// - Throws: ``StoreError/journalFull`` when the journal has reached its size.
    public func hold(_ record: HoldRecord) async throws {
        guard size < maximumBytes else { throw StoreError.journalFull }
        try await append(.hold(record))
    }

    public func progress(_ record: ProgressRecord) {
        backlog.withLock { backlog in
            // Under pressure the records that somebody waits for come first; a later progress says the same and more.
            guard !backlog.isClosed, backlog.waiting.count < maximumBacklog / 2 else { return }
            backlog.waiting.append((.progress(record), nil))
            schedule(&backlog)
        }
    }

    public func settle(_ record: RequestRecord) async throws { try await append(.settle(record)) }

    private func append(_ record: Record) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let refusal = backlog.withLock { backlog -> StoreError? in
                if backlog.isClosed { return .database("the journal is closed") }
                if backlog.waiting.count >= maximumBacklog { return .database("journal backlog full") }
                backlog.waiting.append((record, continuation))
                schedule(&backlog)
                return nil
            }
            if let refusal { continuation.resume(throwing: refusal) }
        }
    }

    private func schedule(_ backlog: inout Backlog) {
        guard !backlog.isScheduled else { return }
        backlog.isScheduled = true
        queue.async { self.writeGroups() }
    }

    /// On the journal's own queue: writes groups until nobody waits.
    private func writeGroups() {
        defer { measure() }
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
                for entry in group { entry.continuation?.resume() }
            } catch {
                // One bad record must not fail its neighbours.
                for entry in group { writeSingly(entry.record, entry.continuation) }
            }
        }
    }

    private func writeSingly(_ record: Record, _ continuation: CheckedContinuation<Void, any Error>?) {
        do {
            try database.write { db in try Self.write(record, db) }
            continuation?.resume()
        } catch let error as DatabaseError {
            continuation?.resume(throwing: StoreError(error))
        } catch {
            continuation?.resume(throwing: error)
        }
    }

    /// The size is looked at once in a while: it changes slowly, and the bound is no hair's breadth.
    private func measure() {
        let now = ContinuousClock.now
        let isDue = lastMeasured.withLock { last in
            if let last, now - last < .milliseconds(200) { return false }
            last = now
            return true
        }
        guard isDue, let used = try? database.read(Self.usedBytes) else { return }
        bytes.store(used, ordering: .relaxed)
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
            // Only streams, and answers whose vendor gave an id, have had progress to tell.
            if record.isStream || record.generationID != nil {
                let forget = try db.cachedStatement(sql: "DELETE FROM progress WHERE request_id = ?")
                try forget.execute(arguments: [record.requestID.description])
            }
            let insert = try db.cachedStatement(
                sql: """
                    INSERT INTO settlements (\(RecordColumns.list)) VALUES (\(RecordColumns.marks))
                    ON CONFLICT (request_id) DO NOTHING
                    """)
            try insert.execute(arguments: RecordColumns.arguments(record))
        case .progress(let progress):
            // Only while the hold stands: a late word about a request that has ended is of no use.
            let statement = try db.cachedStatement(
                sql: """
                    INSERT OR REPLACE INTO progress SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
                    WHERE EXISTS (SELECT 1 FROM holds WHERE request_id = ?1)
                    """)
            try statement.execute(arguments: [
                progress.requestID.description, progress.channelID, progress.provider, progress.model, progress.upstreamModel,
                progress.generationID, progress.promptTokens, progress.completionTokens, progress.charge.nanos,
                progress.pricingVersion,
            ])
        }
    }

    // MARK: Reading and clearing

    public func settled(limit: Int) async throws -> [RequestRecord] {
        try await mapped {
            try await database.read { db in
                try Row.fetchAll(db, sql: "SELECT * FROM settlements ORDER BY seq LIMIT ?", arguments: [limit])
                    .map { try RecordColumns.record($0) }
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
        measure()
    }

    public func orphans() async throws -> [(hold: HoldRecord, progress: ProgressRecord?)] {
        try await mapped {
            try await database.read { db in
                let rows = try Row.fetchAll(
                    db,
                    sql: """
                        SELECT holds.*, p.channel_id, p.provider, p.model AS served_model, p.upstream_model, p.generation_id,
                            p.prompt_tokens AS counted_prompt, p.completion_tokens, p.charge_nanos, p.pricing_version AS progress_version
                        FROM holds LEFT JOIN progress p USING (request_id) ORDER BY created_at, request_id
                        """)
                return try rows.map { (try Self.hold($0), try Self.progress($0)) }
            }
        }
    }

    private static func hold(_ row: Row) throws -> HoldRecord {
        guard let id = RequestID(row["request_id"] as String), let endpoint = Endpoint(rawValue: row["endpoint"])
        else { throw StoreError.database("the journal has a hold with an unknown id or endpoint") }
        return HoldRecord(
            requestID: id, userID: row["user_id"], tokenID: row["token_id"],
            amount: NanoUSD(nanos: row["amount_nanos"]), model: row["model"], endpoint: endpoint,
            isStream: row["is_stream"], promptTokens: row["prompt_tokens"],
            promptCharge: NanoUSD(nanos: row["prompt_charge_nanos"]),
            pricingVersion: row["pricing_version"], clientIP: row["client_ip"], createdAt: row["created_at"])
    }

    private static func progress(_ row: Row) throws -> ProgressRecord? {
        guard let channel = row["channel_id"] as Int64?, let id = RequestID(row["request_id"] as String) else { return nil }
        return ProgressRecord(
            requestID: id, channelID: channel, provider: row["provider"], model: row["served_model"],
            upstreamModel: row["upstream_model"], generationID: row["generation_id"], promptTokens: row["counted_prompt"],
            completionTokens: row["completion_tokens"], charge: NanoUSD(nanos: row["charge_nanos"]),
            pricingVersion: row["progress_version"])
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
        lock.release()
    }
}
