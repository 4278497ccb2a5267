import Foundation
import GRDB
import RouterCore
import Storage
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@Suite(.timeLimit(.minutes(1)))
struct JournalTests {
    @Test func `a settlement replaces its hold and comes back as it was`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await SQLiteJournal.open(directory: folder.path, durability: .power)
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
        let journal = try await SQLiteJournal.open(directory: folder.path)
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
        let journal = try await SQLiteJournal.open(directory: folder.path)
        try await journal.settle(record(1, user: 1, charge: nil))
        try await journal.hold(hold(1))
        #expect(try await journal.orphans().map(\.hold) == [])
        try await journal.close()
    }

    @Test func `settlements come in their order, up to the limit, until they are cleared`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await SQLiteJournal.open(directory: folder.path)
        // Ids descend, so that order by id would show.
        for id in [9, 7, 5, 3] { try await journal.settle(record(id, user: 1, charge: 1)) }
        #expect(try await journal.settled(limit: 3).map(\.requestID.bits) == [9, 7, 5])
        try await journal.clear([RequestID(bits: 9), RequestID(bits: 5), RequestID(bits: 1000)])
        #expect(try await journal.settled(limit: 3).map(\.requestID.bits) == [7, 3])
        try await journal.close()
    }

    @Test func `five thousand appends at once are all there`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await SQLiteJournal.open(directory: folder.path)
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
        let journal = try await SQLiteJournal.open(directory: folder.path)
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
            let again = try await SQLiteJournal.open(directory: folder.path)
            #expect(try await again.settled(limit: 999).count == accepted)
            try await again.close()
        }
        await #expect(throws: StoreError.database("the journal is closed")) { try await journal.hold(hold(1)) }
    }

    @Test func `a journal of an older program gets the columns that have come since`() async throws {
        let folder = try TemporaryFolder()
        let first = try await SQLiteJournal.open(directory: folder.path)
        try await first.close()
        try await DatabaseQueue(path: folder.path + "/journal.db").write { db in
            try db.execute(sql: "ALTER TABLE settlements DROP COLUMN generation_id")
        }
        let second = try await SQLiteJournal.open(directory: folder.path)
        try await second.settle(record(1, user: 1, charge: 1))
        #expect(try await second.settled(limit: 1) == [record(1, user: 1, charge: 1)])
        try await second.close()
    }

    @Test func `the dearest upstream cost does not bring the reader down`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await SQLiteJournal.open(directory: folder.path)
        var dear = record(1, user: 1, charge: 1)
        dear.usage.upstreamCost = FemtoUSD(femtos: .max)
        try await journal.settle(dear)
        #expect(try await journal.settled(limit: 1).first?.usage.upstreamCost == FemtoUSD(femtos: .max))
        try await journal.close()
    }

    // MARK: A writer that is held up

    /// Another connection that keeps the journal's writer waiting until it is released.
    private func blocked(_ folder: TemporaryFolder) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let blocker = try DatabaseQueue(path: folder.path + "/journal.db", configuration: configuration)
        try blocker.inDatabase { db in try db.execute(sql: "BEGIN IMMEDIATE") }
        return blocker
    }

    private func release(_ blocker: DatabaseQueue) throws {
        try blocker.inDatabase { db in try db.execute(sql: "COMMIT") }
    }

    @Test func `a full backlog refuses, a bad record fails alone, and the rest is written`() async throws {
        let folder = try TemporaryFolder()
        let journal = try await SQLiteJournal.open(directory: folder.path, maximumBacklog: 10)
        try await DatabaseQueue(path: folder.path + "/journal.db").write { db in
            try db.execute(
                sql: """
                    CREATE TRIGGER bad BEFORE INSERT ON holds WHEN NEW.model = 'bad'
                    BEGIN SELECT RAISE(ABORT, 'a bad record'); END
                    """)
        }
        let blocker = try blocked(folder)
        try await withThrowingTaskGroup(of: (id: Int, failure: StoreError?).self) { group in
            for id in 0..<50 {
                group.addTask {
                    do {
                        try await journal.hold(hold(id, model: id % 2 == 0 ? "good" : "bad"))
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
            try release(blocker)
            var written: Set<UInt128> = []
            for try await (id, failure) in group where failure != .database("journal backlog full") {
                if id % 2 == 0 {
                    #expect(failure == nil)
                    written.insert(UInt128(id))
                } else {
                    #expect(failure == .database("constraint: a bad record"))
                }
            }
            #expect(Set(try await journal.orphans().map(\.hold.requestID.bits)) == written)
        }
        try await journal.close()
    }

    // MARK: Other processes. The child of an exit test knows its parent, and by it the folder.

    private static func sharedFolder(of process: Int32, _ name: String) -> String {
        "/tmp/apirouter-\(name)-\(process)"
    }

    @Test func `what was confirmed survives a kill`() async throws {
        let path = Self.sharedFolder(of: getpid(), "kill")
        defer { try? FileManager.default.removeItem(atPath: path) }
        await #expect(processExitsWith: .signal(SIGKILL)) {
            let journal = try await SQLiteJournal.open(directory: JournalTests.sharedFolder(of: getppid(), "kill"))
            for id in 0..<20 { try await journal.hold(hold(id)) }
            for id in 0..<10 { try await journal.settle(record(id, user: 1, charge: 1)) }
            kill(getpid(), SIGKILL)
        }
        let journal = try await SQLiteJournal.open(directory: path)
        #expect(try await journal.orphans().map(\.hold) == (10..<20).map { hold($0) })
        #expect(try await journal.settled(limit: 99) == (0..<10).map { record($0, user: 1, charge: 1) })
        try await journal.close()
    }

    @Test func `a second opener is refused, in this process and in another`() async throws {
        let path = Self.sharedFolder(of: getpid(), "lock")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let journal = try await SQLiteJournal.open(directory: path)
        await #expect(throws: StoreError.self) { try await SQLiteJournal.open(directory: path) }
        await #expect(processExitsWith: .exitCode(42)) {
            do {
                _ = try await SQLiteJournal.open(directory: JournalTests.sharedFolder(of: getppid(), "lock"))
            } catch StoreError.database(let text) where text.contains("another gateway") {
                exit(42)
            }
        }
        try await journal.close()
        let next = try await SQLiteJournal.open(directory: path)
        try await next.close()
    }
}
