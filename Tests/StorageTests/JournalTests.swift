import Foundation
import RouterCore
import Testing

@testable import Storage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@Suite(.timeLimit(.minutes(10)))
struct JournalTests {
    @Test func `a settlement replaces its hold and comes back as it was`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await FileJournal.open(directory: folder.path, durability: .power)
        try await journal.hold(hold(1))
        try await journal.hold(hold(2))
        #expect(try await journal.orphans().map(\.hold) == [hold(1), hold(2)])
        try await journal.settle(record(1, user: 1, charge: 10))
        #expect(try await journal.orphans().map(\.hold) == [hold(2)])
        #expect(try await journal.settled(limit: 10) == [record(1, user: 1, charge: 10)])
        try await journal.close()
    }

    @Test func `what comes twice counts once`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await FileJournal.open(directory: folder.path)
        try await journal.hold(hold(1))
        try await journal.hold(hold(1))
        #expect(try await journal.orphans().map(\.hold) == [hold(1)])
        try await journal.settle(record(1, user: 1, charge: 10))
        try await journal.settle(record(1, user: 1, charge: 99))
        #expect(try await journal.settled(limit: 10).map(\.charge) == [NanoUSD(nanos: 10)])
        try await journal.close()
    }

    @Test func `a hold after its settlement does not rise again`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await FileJournal.open(directory: folder.path)
        try await journal.settle(record(1, user: 1, charge: nil))
        try await journal.hold(hold(1))
        #expect(try await journal.orphans().map(\.hold) == [])
        try await journal.close()
    }

    @Test func `settlements come in their order, up to the limit, until they are cleared`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await FileJournal.open(directory: folder.path)
        // Ids descend, so that order by id would show.
        for id in [9, 7, 5, 3] { try await journal.settle(record(id, user: 1, charge: 1)) }
        #expect(try await journal.settled(limit: 3).map(\.requestID.bits) == [9, 7, 5])
        try await journal.clear([RequestID(bits: 9), RequestID(bits: 5), RequestID(bits: 1000)])
        #expect(try await journal.settled(limit: 3).map(\.requestID.bits) == [7, 3])
        try await journal.close()
    }

    @Test func `five thousand appends at once are all there`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await FileJournal.open(directory: folder.path)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for id in 0..<5000 {
                group.addTask {
                    if id % 2 == 0 {
                        try await journal.hold(hold(id))
                    } else {
                        try await journal.settle(record(id, user: 1, charge: 1))
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(Set(try await journal.orphans().map(\.hold.requestID.bits)).count == 2500)
        #expect(Set(try await journal.settled(limit: 9999).map(\.requestID.bits)).count == 2500)
        try await journal.close()
    }

    @Test func `closing writes what waits and refuses what follows`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await FileJournal.open(directory: folder.path)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for id in 0..<200 {
                group.addTask {
                    do {
                        try await journal.settle(record(id, user: 1, charge: 1))
                        return true
                    } catch StoreError.database("the journal is closed") {
                        return false
                    }
                }
            }
            group.addTask {
                try await journal.close()
                return false
            }
            var accepted = 0
            for try await wasAccepted in group where wasAccepted { accepted += 1 }
            let again = try await FileJournal.open(directory: folder.path)
            #expect(try await again.settled(limit: 999).count == accepted)
            try await again.close()
        }
        await #expect(throws: StoreError.database("the journal is closed")) { try await journal.hold(hold(1)) }
    }

    @Test func `the dearest upstream cost does not bring the reader down`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await FileJournal.open(directory: folder.path)
        var dear = record(1, user: 1, charge: 1)
        dear.usage.upstreamCost = FemtoUSD(femtos: .max)
        try await journal.settle(dear)
        #expect(try await journal.settled(limit: 1).first?.usage.upstreamCost == FemtoUSD(femtos: .max))
        try await journal.close()
    }

    @Test func `the id of the gateway stays and every start has its number`() async throws {
        let folder = try TemporaryFolder()
        var ids: Set<String> = []
        var lives: [String] = []
        for start in 1...3 {
            let journal = try await FileJournal.open(directory: folder.path)
            ids.insert(journal.identity.gatewayID)
            #expect(journal.identity.epoch == Int64(start))
            #expect(journal.lives.earlier == lives && journal.lives.isSamePlace == (start > 1))
            lives.insert(journal.lives.incarnation, at: 0)
            try await journal.close()
        }
        #expect(ids.count == 1 && Set(lives).count == 3 && lives.allSatisfy { $0.utf8.count == 32 })
        // A copy knows the same lives, and that it is somewhere else.
        let copy = try folder.copy()
        let copied = try await FileJournal.open(directory: copy.path)
        #expect(copied.lives.earlier == lives && !copied.lives.isSamePlace)
        try await copied.beginLife(asNewGateway: true)
        #expect(copied.lives.earlier.isEmpty && !ids.contains(copied.identity.gatewayID))
        try await copied.close()
        // What a program of before this has left, whose leases belonged to an id and a number.
        let id = try #require(ids.first)
        try Data("\(id) 7\n".utf8).write(to: URL(fileURLWithPath: folder.path + "/journal.id"))
        let upgraded = try await FileJournal.open(directory: folder.path)
        #expect(upgraded.identity == (id, 8) && upgraded.lives.earlier == ["\(id):7"] && !upgraded.lives.isSamePlace)
        try await upgraded.close()
        try Data("nonsense".utf8).write(to: URL(fileURLWithPath: folder.path + "/journal.id"))
        await #expect(throws: StoreError.self) { try await FileJournal.open(directory: folder.path) }
    }

    @Test func `progress is the last word, and only of a request that runs`() async throws {
        let folder = try TemporaryFolder()
        for durability in [JournalDurability.process, .power] {
            let journal = try await FileJournal.open(directory: folder.path, durability: durability)
            journal.progress(progress(1, 5))
            try await journal.hold(hold(1))
            journal.progress(progress(1, 6))
            journal.progress(progress(1, 7))
            // Whoever comes later is written later.
            try await journal.hold(hold(2))
            #expect(try await journal.orphans().map(\.progress) == [progress(1, 7), nil])
            try await journal.settle(record(1, user: 1, charge: 1))
            journal.progress(progress(1, 8))
            try await journal.settle(record(2, user: 1, charge: 1))
            #expect(try await journal.orphans().isEmpty)
            try await journal.clear([RequestID(bits: 1), RequestID(bits: 2)])
            try await journal.close()
        }
    }

    // MARK: A disk that is slow, or fails

    @Test func `a full backlog refuses, a bad record fails alone, and the rest is written`() async throws {
        let folder = try TemporaryFolder()
        let disk = SlowDisk()
        let journal = try openJournal(folder, .power, backlog: 10, synchronize: { try disk.wait($0) })
        let tooLong = String(repeating: "x", count: 17 << 20)
        await #expect(throws: StoreError.self) { try await journal.hold(hold(1000, model: tooLong)) }
        disk.stop()
        try await withThrowingTaskGroup(of: (id: Int, failure: StoreError?).self) { group in
            for id in 0..<50 {
                group.addTask {
                    do {
                        try await journal.hold(hold(id))
                        return (id, nil)
                    } catch let error as StoreError {
                        return (id, error)
                    }
                }
            }
            // The writer has at most ten in its hands and ten are waiting: while it stands still, thirty are refused.
            for _ in 0..<30 {
                #expect(try await group.next()?.failure == .database("journal backlog full"))
            }
            disk.go()
            var written: Set<UInt128> = []
            for try await (id, failure) in group where failure != .database("journal backlog full") {
                #expect(failure == nil)
                written.insert(UInt128(id))
            }
            #expect(Set(try await journal.orphans().map(\.hold.requestID.bits)) == written)
        }
        try await journal.close()
    }

    @Test func `what a disk did not take is told, is not there, and the next file goes on`() async throws {
        let folder = try TemporaryFolder()
        let disk = SlowDisk()
        let journal = try openJournal(folder, .power, synchronize: { try disk.wait($0) })
        try await journal.hold(hold(1))
        try await journal.hold(hold(2))
        disk.fail()
        await #expect(throws: StoreError.database("the disk is broken")) { try await journal.settle(record(1, user: 1, charge: 1)) }
        #expect(try await journal.orphans().map(\.hold) == [hold(1), hold(2)])
        disk.go()
        try await journal.settle(record(2, user: 1, charge: 2))
        #expect(try folder.journalFiles() == ["journal-00000001.log", "journal-00000002.log"])
        try await journal.close()
        // The cut may be lost with the power: what was refused is not believed even when it is there.
        let first = folder.path + "/journal-00000001.log"
        let size = try Data(contentsOf: URL(fileURLWithPath: first)).count
        try appendBytes(first, Array(repeating: 7, count: 300))
        let again = try openJournal(folder, .power)
        #expect(try await again.orphans().map(\.hold) == [hold(1)])
        #expect(try await again.settled(limit: 9) == [record(2, user: 1, charge: 2)])
        try await again.close()
        // And what was believed must be there.
        try cut(first, to: size - 1)
        await #expect(throws: StoreError.self) { try await FileJournal.open(directory: folder.path, durability: .power) }
    }

    // MARK: Other processes. The child of an exit test knows its parent, and by it the folder.

    private static func sharedFolder(of process: Int32, _ name: String) -> String {
        "/tmp/apirouter-\(name)-\(process)"
    }

    @Test func `what was confirmed survives a kill`() async throws {
        let path = Self.sharedFolder(of: getpid(), "kill")
        defer { try? FileManager.default.removeItem(atPath: path) }
        await #expect(processExitsWith: .signal(SIGKILL)) {
            let journal = try await FileJournal.open(directory: JournalTests.sharedFolder(of: getppid(), "kill"))
            for id in 0..<20 { try await journal.hold(hold(id)) }
            for id in 0..<10 { try await journal.settle(record(id, user: 1, charge: 1)) }
            kill(getpid(), SIGKILL)
        }
        let journal = try await FileJournal.open(directory: path)
        #expect(try await journal.orphans().map(\.hold) == (10..<20).map { hold($0) })
        #expect(try await journal.settled(limit: 99) == (0..<10).map { record($0, user: 1, charge: 1) })
        try await journal.close()
    }

    @Test func `a child that is just being started does not keep a closed journal`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await FileJournal.open(directory: folder.path)
        // What fork does: a second descriptor of the same lock.
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
        let held = descriptors.first { number in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
            return target == folder.path + "/journal.lock"
        }
        let copy = dup(try #require(held))
        defer { close(copy) }
        try await journal.close()
        try await FileJournal.open(directory: folder.path).close()
    }

    @Test func `a second opener is refused, in this process and in another`() async throws {
        let path = Self.sharedFolder(of: getpid(), "lock")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let journal = try await FileJournal.open(directory: path)
        await #expect(throws: StoreError.self) { try await FileJournal.open(directory: path) }
        await #expect(processExitsWith: .exitCode(42)) {
            do {
                _ = try await FileJournal.open(directory: JournalTests.sharedFolder(of: getppid(), "lock"))
            } catch StoreError.database(let text) where text.contains("another gateway") {
                exit(42)
            }
        }
        try await journal.close()
        let next = try await FileJournal.open(directory: path)
        try await next.close()
    }
}
