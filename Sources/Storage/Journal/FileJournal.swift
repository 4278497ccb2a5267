import Dispatch
import Foundation
public import RouterCore
import Synchronization

/// The failure that a record survives once its append has returned.
public enum JournalDurability: String, Sendable {
    /// `kill -9` of the process: the bytes are in the kernel's page cache.
    case process
    /// Power loss: the bytes are on the disk (one fsync per group).
    case power
}

/// The journal as append-only files (docs/decisions/0005-an-append-only-journal.md).
///
/// With `process`, a record is one write on the caller's own thread: copying into the page cache takes less time than switching threads.
/// With `power`, one writer waits for the disk on behalf of all: records that arrive while a group is being written go into the next group,
/// so groups grow with the load and no record waits for a timer.
public final class FileJournal: Journal {
    /// Records that wait for the writer, with the callers that wait for them.
    private struct Group: ~Copyable {
        typealias Entry = (change: JournalChange, place: Range<Int>, continuation: CheckedContinuation<Void, any Error>?)
        var buffer = RecordBuffer()
        var entries: [Entry] = []
    }

    private struct Backlog: ~Copyable {
        var group = Group()
        var isScheduled = false
        var isClosed = false
    }

    private let log: Mutex<JournalLog>
    private let backlog = Mutex(Backlog())
    private let sequence: Atomic<UInt64>
    private let bytes: Atomic<Int64>
    private let durability: JournalDurability
    private let salt: UInt32
    private let queue: DispatchQueue
    private let lock: FileLock
    private let maximumBacklog: Int
    private let maximumBytes: Int64
    private let directory: String
    private let life: Mutex<JournalIdentity>
    private let isSamePlace: Bool
    /// Notes for the operator about the state in which the journal was found.
    public let notes: [String]

    struct Limits {
        /// Maximum number of waiting records; further appends are refused, because a slow disk must not fill the memory.
        var backlog: Int
        /// Maximum disk space; further holds are refused, because the disk must not fill while the ledger's database is unreachable.
        /// Settlements are always accepted.
        var bytes: Int64
    }

    init(
        _ log: consuming sending JournalLog, directory: String, durability: JournalDurability, lock: FileLock, queue: DispatchQueue,
        limits: Limits, identity: JournalIdentity, isSamePlace: Bool, notes: [String]
    ) {
        self.directory = directory
        self.isSamePlace = isSamePlace
        self.durability = durability
        self.queue = queue
        self.lock = lock
        self.notes = notes
        life = Mutex(identity)
        maximumBacklog = limits.backlog
        maximumBytes = limits.bytes
        salt = log.salt
        sequence = Atomic(log.nextSequence)
        bytes = Atomic(log.totalBytes)
        self.log = Mutex(log)
    }

    public var size: Int64 { bytes.load(ordering: .relaxed) }

    // MARK: Lives

    public var identity: (gatewayID: String, epoch: Int64) { life.withLock { ($0.gatewayID, $0.epoch) } }

    public var lives: JournalLives {
        life.withLock { JournalLives(incarnation: $0.lives[0], earlier: Array($0.lives.dropFirst()), isSamePlace: isSamePlace) }
    }

    /// - Throws: ``StoreError``; the present life then continues.
    public func beginLife(asNewGateway: Bool) async throws {
        try life.withLock { identity throws(StoreError) in
            var next = identity
            if asNewGateway {
                next = JournalIdentity(gatewayID: UUID().uuidString.lowercased(), epoch: 0, place: identity.place)
            }
            next.beginLife()
            try next.write(directory)
            identity = next
        }
    }

    // MARK: Appending

    /// - Throws: ``StoreError/journalFull`` when the journal has reached its maximum size.
    public func hold(_ record: HoldRecord) async throws {
        guard size < maximumBytes else { throw StoreError.journalFull }
        let change = JournalChange.hold(record.requestID)
        switch durability {
        case .process: try append(change) { $0.hold(record) }
        case .power: try await enqueue(change) { $0.hold(record) }
        }
    }

    public func settle(_ record: RequestRecord) async throws {
        let sequence = sequence.wrappingAdd(1, ordering: .relaxed).oldValue
        let change = JournalChange.settle(record.requestID, sequence: sequence)
        switch durability {
        case .process: try append(change) { $0.settle(record, sequence: sequence) }
        case .power: try await enqueue(change) { $0.settle(record, sequence: sequence) }
        }
    }

    public func progress(_ record: ProgressRecord) {
        let change = JournalChange.progress(record.requestID)
        switch durability {
        // A later progress record supersedes this one, so a failed write is not reported.
        case .process: try? append(change) { $0.progress(record) }
        case .power:
            backlog.withLock { backlog in
                // Under pressure, records that a caller waits for take precedence.
                guard !backlog.isClosed, backlog.group.entries.count < maximumBacklog / 2 else { return }
                try? add(change, nil, &backlog) { $0.progress(record) }
            }
        }
    }

    public func clear(_ ids: [RequestID]) async throws {
        switch durability {
        case .process:
            try log.withLock { log throws(StoreError) in
                defer { publish(log.totalBytes) }
                try log.clear(.clear(ids))
            }
        case .power: try await enqueue(.clear(ids)) { $0.cleared(ids) }
        }
    }

