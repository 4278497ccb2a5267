import Foundation
import GRDB
import RouterCore
import Testing

@testable import Storage

/// The journal as a SQLite file, which programs before `FileJournal` wrote.
@Suite(.timeLimit(.minutes(10)))
struct JournalImportTests {
    /// As the last of those programs made it. It is not changed any more.
    private static let schema = """
        CREATE TABLE holds (
            request_id TEXT PRIMARY KEY, user_id INTEGER NOT NULL, token_id INTEGER,
            amount_nanos INTEGER NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL,
            is_stream INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
            prompt_charge_nanos INTEGER NOT NULL, pricing_version INTEGER NOT NULL,
            client_ip TEXT NOT NULL, created_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE settlements (seq INTEGER PRIMARY KEY AUTOINCREMENT,
            request_id TEXT NOT NULL UNIQUE, user_id ANY, token_id ANY, channel_id ANY, provider ANY, model_name ANY, upstream_model ANY,
            endpoint ANY, prompt_tokens ANY, completion_tokens ANY, cached_tokens ANY, cache_write_tokens ANY, cache_write_1h_tokens ANY,
            reasoning_tokens ANY, audio_input_tokens ANY, audio_output_tokens ANY, images ANY, searches ANY, characters ANY,
            audio_milliseconds ANY, requests ANY, charge_nanos ANY, upstream_cost_nanos ANY, usage_source ANY, pricing_version ANY,
            outcome ANY, status ANY, error_code ANY, is_stream ANY, attempts ANY, attempt_list ANY, generation_id ANY, latency_ms ANY,
            first_token_ms ANY, client_ip ANY, created_at ANY) STRICT;
        CREATE TABLE progress (
            request_id TEXT PRIMARY KEY, channel_id INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
            upstream_model TEXT NOT NULL, generation_id TEXT, prompt_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL, charge_nanos INTEGER NOT NULL, pricing_version INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE identity (gateway_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
        """
    private static let gatewayID = "0b7a5f0e-3f5c-4a52-9f3e-3d1b7b0f4a11"

