import RouterCore

/// The position of a record, its frame included.
struct JournalPlace: Sendable {
    var segment: UInt32
    var offset: UInt32
    var length: UInt32
}

/// A file of the journal, and how many of its records still count.
struct JournalSegment: Sendable {
    var number: UInt32
    /// Offset of the end of its last valid record.
    var size: Int
    var salt: UInt32
    /// Whether its writers wait until the records are on the disk.
    var isPower: Bool
    /// An operator has declared the file damaged, and what can be read of it is used.
    var isDamaged = false
    var liveBytes = 0
    var liveRecords = 0

    var name: String { Self.name(number, isDamaged ? "damaged" : "log") }

    static func name(_ number: UInt32, _ ending: String = "log") -> String {
        let digits = String(number)
        return "journal-\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits).\(ending)"
    }
}

/// An index of the journal's records and their positions, without contents, so that a long outage of the ledger fills the disk and not the
/// memory. The same changes in the same order give the same index, whether they are happening or are being replayed.
struct JournalIndex: Sendable {
    struct Hold: Sendable {
        var place: JournalPlace
        var progress: JournalPlace?
    }

    private struct Settlement: Sendable {
        var id: RequestID
        var sequence: UInt64
        /// The position; nil = cleared.
        var place: JournalPlace?
    }

    private(set) var holds: [RequestID: Hold] = [:]
    /// In order of settlement; those before `head` are cleared.
    private var settlements: [Settlement] = []
    private var head = 0
    /// Position in `settlements` plus what has been removed in front of it.
    private var positions: [RequestID: Int] = [:]
    private var removed = 0
    /// Oldest first, numbered without gaps; the last one is the one being written.
    var segments: [JournalSegment] = []
    private(set) var liveBytes = 0
    /// Disk space of all files in bytes.
    private(set) var totalBytes = 0
    /// The next sequence number for a settlement.
    private(set) var nextSequence: UInt64 = 0

    /// False when the change is known to have no effect.
    func isNews(_ change: JournalChange) -> Bool {
        switch change {
        // A hold is ignored for a request that has ended.
        case .hold(let id): holds[id] == nil && positions[id] == nil
        case .settle(let id, _): positions[id] == nil
        // Progress counts only while the hold exists: it is of no use for a request that has ended.
        case .progress(let id): holds[id] != nil
        case .clear(let ids): ids.contains { positions[$0] != nil }
        case .note, .none: true
        }
    }

    mutating func apply(_ change: JournalChange, _ place: JournalPlace) {
        switch change {
        case .hold(let id):
            guard isNews(change) else { return }
            holds[id] = Hold(place: place)
            add(place)
        case .settle(let id, let sequence):
            nextSequence = max(nextSequence, sequence + 1)
            guard isNews(change) else { return keepFirst(id, sequence, place) }
            forgetHold(id)
            positions[id] = removed + settlements.count
            settlements.append(Settlement(id: id, sequence: sequence, place: place))
            add(place)
        case .progress(let id):
            guard var hold = holds[id] else { return }
            if let earlier = hold.progress { remove(earlier) }
            hold.progress = place
            holds[id] = hold
            add(place)
        case .clear(let ids):
            for id in ids { clear(id) }
        case .note, .none: break
        }
    }

    /// Keeps the first of two settlements of one request. When the journal is replayed, the first may be read second: as a copy, if its own
    /// file has been removed.
    private mutating func keepFirst(_ id: RequestID, _ sequence: UInt64, _ place: JournalPlace) {
        guard let position = positions[id] else { return }
        let index = position - removed
        guard sequence < settlements[index].sequence else { return }
        if let later = settlements[index].place { remove(later) }
        settlements[index].sequence = sequence
        settlements[index].place = place
        add(place)
    }

    mutating func clear(_ id: RequestID) {
        // A late hold was ignored when it was written, and is ignored too when the settlement's file has been removed.
        forgetHold(id)
        guard let position = positions.removeValue(forKey: id) else { return }
        let index = position - removed
        if let place = settlements[index].place { remove(place) }
        settlements[index].place = nil
        while head < settlements.count, settlements[head].place == nil { head += 1 }
        if head == settlements.count || head > 4_096 && head > settlements.count / 2 {
            settlements.removeFirst(head)
            removed += head
            head = 0
        }
    }

    private mutating func forgetHold(_ id: RequestID) {
        guard !holds.isEmpty, let hold = holds.removeValue(forKey: id) else { return }
        remove(hold.place)
        if let progress = hold.progress { remove(progress) }
    }

    private mutating func add(_ place: JournalPlace) {
        let index = Int(place.segment - segments[0].number)
        segments[index].liveBytes += Int(place.length)
        segments[index].liveRecords += 1
        liveBytes += Int(place.length)
    }

    private mutating func remove(_ place: JournalPlace) {
        let index = Int(place.segment - segments[0].number)
        segments[index].liveBytes -= Int(place.length)
        segments[index].liveRecords -= 1
        liveBytes -= Int(place.length)
    }

    // MARK: Reading

    /// The first settlements that have not been cleared.
    func settled(_ limit: Int) -> [JournalPlace] {
        var places: [JournalPlace] = []
        for settlement in settlements[head...] {
            guard places.count < limit else { break }
            if let place = settlement.place { places.append(place) }
        }
        return places
    }

    /// Sorts after replay: copies of settlements are read late and keep their original rank.
    mutating func sort() {
        settlements = settlements.filter { $0.place != nil }.sorted { $0.sequence < $1.sequence }
        (head, removed) = (0, 0)
        positions = [:]
        for (position, settlement) in settlements.enumerated() { positions[settlement.id] = position }
    }

    // MARK: Files

    mutating func begin(_ segment: JournalSegment) {
        segments.append(segment)
        totalBytes += segment.size
    }

    /// The last file has grown by this many bytes.
    mutating func grow(_ bytes: Int) {
        segments[segments.count - 1].size += bytes
        totalBytes += bytes
    }

    mutating func removeOldest() -> JournalSegment {
        let segment = segments.removeFirst()
        totalBytes -= segment.size
        return segment
    }

    /// Records that must be copied before the oldest file can be removed. A hold is copied together with its progress, wherever that is:
    /// progress that is replayed before its hold would be ignored.
    func aliveInOldest() -> (holds: [(id: RequestID, hold: Hold)], settlements: [(id: RequestID, place: JournalPlace)]) {
        let number = segments[0].number
        return (
            holds.filter { $0.value.place.segment == number }.map { ($0.key, $0.value) },
            settlements[head...].compactMap { settlement in
                settlement.place.flatMap { $0.segment == number ? (settlement.id, $0) : nil }
            }
        )
    }

    /// Records the second position of a record; the first one no longer counts.
    mutating func move(_ change: JournalChange, _ place: JournalPlace) {
        switch change {
        case .hold(let id):
            guard let old = holds[id]?.place else { return }
            remove(old)
            holds[id]?.place = place
            add(place)
        case .settle(let id, _):
            guard let position = positions[id] else { return }
            if let old = settlements[position - removed].place { remove(old) }
            settlements[position - removed].place = place
            add(place)
        case .progress, .clear, .note, .none: apply(change, place)
        }
    }
}