    public func note(_ credit: LedgerEntry) async throws {
        switch durability {
        case .process: try append(.note) { $0.credit(credit) }
        case .power: try await enqueue(.note) { $0.credit(credit) }
        }
    }

    private func append(_ change: JournalChange, _ contents: (inout RecordBuffer) -> Void) throws(StoreError) {
        try log.withLock { log throws(StoreError) in
            try log.append(change, contents)
            publish(log.totalBytes)
        }
    }

    private func publish(_ size: Int64) { bytes.store(size, ordering: .relaxed) }

    // MARK: Groups

    private func enqueue(_ change: JournalChange, _ contents: (inout RecordBuffer) -> Void) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let refusal = backlog.withLock { backlog -> StoreError? in
                if backlog.isClosed { return .closed }
                if backlog.group.entries.count >= maximumBacklog { return .database("journal backlog full") }
                do throws(StoreError) {
                    try add(change, continuation, &backlog, contents)
                    return nil
                } catch { return error }
            }
            if let refusal { continuation.resume(throwing: refusal) }
        }
    }

    private func add(
        _ change: JournalChange, _ continuation: CheckedContinuation<Void, any Error>?, _ backlog: inout Backlog,
        _ contents: (inout RecordBuffer) -> Void
    ) throws(StoreError) {
        if backlog.group.buffer.count == 0 { _ = try backlog.group.buffer.frame(.group, salt: salt) { _ in } }
        let place = try backlog.group.buffer.frame(change.kind, salt: salt, contents)
        backlog.group.entries.append((change, place, continuation))
        guard !backlog.isScheduled else { return }
        backlog.isScheduled = true
        queue.async { self.writeGroups() }
    }

    /// Writes groups until no record waits. Runs on the journal's own queue.
    private func writeGroups() {
        while true {
            var group = Group()
            backlog.withLock { backlog in
                swap(&backlog.group, &group)
                if group.entries.isEmpty { backlog.isScheduled = false }
            }
            if group.entries.isEmpty { return }
            write(group)
        }
    }

    private func write(_ group: borrowing Group) {
        let bytes = group.buffer.bytes
        let records = group.entries.map { ($0.change, $0.place) }
        let failure = log.withLock { log -> StoreError? in
            defer { publish(log.totalBytes) }
            do throws(StoreError) {
                try log.commit(bytes, records)
                return nil
            } catch {
                for (change, _) in records { log.forget(change) }
                return error
            }
        }
        for entry in group.entries {
            if let failure, !entry.change.isClear {
                entry.continuation?.resume(throwing: failure)
            } else {
                entry.continuation?.resume()
            }
        }
    }

    // MARK: Reading

    public func settled(limit: Int) async throws -> [RequestRecord] {
        try await read { log throws(StoreError) in
            let places = log.index.settled(limit)
            return (places, try log.reader(places))
        } decode: { places, reader in
            try places.map { place in
                let body = try reader.body(place)
                return try body.withUnsafeBytes { try RequestRecord(body: $0) }
            }
        }
    }

    public func orphans() async throws -> [(hold: HoldRecord, progress: ProgressRecord?)] {
        try await read { log throws(StoreError) in
            let holds: [JournalIndex.Hold] = Array(log.index.holds.values)
            var places = holds.map(\.place)
            places += holds.compactMap(\.progress)
            return (holds, try log.reader(places))
        } decode: { holds, reader in
            var orphans: [(hold: HoldRecord, progress: ProgressRecord?)] = []
            for hold in holds {
                let record = try reader.body(hold.place).withUnsafeBytes { try HoldRecord(body: $0) }
                let progress = try hold.progress.map { place in try reader.body(place).withUnsafeBytes { try ProgressRecord(body: $0) } }
                orphans.append((record, progress))
            }
            return orphans.sorted { left, right in
                let (left, right) = (left.hold, right.hold)
                return left.createdAt == right.createdAt ? left.requestID < right.requestID : left.createdAt < right.createdAt
            }
        }
    }

    /// Looks the places up under the lock and reads them without it, on the journal's queue, because the disk may be slow.
    private func read<Places: Sendable, Records: Sendable>(
        _ find: @escaping @Sendable (borrowing JournalLog) throws(StoreError) -> (Places, JournalReader),
        decode: @escaping @Sendable (Places, JournalReader) throws -> Records
    ) async throws -> Records {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Records, any Error>) in
            queue.async {
                continuation.resume(
                    with: Result {
                        let (places, reader) = try self.log.withLock { log throws(StoreError) in try find(log) }
                        do {
                            return try decode(places, reader)
                        } catch let problem as RecordReader.Problem {
                            throw StoreError.database("the journal: \(problem)")
                        }
                    })
            }
        }
    }

    /// Writes the waiting records, then closes. Later appends are refused.
    public func close() async throws {
        let wasClosed = backlog.withLock { backlog in
            defer { backlog.isClosed = true }
            return backlog.isClosed
        }
        guard !wasClosed else { return }
        await withCheckedContinuation { continuation in
            queue.async {
                self.writeGroups()
                self.log.withLock { $0.close() }
                continuation.resume()
            }
        }
        // Closing may have released files for removal, too.
        await withCheckedContinuation { continuation in queue.async { continuation.resume() } }
        lock.release()
    }
}
