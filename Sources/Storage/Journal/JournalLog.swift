import Dispatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The files of a journal and the index of what is in them: appends, takes back what could not be written, begins new files, removes old
/// ones. One caller at a time.
struct JournalLog: ~Copyable {
    struct Settings: Sendable {
        var directory: String
        var durability: JournalDurability
        /// A file that has reached it is followed by a new one.
        var segmentBytes: Int
        var disk: JournalDisk
        /// What becomes of files that nobody needs any more.
        var kept: KeptSegments
    }

    /// More files than these are too many when most of what is in them is dead.
    private static let fewSegments = 4

    private let settings: Settings
    /// Salt of the files that are written now.
    let salt: UInt32
    /// Removes files in the order in which they were given up.
    private let chores: DispatchQueue
    /// Held until the last chore is done, so that the next life finds none half done.
    private let lock: FileLock
    private(set) var index: JournalIndex
    private var file: JournalFile
    /// The present file cannot be trusted: the next record goes into a new one.
    private var isAbandoned = false
    private(set) var isClosed = false
    private var buffer = RecordBuffer()

    /// - Parameter file: the last segment of the index when it is to be written on; nil = a new one is begun.
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

    /// Writes one record and takes it into the index. When it throws, nothing has changed.
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

    /// Writes a group of records, which are at these places of its bytes, and waits for the disk. When it throws, nothing has changed.
    mutating func commit(_ bytes: UnsafeRawBufferPointer, _ records: [(change: JournalChange, place: Range<Int>)]) throws(StoreError) {
        guard !isClosed else { throw .closed }
        let start = try write(bytes)
        do {
            try settings.disk.synchronize(file)
        } catch {
            takeBack(bytes.count)
            // After a failed fsync the kernel takes the pages for written, so that a second one would succeed and mean nothing. What was on
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

    /// Forgets settlements that the ledger has, even when that cannot be written: files that nobody needs must go on a full disk most of
    /// all, and what comes back at the next start the ledger knows already.
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

    /// At the end of the present file, or at the beginning of a new one.
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

    /// On a full disk what is only kept goes first, the oldest before the others: nobody is refused for its sake.
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

    /// Empties the only file when nothing in it counts: on a full disk its room may be all that there is for us.
    private mutating func beginAnew() -> Bool {
        guard index.segments.count == 1, index.liveBytes == 0, !isAbandoned, index.segments[0].size > SegmentHeader.size else {
            return false
        }
        takeBack(index.segments[0].size - SegmentHeader.size)
        return !isAbandoned
    }

    /// Cuts the file back to its last good record. - Parameter bytes: that have been counted already.
    private mutating func takeBack(_ bytes: Int) {
        index.grow(-bytes)
        do {
            try file.cut(to: index.segments[index.segments.count - 1].size)
            // What was refused to its writer must not come back with the power.
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
            // A full file is better than none.
            guard isAbandoned else { return }
            throw error
        }
        isAbandoned = false
        if settings.durability == .process {
            // Not for anybody's sake who waits: it only makes it unlikely that a loss of power leaves a hole in front of good records.
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

    /// Lets go of the oldest files while nothing in them counts. Never one in the middle: it may say what became of a record in an older
    /// one.
    mutating func dropDead() {
        while index.segments.count > 1, index.segments[0].liveRecords == 0 { dropOldest() }
    }

    private mutating func dropOldest() {
        let segment = index.removeOldest()
        let (settings, lock) = (settings, lock)
        chores.async {
            let path = settings.directory + "/" + segment.name
            // A file that cannot be removed is found and judged again at the next start.
            if segment.isDamaged { try? JournalFile.move(path, to: path + ".read") } else { try? settings.kept.take(segment) }
            if settings.durability == .power { try? settings.disk.synchronize(directory: settings.directory) }
            withExtendedLifetime(lock) {}
        }
    }

    /// Copies what little counts in the oldest files, so that a long request does not keep everything behind it on the disk.
    ///
    /// With this the files take up at most twice what counts, or four files. Two at a time are enough: a file is begun between one call and
    /// the next.
    private mutating func tidy() {
        let kept = settings.kept
        if kept.isDue { chores.async { kept.expire() } }
        for _ in 0..<2 {
            guard index.segments.count > Self.fewSegments, index.totalBytes > 2 * index.liveBytes else { return }
            // No room for the copy: another time.
            guard (try? moveOldest()) != nil else { return }
        }
    }

    /// Whatever they hold: files that are not to be read a second time.
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
        // Not the buffer that is about to be written, perhaps.
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

    /// Without a look at the size of the present file: a new one would begin the tidying anew.
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

    /// Has the files open that the places are in, so that they can be read while this goes on.
    func reader(_ places: [JournalPlace]) throws(StoreError) -> JournalReader {
        guard !isClosed else { throw .closed }
        return try JournalReader(settings.directory, index.segments, places)
    }

    /// Everything that has been written is on the disk when this returns.
    func synchronizeAll() throws(StoreError) {
        for segment in index.segments { try settings.disk.synchronize(JournalFile(settings.directory + "/" + segment.name, O_RDWR)) }
        try settings.disk.synchronize(directory: settings.directory)
    }

    mutating func close() {
        isClosed = true
        // Best effort: who needs more than the end of the process has chosen `power`.
        try? file.synchronizeData()
    }
}

extension StoreError {
    static let closed = StoreError.database("the journal is closed")
}
