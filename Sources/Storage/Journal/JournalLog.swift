import Dispatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The files of a journal and the index of their records: appends, undoes failed writes, begins new files, removes old ones. One caller at
/// a time.
struct JournalLog: ~Copyable {
    struct Settings: Sendable {
        var directory: String
        var durability: JournalDurability
        /// Size in bytes after which a file is followed by a new one.
        var segmentBytes: Int
        var disk: JournalDisk
        /// Receives the files that are no longer needed.
        var kept: KeptSegments
    }

    /// Up to this number of files, nothing is compacted.
    private static let fewSegments = 4

    private let settings: Settings
    /// Salt of the files that are being written.
    let salt: UInt32
    /// Removes files in the order in which they were released.
    private let chores: DispatchQueue
    /// Held until the last chore is done, so that the next life finds no chore half done.
    private let lock: FileLock
    private(set) var index: JournalIndex
    private var file: JournalFile
    /// The present file can no longer be trusted: the next record goes into a new one.
    private var isAbandoned = false
    private(set) var isClosed = false
    private var buffer = RecordBuffer()

    /// - Parameter file: the last segment of the index if it is to be continued; nil = a new one is begun.
    init(
        _ settings: Settings, salt: UInt32, index: JournalIndex, file: JournalFile?, lock: FileLock, chores: DispatchQueue
    ) throws(StoreError) {
        self.settings = settings
        self.salt = salt
        self.index = index
        self.lock = lock
        self.chores = chores
        if let file {
            self.file = file
        } else {
            let last = index.segments.last
            let number = (last?.number ?? settings.kept.lastNumber) + 1
            let (segment, new) = try Self.newSegment(settings, salt, number, previousSize: last?.size ?? 0)
            self.index.begin(segment)
            self.file = new
        }
    }

    var totalBytes: Int64 { Int64(index.totalBytes) }
    var nextSequence: UInt64 { index.nextSequence }

    // MARK: Appending

    /// Writes one record and adds it to the index. When it throws, nothing has changed.
    mutating func append(
        _ change: JournalChange, _ contents: (inout RecordBuffer) -> Void
    ) throws(StoreError) {
        guard !isClosed else { throw .closed }
        guard index.isNews(change) else { return }
        buffer.removeAll()
        let length = UInt32(try buffer.frame(change.kind, salt: salt, contents).count)
        let start = try write(buffer.bytes)
        index.apply(change, JournalPlace(segment: start.segment, offset: start.offset, length: length))
        dropDead()
    }

    /// Writes a group of records, located in `bytes` at the given ranges, and waits for the disk. When it throws, nothing has changed.
    mutating func commit(_ bytes: UnsafeRawBufferPointer, _ records: [(change: JournalChange, place: Range<Int>)]) throws(StoreError) {
        guard !isClosed else { throw .closed }
        let start = try write(bytes)
        do {
            try settings.disk.synchronize(file)
        } catch {
            takeBack(bytes.count)
            // After a failed fsync the kernel marks the pages as clean, so a second fsync would succeed and mean nothing. Data that was on
            // the disk before is still good; from now on another file is written, whose header says how much of this one counts.
            isAbandoned = true
            throw error
        }
        for (change, place) in records {
            index.apply(
                change,
                JournalPlace(segment: start.segment, offset: start.offset + UInt32(place.lowerBound), length: UInt32(place.count)))
        }
        dropDead()
        if records.contains(where: \.change.isClear) { tidy() }
    }

    /// Forgets settlements that are in the ledger, even if the record of this cannot be written: on a full disk it is most important that
    /// unneeded files go, and the ledger ignores what is posted again after the next start.
    mutating func clear(_ change: JournalChange) throws(StoreError) {
        do {
            try append(change) { buffer in if case .clear(let ids) = change { buffer.cleared(ids) } }
        } catch {
            if error == .closed { throw error }
            forget(change)
        }
        tidy()
    }

