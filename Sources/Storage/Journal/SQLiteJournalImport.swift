import Foundation
import GRDB
import RouterCore

/// The journal as a SQLite file (`journal.db`), the format before `FileJournal`: read once and set aside.
struct SQLiteJournalImport {
    let path: String
    private let database: DatabaseQueue

    /// - Returns: nil when there is no such file.
    static func find(_ directory: String) throws -> SQLiteJournalImport? {
        let path = directory + "/journal.db"
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        return try mapped { SQLiteJournalImport(path: path, database: try DatabaseQueue(path: path)) }
    }

    private static func mapped<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let error as DatabaseError { throw SQLFailure(sqlite: error).stored }
    }

    private func read<Value>(_ body: (Database) throws -> Value) throws -> Value { try Self.mapped { try database.read(body) } }

    /// Returns nil for a file that its program was stopped before writing to.
    func identity() throws -> JournalIdentity? {
        try read { db in
            guard try db.tableExists("identity"), let row = try Row.fetchOne(db, sql: "SELECT gateway_id, epoch FROM identity")
            else { return nil }
            return JournalIdentity(gatewayID: row["gateway_id"], epoch: row["epoch"])
        }
    }

    /// Visits all records, settlements in their order.
    /// - Returns: the number of records.
    func forEach(
        hold: (HoldRecord) throws -> Void, progress: (ProgressRecord) throws -> Void, settlement: (RequestRecord) throws -> Void
    ) throws -> Int {
        try read { db in
            var count = 0
            if try db.tableExists("settlements") {
                let rows = try Row.fetchCursor(db, sql: "SELECT * FROM settlements ORDER BY seq")
                while let row = try rows.next() {
                    try settlement(try RecordColumns.record(row))
                    count += 1
                }
            }
            if try db.tableExists("holds") {
                let rows = try Row.fetchCursor(db, sql: "SELECT * FROM holds ORDER BY created_at, request_id")
                while let row = try rows.next() {
                    try hold(try Self.hold(row))
                    count += 1
                }
            }
            if try db.tableExists("progress") {
                let rows = try Row.fetchCursor(db, sql: "SELECT * FROM progress")
                while let row = try rows.next() { try progress(try Self.progress(row)) }
            }
            return count
        }
    }

    /// Renames the file so that it is not read again.
    func setAside() throws {
        try Self.mapped { try database.close() }
        var target = path + ".imported"
        var number = 1
        while FileManager.default.fileExists(atPath: target) {
            number += 1
            target = path + ".imported.\(number)"
        }
        try JournalFile.move(path, to: target)
    }

    private static func id(_ row: Row) throws -> RequestID {
        guard let id = RequestID(try row.text("request_id")) else { throw StoreError.database("a record has an unknown id") }
        return id
    }

    private static func hold(_ row: Row) throws -> HoldRecord {
        guard let endpoint = Endpoint(rawValue: try row.text("endpoint")) else {
            throw StoreError.database("a hold has an unknown endpoint")
        }
        return HoldRecord(
            requestID: try id(row), userID: try row.int("user_id"), tokenID: try row.intOrNil("token_id"),
            amount: NanoUSD(nanos: try row.int("amount_nanos")), model: try row.text("model"), endpoint: endpoint,
            isStream: try row.flag("is_stream"), promptTokens: try row.int("prompt_tokens"),
            promptCharge: NanoUSD(nanos: try row.int("prompt_charge_nanos")), pricingVersion: try row.int("pricing_version"),
            clientIP: try row.text("client_ip"), createdAt: try row.int("created_at"))
    }

    private static func progress(_ row: Row) throws -> ProgressRecord {
        ProgressRecord(
            requestID: try id(row), channelID: try row.int("channel_id"), provider: try row.text("provider"), model: try row.text("model"),
            upstreamModel: try row.text("upstream_model"), generationID: try row.textOrNil("generation_id"),
            promptTokens: try row.int("prompt_tokens"), completionTokens: try row.int("completion_tokens"),
            charge: NanoUSD(nanos: try row.int("charge_nanos")), pricingVersion: try row.int("pricing_version"))
    }
}
