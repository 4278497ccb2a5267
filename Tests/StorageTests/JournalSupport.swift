import Dispatch
import Foundation
import RouterCore
import Synchronization
import Testing

@testable import Storage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

func openJournal(
    _ folder: TemporaryFolder, _ durability: JournalDurability = .process, backlog: Int = 100_000, bytes: Int64 = 1 << 30,
    segmentBytes: Int? = nil, keep: JournalKeep = .nothing, now: @escaping @Sendable () -> Int64 = { 0 },
    synchronize: @escaping @Sendable (JournalFile) throws -> Void = { try $0.synchronizeData() }
) throws -> FileJournal {
    try FileJournal.open(
        directory: folder.path, durability: durability, limits: FileJournal.Limits(backlog: backlog, bytes: bytes),
        segmentBytes: segmentBytes, keep: keep, now: now, disk: JournalDisk(synchronizeFile: synchronize))
}

/// Stands before the real one.
final class SlowDisk: Sendable {
    private enum State { case well, standing, broken }
    private let state = Mutex(State.well)
    private let gate = DispatchSemaphore(value: 0)

    func stop() { state.withLock { $0 = .standing } }
    func fail() { state.withLock { $0 = .broken } }
    func go() {
        state.withLock { $0 = .well }
        gate.signal()
    }

    func wait(_ file: JournalFile) throws {
        switch state.withLock({ $0 }) {
        case .well: break
        case .standing: gate.wait()
        case .broken: throw StoreError.database("the disk is broken")
        }
        try file.synchronizeData()
    }
}

extension TemporaryFolder {
    /// Names of the journal's files.
    func journalFiles() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasPrefix("journal-") }.sorted()
    }

    /// The same files in a folder of their own, as a crash would leave them.
    func copy() throws -> TemporaryFolder {
        let other = try TemporaryFolder()
        for name in try FileManager.default.contentsOfDirectory(atPath: path) where name != "journal.lock" {
            try FileManager.default.copyItem(atPath: path + "/" + name, toPath: other.path + "/" + name)
        }
        return other
    }
}

func fileSize(_ path: String) throws -> Int { try Data(contentsOf: URL(fileURLWithPath: path)).count }

func cut(_ path: String, to size: Int) throws {
    guard truncate(path, off_t(size)) == 0 else { throw StoreError.database("cannot cut \(path)") }
}

func appendBytes(_ path: String, _ bytes: [UInt8]) throws {
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.seekToEnd()
    try handle.write(contentsOf: bytes)
    try handle.close()
}

func changeByte(_ path: String, at offset: Int) throws {
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    data[offset] ^= 0x10
    try data.write(to: URL(fileURLWithPath: path))
}

/// A clock that stands until it is moved.
final class TestTime: Sendable {
    private let seconds: Mutex<Int64>
    init(_ seconds: Int64) { self.seconds = Mutex(seconds) }
    var now: Int64 {
        get { seconds.withLock { $0 } }
        set { seconds.withLock { $0 = newValue } }
    }
}
