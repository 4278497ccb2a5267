import Dispatch
import Foundation
import RouterCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension FileJournal {
    /// Opens the journal in a directory, for one process at a time.
    /// - Parameters:
    ///   - maximumBacklog: how many records may wait for the disk (`power`); further appends are refused.
    ///   - maximumBytes: how much disk space the files may take before further holds are refused.
    ///   - keep: how long and up to which size to keep files whose records are in the ledger.
    ///   - now: Unix seconds, for the age of kept files; nil = the system's clock.
    /// - Throws: ``StoreError``. Nothing has been changed then, unless the disk refused a write.
    public static func open(
        directory: String, durability: JournalDurability = .process, maximumBacklog: Int = 100_000, maximumBytes: Int64 = 1 << 30,
        keep: JournalKeep = .nothing, now: (@Sendable () -> Int64)? = nil
    ) async throws -> FileJournal {
        try open(
            directory: directory, durability: durability, limits: Limits(backlog: maximumBacklog, bytes: maximumBytes), keep: keep,
            now: now ?? { Int64(Date().timeIntervalSince1970) }, disk: .system)
    }

    /// Usual maximum size of a file in bytes, after which the next one is begun.
    private static let usualSegmentBytes = 16 << 20

    static func open(
        directory: String, durability: JournalDurability, limits: Limits, segmentBytes: Int? = nil, keep: JournalKeep = .nothing,
        now: @escaping @Sendable () -> Int64 = { 0 }, disk: JournalDisk
    ) throws -> FileJournal {
        let parents = try PrivateFiles.makeFolder(directory, what: "data directory")
        if durability == .power { for parent in parents { try disk.synchronize(directory: parent) } }
        let lock = try FileLock(
            directory + "/journal.lock", holder: "another gateway is using \(directory) (journal.lock is held)")
        let replay = try JournalReplay(directory)
        let old = try SQLiteJournalImport.find(directory)
        var identity =
            try JournalIdentity.read(directory) ?? old?.identity()
            ?? JournalIdentity(gatewayID: UUID().uuidString.lowercased(), epoch: 0)
        let place = JournalIdentity.place(ofLock: directory + "/journal.lock")
        let isSamePlace = !place.isEmpty && place == identity.place
        identity.place = place
        identity.beginLife()

        // From here on the directory is changed.
        try identity.write(directory)
        if let unborn = replay.unborn { try JournalFile.remove(unborn) }
        let queue = DispatchQueue(label: "journal", qos: .userInitiated)
        // The identity file has been synchronized; an injected disk in tests has to learn of it, too.
        if durability == .power {
            try disk.synchronize(JournalFile(directory + "/journal.id", O_RDONLY))
            try disk.synchronize(directory: directory)
        }
        let settings = JournalLog.Settings(
            directory: directory, durability: durability,
            // A small limit needs small files: a single file must not make up most of it.
            segmentBytes: segmentBytes ?? min(usualSegmentBytes, max(4_096, Int(clamping: limits.bytes / 8))), disk: disk,
            kept: try KeptSegments(directory, keep, now: now))
        var log = try begin(settings, replay.index, lock, queue)
        var notes = replay.notes
        if let damaged = replay.index.segments.last(where: \.isDamaged)?.number { try log.moveAll(upTo: damaged) }
        if let old {
            let count = try takeOver(old, &log)
            notes.append("\(count) records of the journal in \(old.path) were taken over; the file is kept as journal.db.imported")
        }
        log.dropDead()
        return FileJournal(
            log, directory: directory, durability: durability, lock: lock, queue: queue, limits: limits, identity: identity,
            isSamePlace: isSamePlace, notes: notes)
    }

    /// Continues with the last file if its state allows it.
    private static func begin(
        _ settings: JournalLog.Settings, _ index: JournalIndex, _ lock: FileLock, _ queue: DispatchQueue
    ) throws(StoreError) -> JournalLog {
        let isPower = settings.durability == .power
        if isPower {
            // An earlier life may have been killed before it synchronized, or may have run with `process`.
            for segment in index.segments {
                try settings.disk.synchronize(JournalFile(settings.directory + "/" + segment.name, O_RDWR))
            }
            if !index.segments.isEmpty { try settings.disk.synchronize(directory: settings.directory) }
        }
        guard let last = index.segments.last, !last.isDamaged, last.isPower == isPower, last.size < settings.segmentBytes else {
            return try JournalLog(
                settings, salt: .random(in: 1 ... .max), index: index, file: nil, lock: lock, chores: queue)
        }
        let file = try JournalFile(settings.directory + "/" + last.name, O_RDWR)
        if try file.size() > last.size {
            try file.cut(to: last.size)
            if isPower { try settings.disk.synchronize(file) }
        }
        return try JournalLog(settings, salt: last.salt, index: index, file: file, lock: lock, chores: queue)
    }

    private static func takeOver(_ old: SQLiteJournalImport, _ log: inout JournalLog) throws -> Int {
        let count = try old.forEach { hold in
            try log.append(.hold(hold.requestID)) { $0.hold(hold) }
        } progress: { progress in
            try log.append(.progress(progress.requestID)) { $0.progress(progress) }
        } settlement: { record in
            let sequence = log.nextSequence
            try log.append(.settle(record.requestID, sequence: sequence)) { $0.settle(record, sequence: sequence) }
        }
        // A file may replace another only after it has been synchronized.
        try log.synchronizeAll()
        try old.setAside()
        try log.synchronizeAll()
        return count
    }
}