    /// A file with two holds, one of them with progress, and three settlements, as a kill leaves it: most of it in the `-wal` file.
    private func makeOld(_ folder: TemporaryFolder) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.prepareDatabase { db in try db.execute(sql: "PRAGMA journal_mode = WAL") }
        let database = try DatabaseQueue(path: folder.path + "/journal.db", configuration: configuration)
        try database.write { db in
            try db.execute(sql: Self.schema)
            try db.execute(sql: "INSERT INTO identity VALUES (?, 7)", arguments: [Self.gatewayID])
            for id in [30, 31] {
                let hold = hold(id)
                try db.execute(
                    sql: "INSERT INTO holds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    arguments: [
                        hold.requestID.description, hold.userID, hold.tokenID, hold.amount.nanos, hold.model, hold.endpoint.rawValue,
                        hold.isStream, hold.promptTokens, hold.promptCharge.nanos, hold.pricingVersion, hold.clientIP, hold.createdAt,
                    ])
            }
            let progress = progress(31, 9)
            try db.execute(
                sql: "INSERT INTO progress VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    progress.requestID.description, progress.channelID, progress.provider, progress.model, progress.upstreamModel,
                    progress.generationID, progress.promptTokens, progress.completionTokens, progress.charge.nanos, progress.pricingVersion,
                ])
            // Columns that have come since are there while the rows are written only.
            let later = RecordColumns.names.filter { !Self.schema.contains(" \($0) ") }
            for column in later { try db.execute(sql: "ALTER TABLE settlements ADD COLUMN \(column) ANY") }
            // Ids descend, so that order by id would show.
            for id in [9, 7, 5] {
                try db.execute(
                    sql: "INSERT INTO settlements (\(RecordColumns.list)) VALUES (\(RecordColumns.marks))",
                    arguments: Self.arguments(record(id, user: 1, charge: Int64(id))))
            }
            for column in later { try db.execute(sql: "ALTER TABLE settlements DROP COLUMN \(column)") }
        }
        return database
    }

    private static func arguments(_ record: RequestRecord) -> StatementArguments {
        StatementArguments(
            RecordColumns.values(record).map { value -> (any DatabaseValueConvertible)? in
                switch value {
                case .null: nil
                case .integer(let number): number
                case .text(let text): text
                case .bytes(let bytes): Data(bytes)
                }
            })
    }

    /// Without the fields that such a journal did not have.
    private static func old(_ record: RequestRecord) -> RequestRecord {
        var record = record
        (record.uncharged, record.ceiling, record.ratio, record.droppedFields) = (.zero, nil, nil, [])
        (record.answerID, record.finish, record.vendorCost) = (nil, nil, nil)
        // The tokens of pictures were prompt tokens like others.
        record.usage.uncachedInput += record.usage.imageInput
        record.usage.imageInput = 0
        return record
    }

    private static func old(_ hold: HoldRecord) -> HoldRecord {
        var hold = hold
        (hold.ratio, hold.ceiling) = (nil, nil)
        return hold
    }

    private func expectImported(_ journal: FileJournal) async throws {
        #expect(try await journal.orphans().map(\.hold) == [Self.old(hold(30)), Self.old(hold(31))])
        var progress = progress(31, 9)
        progress.cost = nil
        #expect(try await journal.orphans().map(\.progress) == [nil, progress])
        #expect(try await journal.settled(limit: 9) == [9, 7, 5].map { Self.old(record($0, user: 1, charge: Int64($0))) })
    }

    @Test(arguments: [JournalDurability.process, .power])
    func `is taken over once and kept`(_ durability: JournalDurability) async throws {
        let folder = try TemporaryFolder()
        let old = try makeOld(folder)
        // A copy while it is open: what a kill leaves.
        let killed = try folder.copy()
        try old.close()
        for folder in [folder, killed] {
            let journal = try openJournal(folder, durability)
            #expect(journal.identity == (Self.gatewayID, 8))
            #expect(journal.notes.count == 1)
            try await expectImported(journal)
            try await journal.settle(record(3, user: 1, charge: 3))
            try await journal.clear([9, 7, 5].map { RequestID(bits: $0) })
            try await journal.close()
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == [
                    "journal-00000001.log", "journal.db.imported", "journal.id", "journal.lock",
                ])
            let again = try openJournal(folder, durability)
            #expect(again.identity == (Self.gatewayID, 9))
            #expect(again.notes.isEmpty)
            #expect(try await again.settled(limit: 9) == [record(3, user: 1, charge: 3)])
            try await again.close()
        }
    }

    @Test func `a stop in the middle of it, at any place, takes over the same`() async throws {
        let folder = try TemporaryFolder()
        try makeOld(folder).close()
        let whole = try folder.copy()
        try await openJournal(whole).close()
        let log = whole.path + "/journal-00000001.log"
        let size = try fileSize(log)
        for length in stride(from: 0, through: size, by: 13) {
            let killed = try folder.copy()
            for name in ["journal.id", "journal-00000001.log"] {
                try FileManager.default.copyItem(atPath: whole.path + "/" + name, toPath: killed.path + "/" + name)
            }
            try cut(killed.path + "/journal-00000001.log", to: length)
            let journal = try openJournal(killed)
            #expect(journal.identity == (Self.gatewayID, 9))
            try await expectImported(journal)
            try await journal.close()
        }
    }

    @Test func `one of an older program lacks columns, one that was never used lacks everything`() async throws {
        let folder = try TemporaryFolder()
        let old = try makeOld(folder)
        try await old.write { db in
            for column in ["generation_id", "characters", "audio_milliseconds", "attempt_list"] {
                try db.execute(sql: "ALTER TABLE settlements DROP COLUMN \(column)")
            }
        }
        try old.close()
        let journal = try openJournal(folder)
        var expected = Self.old(record(9, user: 1, charge: 9))
        (expected.generationID, expected.attemptList) = (nil, [])
        (expected.usage.characters, expected.usage.audioMilliseconds) = (0, 0)
        #expect(try await journal.settled(limit: 1) == [expected])
        try await journal.close()

        let empty = try TemporaryFolder()
        try Data().write(to: URL(fileURLWithPath: empty.path + "/journal.db"))
        let fresh = try openJournal(empty)
        #expect(fresh.identity.epoch == 1)
        try await fresh.close()
    }

    @Test func `one that cannot be read is told and stays`() async throws {
        let folder = try TemporaryFolder()
        let old = try makeOld(folder)
        try await old.write { db in try db.execute(sql: "UPDATE settlements SET endpoint = 'telepathy'") }
        try old.close()
        #expect(throws: StoreError.self) { try openJournal(folder) }
        try Data("no database at all, but long enough to be looked at as one".utf8).write(
            to: URL(fileURLWithPath: folder.path + "/journal.db"))
        #expect(throws: StoreError.self) { try openJournal(folder) }
        #expect(FileManager.default.fileExists(atPath: folder.path + "/journal.db"))
    }
}
