import Foundation
import RouterCore
import Testing

@testable import Storage

/// Files of the journal that are kept for a time, and what a restored ledger gets out of them.
@Suite(.timeLimit(.minutes(10)))
struct LedgerReplayTests {
    /// A journal in small files, everything in it settled and cleared, but for the last request, which still runs.
    private func life(_ folder: TemporaryFolder, requests: Range<Int>, user: Int64, credits: [LedgerEntry] = []) async throws {
        let journal = try openJournal(folder, segmentBytes: 2_000, keep: JournalKeep(seconds: 60, bytes: 1 << 20))
        for credit in credits { try await journal.note(credit) }
        for id in requests {
            try await journal.hold(hold(id, user: user))
            try await journal.settle(record(id, user: user, charge: Int64(id)))
            try await journal.clear([RequestID(bits: UInt128(id))])
        }
        try await journal.hold(hold(9_999, user: user))
        try await journal.close()
    }

    private func entry(_ user: Int64, _ nanos: Int64, _ reference: String) -> LedgerEntry {
        LedgerEntry(
            id: 1, userID: user, amount: NanoUSD(nanos: nanos), balanceAfter: NanoUSD(nanos: nanos), kind: .recharge,
            referenceID: reference,
            description: "paid by card", createdAt: 250)
    }

    @Test("audit 8: a restored ledger gets what it lacks, exactly once, and hears of credits that it lacks", arguments: StoreFactory.all)
    func restored(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 10_000, "before"))
        let folder = try TemporaryFolder()
        try await life(folder, requests: 1..<101, user: user.id, credits: [entry(user.id, 10_000, "before"), entry(user.id, 777, "after")])
        #expect(try folder.journalFiles().filter { $0.hasSuffix(".kept") }.count > 5)
        // The backup is of after the fortieth request.
        _ = try await store.post((1..<41).map { record($0, user: user.id, charge: Int64($0)) })
        for run in 0..<2 {
            let report = try await LedgerReplay.run(folder: folder.path, into: store)
            #expect(report.read == 100 && report.posted == (run == 0 ? 60 : 0) && report.alreadyThere == (run == 0 ? 40 : 100))
            #expect(report.charged.nanos == (run == 0 ? (41...100).reduce(0, +) : 0))
            #expect(report.setAside.isEmpty && report.notes.isEmpty && report.withoutVersion == 0)
            #expect(report.missingCredits == [entry(user.id, 777, "after")])
            #expect(report.running == 1 && report.leavesWork)
            #expect(try await store.user(id: user.id)?.balance.nanos == 10_000 - (1...100).reduce(0, +))
        }
        #expect(try await store.verify().differences == [])
        try await store.close()
    }

    @Test("audit 8: what a restored ledger must not be given is set aside and said", arguments: StoreFactory.all)
    func strangers(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        // The id was given again after the restore.
        let young = try await store.createUser(NewUser(username: "eve", passwordHash: "h", createdAt: 5_000))
        let folder = try TemporaryFolder()
        let journal = try openJournal(folder)
        var priced = record(1, user: user.id, charge: 5)
        priced.pricingVersion = 77
        for record in [
            priced, record(2, user: young.id, charge: 6), record(3, user: 4_711, charge: 7), record(4, user: user.id, charge: nil),
        ] {
            try await journal.settle(record)
        }
        try await journal.close()
        let report = try await LedgerReplay.run(folder: folder.path, into: store)
        #expect(report.read == 4 && report.posted == 2 && report.withoutVersion == 1 && report.alreadyThere == 0)
        #expect(
            report.setAside.map(\.reason)
                == ["the user does not exist", "user \(young.id) of this ledger is younger than the request"].sorted { $0.count > $1.count }
        )
        #expect(try await store.user(id: user.id)?.balance.nanos == -5)
        #expect(try await store.user(id: young.id)?.balance == .zero)
        #expect(try await store.verify().differences == [])
        try await store.close()
    }

    @Test func `what cannot be read is counted, and a folder in use or without files is refused`() async throws {
        let store = try await StoreFactory.sqlite.open()
        let user = try await store.createUser(newUser("ada"))
        let folder = try TemporaryFolder()
        do {
            _ = try await LedgerReplay.run(folder: folder.path, into: store)
            Issue.record("an empty folder was taken")
        } catch StoreError.database(let text) { #expect(text.contains("no journal files"), "\(text)") }
        try await life(folder, requests: 1..<31, user: user.id)
        let kept = try #require(try folder.journalFiles().first { $0.hasSuffix(".kept") })
        try changeByte(folder.path + "/" + kept, at: 200)
        let report = try await LedgerReplay.run(folder: folder.path, into: store)
        #expect(report.read == 29 || report.read == 30, "\(report.read)")
        #expect(report.notes.count == 1 && report.notes[0].hasPrefix(kept), "\(report.notes)")
        let journal = try openJournal(folder)
        do {
            _ = try await LedgerReplay.run(folder: folder.path, into: store)
            Issue.record("a folder in use was taken")
        } catch StoreError.database(let text) { #expect(text.contains("stop it first"), "\(text)") }
        try await journal.close()
        try await store.close()
    }

    // MARK: Keeping

    @Test func `cleared files are kept for their time and size, and do not count as the journal's`() async throws {
        let folder = try TemporaryFolder()
        let time = TestTime(1_000)
        func open() throws -> FileJournal {
            try openJournal(folder, segmentBytes: 2_000, keep: JournalKeep(seconds: 100, bytes: 9_000), now: { time.now })
        }
        func use(_ journal: FileJournal, _ ids: Range<Int>) async throws {
            for id in ids {
                try await journal.settle(record(id, user: 1, charge: 1))
                try await journal.clear([RequestID(bits: UInt128(id))])
            }
            // Files are given up behind the caller's back; what is read comes after that.
            _ = try await journal.settled(limit: 1)
        }
        func kept() throws -> [String] { try folder.journalFiles().filter { $0.hasSuffix(".kept") } }
        var journal = try open()
        try await use(journal, 0..<80)
        let first = try kept()
        #expect((3...4).contains(first.count), "\(first)")
        #expect(try first.reduce(0) { $0 + (try fileSize(folder.path + "/" + $1)) } <= 9_000)
        #expect(journal.size < 5_000)
        try await journal.close()
        // Not younger by a restart, and no number is given twice.
        time.now = 1_050
        journal = try open()
        #expect(try kept() == first)
        time.now = 1_101
        try await use(journal, 80..<81)
        // Where the file that is written to is full just now, it is a kept one, and a young one.
        #expect(try Set(kept()).isDisjoint(with: first))
        try await journal.close()
        let without = try openJournal(folder, segmentBytes: 2_000)
        try await use(without, 81..<120)
        try await without.close()
        #expect(try kept().isEmpty)
    }

    @Test func `room is made from the oldest kept file on`() throws {
        let folder = try TemporaryFolder()
        for name in ["journal-00000002.kept", "journal-00000007.kept", "journal-00000003.2.kept"] {
            try Data("x".utf8).write(to: URL(fileURLWithPath: folder.path + "/" + name))
        }
        let kept = try KeptSegments(folder.path, JournalKeep(seconds: .max / 2, bytes: 100), now: { 0 })
        #expect(kept.lastNumber == 7 && kept.bytes == 3)
        for left in [["journal-00000003.2.kept", "journal-00000007.kept"], ["journal-00000007.kept"], []] {
            #expect(kept.makeRoom())
            #expect(try folder.journalFiles() == left)
        }
        #expect(!kept.makeRoom())
    }
}
