import Foundation
import PostgresTesting
import RouterCore
import Testing

@testable import Storage

/// `journal.durability: power`: whatever was acknowledged is there when everything that was not synchronized is gone.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct PowerLossTests {
    /// What callers have been told.
    private struct Told: Equatable {
        /// Credits minus settled charges.
        var total: Int64 = 0
        var holds: Set<RequestID> = []
    }

    /// Starts on what a loss of power has left, does what a gateway does at its start, and looks at the books.
    private func recovered(_ image: UnsyncedDisk.Image) async throws -> Told {
        let folder = try image.folder()
        let store = try await open(folder)
        let journal = try openJournal(folder, .power)
        let holds = Set(try await journal.orphans().map(\.hold.requestID))
        _ = try await store.post(try await journal.settled(limit: 1_000))
        let books = try await store.verify()
        #expect(books.differences.isEmpty, "\(books.differences)")
        let total = try await store.allUsers().reduce(0) { $0 + $1.balance.nanos }
        try await journal.close()
        try await store.close()
        return Told(total: total, holds: holds)
    }

    private func open(_ folder: TemporaryFolder, _ durability: JournalDurability = .power) async throws -> SQLiteStore {
        try await SQLiteStore.open(
            path: folder.path + "/ledger.db", migrationsDirectory: try Migrations.locate(dialect: .sqlite, environment: [:]), now: 1,
            durability: durability)
    }

    private func openJournal(
        _ folder: TemporaryFolder, _ durability: JournalDurability, _ disk: JournalDisk = .system
    ) throws -> FileJournal {
        try FileJournal.open(
            directory: folder.path, durability: durability, limits: FileJournal.Limits(backlog: 1_000, bytes: 1 << 30), segmentBytes: 1_500,
            keep: JournalKeep(seconds: 60, bytes: 4_000), disk: disk)
    }

    /// A gateway's life, step by step: after each the power goes, and once more at every synchronization within it.
    private final class Life {
        let disk: UnsyncedDisk
        var store: SQLiteStore
        var journal: FileJournal
        var told = Told()
        var drops = 0

        init(_ disk: UnsyncedDisk, _ store: SQLiteStore, _ journal: FileJournal) {
            (self.disk, self.store, self.journal) = (disk, store, journal)
        }
    }

    private func step(_ life: Life, _ what: String, _ after: Told, _ body: (Life) async throws -> Void) async throws {
        let before = life.told
        _ = life.disk.takeMoments()
        try await body(life)
        for image in life.disk.takeMoments() {
            let found = try await recovered(image)
            // What is under way may be there or not; nothing else may be missing.
            #expect(found == before || found == after, "in the middle of \(what): \(found), not \(before) or \(after)")
            life.drops += 1
        }
        let found = try await recovered(life.disk.image)
        #expect(found == after, "after \(what): \(found), not \(after)")
        life.drops += 1
        life.told = after
    }

    @Test("audit 3: with power every acknowledged step survives the loss of all that was not synchronized, on SQLite")
    func everyStepSurvives() async throws {
        let disk = try UnsyncedDisk()
        let life = Life(disk, try await open(disk.folder), try openJournal(disk.folder, .power, disk.journal))
        let user = try await life.store.createUser(newUser("ada"))
        for round in 0..<8 {
            var told = life.told
            told.total += 1_000
            try await step(life, "recharge \(round)", told) { life in
                _ = try await life.store.post(credit(user.id, 1_000, "recharge \(round)"))
            }
            // Two requests, of which one runs on until the next round.
            let ids = [round * 2 + 1, round * 2 + 2]
            for id in ids {
                told.holds.insert(RequestID(bits: UInt128(id)))
                try await step(life, "hold \(id)", told) { try await $0.journal.hold(hold(id, user: user.id)) }
            }
            let ending = [round * 2, round * 2 + 1].filter { $0 > 0 }
            for id in ending {
                told.holds.remove(RequestID(bits: UInt128(id)))
                told.total -= Int64(id)
                try await step(life, "settlement \(id)", told) {
                    try await $0.journal.settle(record(id, user: user.id, charge: Int64(id)))
                }
            }
            try await step(life, "posting \(round)", told) { life in
                _ = try await life.store.post(try await life.journal.settled(limit: 100))
            }
            try await step(life, "clearing \(round)", told) { life in
                try await life.journal.clear(ending.map { RequestID(bits: UInt128($0)) })
            }
            if round % 3 == 2 {
                try await step(life, "restart \(round)", told) { life in
                    try await life.journal.close()
                    try await life.store.close()
                    life.store = try await open(life.disk.folder)
                    life.journal = try openJournal(life.disk.folder, .power, life.disk.journal)
                }
            }
        }
        #expect(life.drops > 100, "\(life.drops)")
        #expect(try disk.folder.journalFiles().contains { $0.hasSuffix(".kept") })
        try await life.journal.close()
        try await life.store.close()
    }

    @Test func `the disk of these tests does lose what process leaves unsynchronized`() async throws {
        let disk = try UnsyncedDisk()
        let store = try await open(disk.folder)
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 1_000, "kept"))
        try await store.close()
        let careless = try await open(disk.folder, .process)
        _ = try await careless.post(credit(user.id, 500, "lost"))
        let folder = try disk.image.folder()
        let found = try await open(folder)
        #expect(try await found.user(id: user.id)?.balance.nanos == 1_000)
        try await found.close()
        try await careless.close()
    }

    @Test("audit 3: with power a PostgreSQL server that does not write to its disk is refused, and says why")
    func serverWithoutFsync() async throws {
        let url = try PostgresServer.shared.get().makeDatabase()
        let directory = try Migrations.locate(dialect: .postgres, environment: [:])
        do {
            _ = try await PostgresStore.open(url: Secret(url), migrationsDirectory: directory, now: 1, durability: .power)
            Issue.record("a server with fsync off was taken")
        } catch StoreError.database(let text) {
            #expect(text.contains("fsync is off") && text.contains("journal.durability: process"), "\(text)")
        }
        try await PostgresStore.open(url: Secret(url), migrationsDirectory: directory, now: 1, durability: .process).close()
    }

    @Test("audit 3: with power every acknowledged step survives a crash of a PostgreSQL server that would not wait")
    func crashOfPostgres() async throws {
        // Left to itself this server answers a COMMIT up to half a minute before it writes it.
        let server = try PostgresServer(
            settings: ["fsync=on", "full_page_writes=off", "synchronous_commit=off", "wal_writer_delay=10s", "wal_writer_flush_after=0"])
        try server.start()
        defer { server.remove() }
        let url = try server.makeDatabase()
        let folder = try TemporaryFolder()
        func open() async throws -> PostgresStore {
            try await PostgresStore.open(
                url: Secret(url), migrationsDirectory: try Migrations.locate(dialect: .postgres, environment: [:]), now: 1, connections: 2,
                durability: .power)
        }
        var store = try await open()
        #expect(try await store.notes().contains { $0.contains("full_page_writes") })
        let user = try await store.createUser(newUser("ada"))
        let journal = try openJournal(folder, .power)
        var total: Int64 = 0
        func crash(_ what: String, posted: Int64) async throws {
            try await store.close()
            server.stop()
            try server.start()
            store = try await open()
            #expect(try await store.user(id: user.id)?.balance.nanos == posted, "after \(what)")
        }
        for round in 1...3 {
            _ = try await store.post(credit(user.id, 1_000, "recharge \(round)"))
            total += 1_000
            try await crash("recharge \(round)", posted: total)
            try await journal.hold(hold(round, user: user.id))
            try await journal.settle(record(round, user: user.id, charge: 10))
            let records = try await journal.settled(limit: 9)
            _ = try await store.post(records)
            total -= 10
            try await crash("posting \(round)", posted: total)
            try await journal.clear(records.map(\.requestID))
            #expect(try await store.post(try await journal.settled(limit: 9)).isEmpty)
        }
        #expect(try await store.verify().differences.isEmpty)
        try await journal.close()
        try await store.close()
    }
}
