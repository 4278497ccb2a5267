import CPlatform
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// For how long files are kept whose records the ledger has, so that a ledger restored from a backup can be given what it lacks.
public struct JournalKeep: Sendable {
    /// Counted from the moment at which nothing in the file counted any more; 0 = such files are removed at once.
    public var seconds: Int64
    /// Bytes of all kept files; beyond that the oldest goes.
    public var bytes: Int64

    public init(seconds: Int64, bytes: Int64) {
        self.seconds = seconds
        self.bytes = bytes
    }

    public static let nothing = JournalKeep(seconds: 0, bytes: 0)
}

/// Files of the journal that nobody needs any more: kept as `journal-00000001.kept` for a time, then removed. The journal itself does not
/// read them.
final class KeptSegments: Sendable {
    private struct File {
        var path: String
        var bytes: Int64
        /// Unix seconds: the file's own time of modification, so that a restart does not make it younger.
        var since: Int64
    }

    static let ending = "kept"

    private let directory: String
    private let keep: JournalKeep
    private let now: @Sendable () -> Int64
    /// Oldest first.
    private let files: Mutex<[File]>
    /// The highest number that a file has had; a new file must not get one of them.
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

    /// Number of a kept file; nil for any other name.
    static func number(_ name: String) -> UInt32? {
        guard name.hasPrefix("journal-"), name.hasSuffix("." + ending) else { return nil }
        return UInt32(name.dropFirst(8).prefix { $0 != "." })
    }

    var bytes: Int64 { files.withLock { $0.reduce(0) { $0 + $1.bytes } } }

    /// Takes a file that has been given up.
    func take(_ segment: JournalSegment) throws(StoreError) {
        let path = directory + "/" + segment.name
        guard keep.seconds > 0, keep.bytes > 0 else { return try JournalFile.remove(path) }
        var target = directory + "/" + JournalSegment.name(segment.number, Self.ending)
        var copy = 1
        // A directory that was put back from somewhere may have one of the same number.
        while FileManager.default.fileExists(atPath: target) {
            copy += 1
            target = directory + "/" + JournalSegment.name(segment.number, "\(copy).\(Self.ending)")
        }
        let since = now()
        try JournalFile.move(path, to: target)
        // When this fails the age counts from the last write: the file goes a little earlier.
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

    /// Removes what is too old or too much.
    func expire() {
        guard files.withLock({ !$0.isEmpty }) else { return }
        let end = now() - keep.seconds
        files.withLock { files in
            var total = files.reduce(0) { $0 + $1.bytes }
            while let oldest = files.first, oldest.since < end || total > keep.bytes {
                // One that cannot be removed now is found at the next start.
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