    mutating func forget(_ change: JournalChange) {
        guard case .clear(let ids) = change else { return }
        for id in ids { index.clear(id) }
        dropDead()
    }

    /// Writes at the end of the present file, or at the beginning of a new one.
    private mutating func write(_ bytes: UnsafeRawBufferPointer) throws(StoreError) -> (segment: UInt32, offset: UInt32) {
        if isAbandoned || index.segments[index.segments.count - 1].size >= settings.segmentBytes { try rotate() }
        let segment = index.segments[index.segments.count - 1]
        guard segment.size + bytes.count <= Int(UInt32.max) else { throw .database("\(segment.name) is too large") }
        do {
            return try put(bytes)
        } catch {
            guard beginAnew() else { throw error }
            return try put(bytes)
        }
    }

    /// When the disk is full, removes kept files, oldest first: a request is never refused for their sake.
    private func writeMakingRoom(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StoreError) {
        while try !file.writeIfRoom(bytes, at: offset) {
            guard settings.kept.makeRoom() else { throw .database("cannot write \(file.path): no room is left on the disk") }
        }
    }

    private mutating func put(_ bytes: UnsafeRawBufferPointer) throws(StoreError) -> (segment: UInt32, offset: UInt32) {
        let segment = index.segments[index.segments.count - 1]
        do {
            try writeMakingRoom(bytes, at: segment.size)
        } catch {
            takeBack(0)
            throw error
        }
        index.grow(bytes.count)
        return (segment.number, UInt32(segment.size))
    }

    /// Empties the only file when none of its records count: on a full disk its space may be all that is available.
    private mutating func beginAnew() -> Bool {
        guard index.segments.count == 1, index.liveBytes == 0, !isAbandoned, index.segments[0].size > SegmentHeader.size else {
            return false
        }
        takeBack(index.segments[0].size - SegmentHeader.size)
        return !isAbandoned
    }

    /// Truncates the file to its last valid record. - Parameter bytes: those that have been added to the size already.
    private mutating func takeBack(_ bytes: Int) {
        index.grow(-bytes)
        do {
            try file.cut(to: index.segments[index.segments.count - 1].size)
            // A record that was refused to its writer must not reappear after a power failure.
            if settings.durability == .power { try settings.disk.synchronize(file) }
        } catch {
            isAbandoned = true
        }
    }

    // MARK: Files

    private mutating func rotate() throws(StoreError) {
        let old = file
        do {
            let last = index.segments[index.segments.count - 1]
            let (segment, new) = try Self.newSegment(settings, salt, last.number + 1, previousSize: last.size)
            file = new
            index.begin(segment)
        } catch {
            // If no new file can be begun, an oversized one is still usable.
            guard isAbandoned else { return }
            throw error
        }
        isAbandoned = false
        if settings.durability == .process {
            // No caller waits for this; it only makes it unlikely that a loss of power leaves a hole before valid records.
            chores.async { try? old.synchronizeData() }
        }
        tidy()
    }

    private static func newSegment(
        _ settings: Settings, _ salt: UInt32, _ number: UInt32, previousSize: Int
    ) throws(StoreError) -> (JournalSegment, JournalFile) {
        let isPower = settings.durability == .power
        let segment = JournalSegment(number: number, size: SegmentHeader.size, salt: salt, isPower: isPower)
        let path = settings.directory + "/" + segment.name
        var header = RecordBuffer()
        SegmentHeader(number: segment.number, salt: salt, isPower: isPower, previousSize: UInt64(previousSize)).write(&header)
        do {
            let file = try JournalFile(path, O_RDWR | O_CREAT | O_TRUNC)
            try file.write(header.bytes, at: 0)
            if isPower {
                try settings.disk.synchronize(file)
                try settings.disk.synchronize(directory: settings.directory)
            }
            return (segment, file)
        } catch {
            try? JournalFile.remove(path)
            throw error
        }
    }

    /// Releases the oldest files as long as none of their records count. A file in the middle is never released: it may contain the end of
    /// a record in an older one.
    mutating func dropDead() {
        while index.segments.count > 1, index.segments[0].liveRecords == 0 { dropOldest() }
    }

