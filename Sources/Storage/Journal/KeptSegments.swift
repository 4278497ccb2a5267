import CPlatform
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The retention of files whose records are in the ledger, so that a ledger restored from a backup can be completed.
public struct JournalKeep: Sendable {
    /// Counted from the time at which the last record in the file stopped counting; 0 = such files are removed at once.
    public var seconds: Int64
    /// Maximum size of all kept files in bytes; beyond it the oldest is removed.
    public var bytes: Int64

    public init(seconds: Int64, bytes: Int64) {
        self.seconds = seconds
        self.bytes = bytes
    }

    public static let nothing = JournalKeep(seconds: 0, bytes: 0)
}

/// Journal files that are no longer needed: kept as `journal-00000001.kept` for a time, then removed. The journal itself does not read
/// them.
final class KeptSegments: Sendable {
    private struct File {
        var path: String
        var bytes: Int64
        /// Unix seconds; stored as the file's modification time, so that a restart does not change the file's age.
        var since: Int64
    }

    static let ending = "kept"

    private let directory: String
    private let keep: JournalKeep
    private let now: @Sendable () -> Int64
    /// Oldest first.
    private let files: Mutex<[File]>
    /// The highest number in use; a new file must not reuse one.
    let lastNumber: UInt32

    init(_ directory: String, _ keep: JournalKeep, now: @escaping @Sendable () -> Int64) throws(StoreError) {
        self.directory = directory
        self.keep = keep
        self.now = now
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: directory)
        } catch { throw .database("cannot read \(directory): \(error.localizedDescription)") }
        var found: [File] = []
        var last: UInt32 = 0
        for name in names.sorted() {
            guard let number = Self.number(name) else { continue }
            last = max(last, number)
            var file = apir_file()
            guard apir_file_at(directory + "/" + name, &file) else { continue }
            found.append(File(path: directory + "/" + name, bytes: file.size, since: file.modified_nanoseconds / 1_000_000_000))
        }
        lastNumber = last
        files = Mutex(found)
        expire()
    }

    /// The number of a kept file; nil for any other name.
    static func number(_ name: String) -> UInt32? {
        guard name.hasPrefix("journal-"), name.hasSuffix("." + ending) else { return nil }
        return UInt32(name.dropFirst(8).prefix { $0 != "." })
    }

    var bytes: Int64 { files.withLock { $0.reduce(0) { $0 + $1.bytes } } }

    /// Keeps a file that has been released.
    func take(_ segment: JournalSegment) throws(StoreError) {
        let path = directory + "/" + segment.name
        guard keep.seconds > 0, keep.bytes > 0 else { return try JournalFile.remove(path) }
        var target = directory + "/" + JournalSegment.name(segment.number, Self.ending)
        var copy = 1
        // A directory restored from a backup may already have a file of the same number.
        while FileManager.default.fileExists(atPath: target) {
            copy += 1
            target = directory + "/" + JournalSegment.name(segment.number, "\(copy).\(Self.ending)")
        }
        let since = now()
        try JournalFile.move(path, to: target)
        // If this fails, the age counts from the last write, and the file is removed somewhat earlier.
        _ = apir_set_modified(target, since)
        files.withLock { $0.append(File(path: target, bytes: Int64(segment.size), since: since)) }
        expire()
    }

    /// True when ``expire()`` has something to do.
    var isDue: Bool {
        files.withLock { files in
            guard let oldest = files.first else { return false }
            return oldest.since < now() - keep.seconds
        }
    }

    /// Removes files that exceed the maximum age or size.
    func expire() {
        guard files.withLock({ !$0.isEmpty }) else { return }
        let end = now() - keep.seconds
        files.withLock { files in
            var total = files.reduce(0) { $0 + $1.bytes }
            while let oldest = files.first, oldest.since < end || total > keep.bytes {
                // A file that cannot be removed now is found at the next start.
                try? JournalFile.remove(oldest.path)
                total -= oldest.bytes
                files.removeFirst()
            }
        }
    }

    /// Removes the oldest file. - Returns: false when there is none.
    func makeRoom() -> Bool {
        files.withLock { files in
            guard let oldest = files.first else { return false }
            files.removeFirst()
            try? JournalFile.remove(oldest.path)
            return true
        }
    }
}
