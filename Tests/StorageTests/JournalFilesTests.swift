import Foundation
import RouterCore
import Testing

@testable import Storage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What is on the disk: broken ends, damage, files that come and go, a disk that is full.
@Suite(.timeLimit(.minutes(10)))
struct JournalFilesTests {
    private static let first = "/journal-00000001.log"

    // MARK: Broken ends and damage

    @Test(arguments: [JournalDurability.process, .power])
    func `a file that was cut anywhere has all records before the cut`(_ durability: JournalDurability) async throws {
        let folder = try TemporaryFolder()
        let journal = try openJournal(folder, durability)
        let path = folder.path + Self.first
        var ends = [try fileSize(path)]
        for id in 0..<3 {
            try await journal.hold(hold(id))
            ends.append(try fileSize(path))
        }
        try await journal.settle(record(0, user: 1, charge: 5))
        ends.append(try fileSize(path))
        try await journal.close()
        for size in 0...ends[4] {
            let copy = try folder.copy()
            try cut(copy.path + Self.first, to: size)
            let again = try openJournal(copy, durability)
            let whole = ends.lastIndex { $0 <= size } ?? 0
            let isSettled = whole == 4
            #expect(try await again.orphans().map(\.hold) == ((isSettled ? 1 : 0)..<min(whole, 3)).map { hold($0) }, "cut to \(size)")
            #expect(try await again.settled(limit: 9) == (isSettled ? [record(0, user: 1, charge: 5)] : []), "cut to \(size)")
            // A header that is not whole was never followed by anything.
            // The mark at the beginning of a group is a record of its own.
            let isWhole = ends.contains(size) || durability == .power && ends.contains(size - 9)
            #expect(again.notes.isEmpty == (size <= ends[0] || isWhole), "cut to \(size): \(again.notes)")
            // What is written behind the cut is read again.
            try await again.hold(hold(77))
            try await again.close()
            let third = try openJournal(copy, durability)
            #expect(try await third.orphans().map(\.hold.requestID.bits).contains(77), "cut to \(size)")
            #expect(third.notes.isEmpty)
            try await third.close()
        }
    }