    private mutating func dropOldest() {
        let segment = index.removeOldest()
        let (settings, lock) = (settings, lock)
        chores.async {
            let path = settings.directory + "/" + segment.name
            // A file that cannot be removed is found and examined again at the next start.
            if segment.isDamaged { try? JournalFile.move(path, to: path + ".read") } else { try? settings.kept.take(segment) }
            if settings.durability == .power { try? settings.disk.synchronize(directory: settings.directory) }
            withExtendedLifetime(lock) {}
        }
    }

    /// Copies the few records that still count in the oldest files, so that a long request does not keep every later file on the disk.
    ///
    /// With this, the files take up at most twice the size of the records that count, or four files. Two files at a time are enough,
    /// because at most one file is begun between two calls.
    private mutating func tidy() {
        let kept = settings.kept
        if kept.isDue { chores.async { kept.expire() } }
        for _ in 0..<2 {
            guard index.segments.count > Self.fewSegments, index.totalBytes > 2 * index.liveBytes else { return }
            // There is no space for the copy; the next call tries again.
            guard (try? moveOldest()) != nil else { return }
        }
    }

    /// Moves every record that counts out of files that must not be read a second time.
    mutating func moveAll(upTo number: UInt32) throws(StoreError) {
        while index.segments.count > 1, index.segments[0].number <= number { try moveOldest() }
    }

    private mutating func moveOldest() throws(StoreError) {
        let alive = index.aliveInOldest()
        var copies: [(change: JournalChange, place: JournalPlace)] = []
        for (id, hold) in alive.holds {
            copies.append((.hold(id), hold.place))
            if let progress = hold.progress { copies.append((.progress(id), progress)) }
        }
        for (id, place) in alive.settlements { copies.append((.settle(id, sequence: 0), place)) }
        let reader = try JournalReader(settings.directory, index.segments, copies.map(\.place))
        // A separate buffer, because the shared one may hold records that are about to be written.
        var buffer = RecordBuffer()
        var moves: [(change: JournalChange, frame: Range<Int>)] = []
        for copy in copies {
            moves.append((copy.change, try buffer.frame(body: try reader.body(copy.place), salt: salt)))
        }
        if !moves.isEmpty {
            let start = try appendCopies(buffer.bytes)
            for move in moves {
                let place = JournalPlace(
                    segment: start.segment, offset: start.offset + UInt32(move.frame.lowerBound), length: UInt32(move.frame.count))
                index.move(move.change, place)
            }
        }
        dropDead()
    }

    /// Ignores the size of the present file: a new file would start the compaction again.
    private mutating func appendCopies(_ bytes: UnsafeRawBufferPointer) throws(StoreError) -> (segment: UInt32, offset: UInt32) {
        guard !isAbandoned else { throw .database("the journal's file is given up") }
        let start = try put(bytes)
        guard settings.durability == .power else { return start }
        do {
            try settings.disk.synchronize(file)
        } catch {
            takeBack(bytes.count)
            isAbandoned = true
            throw error
        }
        return start
    }

    // MARK: Reading and closing

    /// Opens the files that contain these positions, so that they can be read while the log continues.
    func reader(_ places: [JournalPlace]) throws(StoreError) -> JournalReader {
        guard !isClosed else { throw .closed }
        return try JournalReader(settings.directory, index.segments, places)
    }

    /// Returns when everything that was written is on the disk.
    func synchronizeAll() throws(StoreError) {
        for segment in index.segments { try settings.disk.synchronize(JournalFile(settings.directory + "/" + segment.name, O_RDWR)) }
        try settings.disk.synchronize(directory: settings.directory)
    }

    mutating func close() {
        isClosed = true
        // Best effort: configurations that require more than surviving the process use `power`.
        try? file.synchronizeData()
    }
}

extension StoreError {
    static let closed = StoreError.database("the journal is closed")
}