    @Test func `any changed byte in front of a good record is told and nothing is touched`() async throws {
        let folder = try TemporaryFolder()
        let journal = try openJournal(folder)
        for id in 0..<3 { try await journal.hold(hold(id)) }
        let end = try fileSize(folder.path + Self.first)
        try await journal.settle(record(0, user: 1, charge: 5))
        try await journal.close()
        for offset in 0..<end {
            let copy = try folder.copy()
            try changeByte(copy.path + Self.first, at: offset)
            let before = try Data(contentsOf: URL(fileURLWithPath: copy.path + Self.first))
            do {
                _ = try openJournal(copy)
                Issue.record("byte \(offset) was changed and the journal opened")
            } catch StoreError.database(let text) {
                #expect(text.contains("journal-00000001.log is damaged at byte") && text.contains("journal-00000001.damaged"), "\(text)")
            } catch {
                // A version of the future.
                #expect(offset >= 8 && offset < 12, "byte \(offset): \(error)")
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: copy.path + Self.first)) == before)
            let identity = try String(contentsOfFile: copy.path + "/journal.id", encoding: .utf8)
            #expect(identity.split(separator: "\n").first?.hasSuffix(" 1") == true)
        }
    }

    @Test func `what can be read of a damaged file is used when an operator says so`() async throws {
        let folder = try TemporaryFolder()
        let journal = try openJournal(folder, segmentBytes: 2_000)
        var ends: [Int] = []
        for id in 0..<100 {
            try await journal.hold(hold(id))
            if id < 5 { ends.append(try fileSize(folder.path + Self.first)) }
        }
        try await journal.settle(record(99, user: 1, charge: 5))
        try await journal.close()
        // In the middle of the second hold.
        try changeByte(folder.path + Self.first, at: ends[0] + 20)
        #expect(throws: StoreError.self) { try openJournal(folder, segmentBytes: 2_000) }
        try FileManager.default.moveItem(atPath: folder.path + Self.first, toPath: folder.path + "/journal-00000001.damaged")
        for _ in 0..<2 {
            let again = try openJournal(folder, segmentBytes: 2_000)
            let expected = (0..<99).filter { $0 != 1 }.map { hold($0) }
            #expect(try await again.orphans().map(\.hold) == expected)
            #expect(try await again.settled(limit: 9) == [record(99, user: 1, charge: 5)])
            try await again.close()
            let files = try folder.journalFiles()
            #expect(files.contains("journal-00000001.damaged.read") && !files.contains("journal-00000001.damaged"), "\(files)")
        }
    }

    @Test func `a hole in a group that the power cut is no damage, one in front of it is`() async throws {
        let folder = try TemporaryFolder()
        let journal = try openJournal(folder, .power)
        let path = folder.path + Self.first
        try await journal.hold(hold(0))
        let start = try fileSize(path)
        try await journal.hold(hold(1))
        try await journal.close()
        let confirmed = try folder.copy()
        // The second group and one more record: the disk has written the end and not the beginning.
        let salt = try SegmentSalt.read(path)
        var buffer = RecordBuffer()
        _ = try buffer.frame(.hold, salt: salt) { $0.hold(hold(2)) }
        try appendBytes(path, Array(buffer.bytes))
        try changeByte(path, at: start + 30)
        let again = try openJournal(folder, .power)
        #expect(try await again.orphans().map(\.hold) == [hold(0)])
        #expect(again.notes.count == 1)
        try await again.close()
        try changeByte(confirmed.path + Self.first, at: start - 30)
        #expect(throws: StoreError.self) { try openJournal(confirmed, .power) }
    }

    @Test func `a text that looks like a record is none`() async throws {
        let folder = try TemporaryFolder()
        let journal = try openJournal(folder)
        // A record without a secret in its checksum, in a field that a vendor fills.
        var buffer = RecordBuffer()
        _ = try buffer.frame(.group, salt: 0) { _ in }
        var progress = progress(1, 1)
        progress.generationID = String(decoding: buffer.bytes, as: UTF8.self)
        try await journal.hold(hold(1))
        let end = try fileSize(folder.path + Self.first)
        journal.progress(progress)
        try await journal.close()
        try cut(folder.path + Self.first, to: try fileSize(folder.path + Self.first) - 1)
        let again = try openJournal(folder)
        #expect(try await again.orphans().map(\.hold) == [hold(1)])
        #expect(try fileSize(folder.path + Self.first) == end)
        try await again.close()
    }

    @Test func `a file that is missing, renamed or of the future is told`() async throws {
        let folder = try TemporaryFolder()
        let journal = try openJournal(folder, segmentBytes: 500)
        for id in 0..<20 { try await journal.hold(hold(id)) }
        try await journal.close()
        func expectRefusal(_ word: String, _ change: (String) throws -> Void) throws {
            let copy = try folder.copy()
            try change(copy.path)
            do {
                _ = try openJournal(copy)
                Issue.record("opened: \(word)")
            } catch { #expect("\(error)".contains(word), "\(error)") }
        }
        let second = "/journal-00000002.log"
        try expectRefusal("journal-00000002.log is not there") { try FileManager.default.removeItem(atPath: $0 + second) }
        try expectRefusal("is there twice") {
            try FileManager.default.copyItem(atPath: $0 + second, toPath: $0 + "/journal-00000002.damaged")
        }
        try expectRefusal("under another name") {
            try FileManager.default.removeItem(atPath: $0 + Self.first)
            try FileManager.default.copyItem(atPath: $0 + second, toPath: $0 + Self.first)
        }
        try expectRefusal("is damaged at byte 0") { try cut($0 + second, to: 0) }
        let salt = try SegmentSalt.read(folder.path + second)
        var buffer = RecordBuffer()
        _ = try buffer.frame(body: [99, 1], salt: salt)
        let last = "/" + (try folder.journalFiles().last ?? "")
        try expectRefusal("newer program") { try appendBytes($0 + last, Array(buffer.bytes)) }
    }

    // MARK: Files that come and go

    @Test(arguments: [JournalDurability.process, .power])
    func `thousands of requests leave few files, whatever runs all the while`(_ durability: JournalDurability) async throws {
        let folder = try TemporaryFolder()
        var journal = try openJournal(folder, durability, segmentBytes: 4_000)
        var most: Int64 = 0
        for id in [1, 2] { try await journal.hold(hold(id)) }
        journal.progress(progress(1, 5))
        let count = durability == .power ? 300 : 3_000
        for id in 10..<(10 + count) {
            try await journal.hold(hold(id))
            if id % 100 == 0 { journal.progress(progress(2, Int64(id))) }
            try await journal.settle(record(id, user: 1, charge: 1))
            if id % 7 == 0 { try await journal.clear(try await journal.settled(limit: 99).map(\.requestID)) }
            most = max(most, journal.size)
            if id % 1_000 == 999 {
                try await journal.close()
                journal = try openJournal(folder, durability, segmentBytes: 4_000)
            }
        }
        #expect(most < 30_000)
        try await journal.clear(try await journal.settled(limit: 99).map(\.requestID))
        try await journal.close()
        let bytes = try folder.journalFiles().map { try fileSize(folder.path + "/" + $0) }
        #expect(bytes.count <= 5 && bytes.reduce(0, +) < 30_000, "\(bytes)")
        let again = try openJournal(folder, durability)
        #expect(try await again.orphans().map(\.hold) == [hold(1), hold(2)])
        #expect(try await again.orphans().first?.progress == progress(1, 5))
        #expect(try await again.orphans().last?.progress == progress(2, Int64((10 + count - 1) / 100 * 100)))
        #expect(try await again.settled(limit: 9).isEmpty)
        try await again.close()
    }

    @Test func `settlements keep their order when they are copied`() async throws {
        let folder = try TemporaryFolder()
        let journal = try openJournal(folder, segmentBytes: 2_000)
        // One of ten stays.
        for id in 0..<400 {
            try await journal.settle(record(id, user: 1, charge: 1))
            if id % 10 != 0 { try await journal.clear([RequestID(bits: UInt128(id))]) }
        }
        let expected = stride(from: 0, to: 400, by: 10).map { UInt128($0) }
        #expect(try await journal.settled(limit: 99).map(\.requestID.bits) == expected)
        try await journal.close()
        #expect(try folder.journalFiles().first != "journal-00000001.log")
        let again = try openJournal(folder)
        #expect(try await again.settled(limit: 99).map(\.requestID.bits) == expected)
        try await again.close()
    }

    @Test func `a journal that has reached its bound takes ends, and holds again when it is cleared`() async throws {
        let folder = try TemporaryFolder()
        let journal = try openJournal(folder, bytes: 65_536)
        try await journal.hold(hold(0))
        var id = 0
        while journal.size < 65_536 {
            id += 1
            try await journal.hold(hold(id))
            try await journal.settle(record(id, user: 1, charge: 1))
        }
        await #expect(throws: StoreError.journalFull) { try await journal.hold(hold(id + 1)) }
        try await journal.settle(record(id + 1, user: 1, charge: 1))
        try await journal.clear((1...(id + 1)).map { RequestID(bits: UInt128($0)) })
        #expect(journal.size < 40_000)
        try await journal.hold(hold(id + 2))
        #expect(try await journal.orphans().map(\.hold) == [hold(0), hold(id + 2)])
        try await journal.close()
    }

    // MARK: A full disk

    private static func folder(of process: Int32) -> String { "/tmp/apirouter-full-\(process)" }

    /// In a process of its own, because the bound on the size of files holds for all of it.
    @Test func `what does not fit is told and leaves nothing behind, and it goes on when there is room`() async throws {
        let path = Self.folder(of: getpid())
        defer { try? FileManager.default.removeItem(atPath: path) }
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            func limit(_ bytes: rlim_t) {
                var value = rlimit()
                getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &value)
                value.rlim_cur = min(bytes, value.rlim_max)
                setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &value)
            }
            for durability in [JournalDurability.process, .power] {
                let journal = try await FileJournal.open(directory: JournalFilesTests.folder(of: getppid()), durability: durability)
                let base = durability == .process ? 0 : 1_000
                // Not at the end of a record, so that the last one is written in part.
                limit(3_001)
                var taken = 0
                var refused = 0
                for id in 0..<100 {
                    do {
                        try await journal.settle(record(base + id, user: 1, charge: 1))
                        taken += 1
                    } catch StoreError.database { refused += 1 }
                }
                guard taken > 3, refused > 80, try await journal.settled(limit: 999).count == taken else { exit(2) }
                // The ledger has them; that cannot be written, and counts all the same.
                try await journal.clear([RequestID(bits: UInt128(base))])
                guard try await journal.settled(limit: 999).count == taken - 1 else { exit(3) }
                // When nothing counts any more, the room that the file has is used again.
                try await journal.clear((0..<100).map { RequestID(bits: UInt128(base + $0)) })
                try await journal.settle(record(base + 400, user: 1, charge: 1))
                guard try await journal.settled(limit: 999) == [record(base + 400, user: 1, charge: 1)] else { exit(5) }
                try await journal.clear([RequestID(bits: UInt128(base + 400))])
                limit(.max)
                try await journal.settle(record(base + 500, user: 1, charge: 1))
                guard try await journal.settled(limit: 999) == [record(base + 500, user: 1, charge: 1)] else { exit(4) }
                if durability == .process { try await journal.clear([RequestID(bits: 500)]) }
                try await journal.close()
            }
            exit(0)
        }
        let journal = try await FileJournal.open(directory: path, durability: .power)
        #expect(try await journal.settled(limit: 9).map(\.requestID.bits).contains(1_500))
        #expect(journal.notes.isEmpty)
        try await journal.close()
    }
}

/// The secret of a file, to write records as the journal would.
enum SegmentSalt {
    static func read(_ path: String) throws -> UInt32 {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        guard case .header(let header) = data.withUnsafeBytes({ SegmentHeader.read($0) }) else { throw StoreError.notFound }
        return header.salt
    }
}
