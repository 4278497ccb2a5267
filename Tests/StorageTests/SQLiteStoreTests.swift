import Foundation
import GRDB
import RouterCore
import Testing

@testable import Storage

@Suite(.timeLimit(.minutes(10)))
struct SQLiteStoreTests {
    @Test(arguments: ["balance_transactions", "model_pricing_history", "audit_log"], ["UPDATE", "DELETE"])
    func `the database refuses to rewrite the books`(_ table: String, _ verb: String) async throws {
        let folder = try TemporaryFolder()
        let store = try await openStore(folder)
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 5, "r1"))
        _ = try await store.setPrice(PricingRow(modelName: "m", price: .free), now: 1)
        try await store.audit(.some)
        let sql = verb == "UPDATE" ? "UPDATE \(table) SET created_at = 0" : "DELETE FROM \(table)"
        let error = await #expect(throws: DatabaseError.self) {
            try await rawLedger(folder).write { db in try db.execute(sql: sql) }
        }
        #expect(error?.message == "\(table) is append-only")
    }

    @Test func `a user with ledger rows cannot be deleted behind our back`() async throws {
        let folder = try TemporaryFolder()
        let store = try await openStore(folder)
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 5, "r1"))
        await #expect(throws: DatabaseError.self) {
            try await rawLedger(folder).write { db in try db.execute(sql: "DELETE FROM users") }
        }
    }

    /// A check with a list of values would open one for every row.
    @Test(arguments: [SQLiteSession.logInsert, SQLiteSession.entryInsert])
    func `rows of the books are inserted without a temporary table`(_ sql: String) async throws {
        let folder = try TemporaryFolder()
        _ = try await openStore(folder)
        let steps = try await rawLedger(folder).read { db in
            try Row.fetchAll(db, sql: "EXPLAIN " + sql.replacing("?", with: "1")).map { $0["opcode"] as String }
        }
        #expect(steps.contains("Insert") && !steps.contains("OpenEphemeral"))
    }

    @Test func `the books take known words only`() async throws {
        let folder = try TemporaryFolder()
        let store = try await openStore(folder)
        let user = try await store.createUser(newUser("ada"))
        let error = await #expect(throws: DatabaseError.self) {
            try await rawLedger(folder).write { db in
                try db.execute(
                    sql:
                        "INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, created_at) VALUES (?, 1, 1, 'gift', 'g', 0)",
                    arguments: [user.id])
            }
        }
        #expect(error?.resultCode == .SQLITE_CONSTRAINT)
    }

    static let cents: [(Int64, Int64)] = [
        (-1, -1), (0, 0), (9_999_999, 0), (10_000_000, 1), (-10_000_000, -1), (-10_000_001, -2),
    ]

    @Test(arguments: cents)
    func `quota is whole cents towards minus infinity`(_ nanos: Int64, _ cents: Int64) async throws {
        let folder = try TemporaryFolder()
        let store = try await openStore(folder)
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, nanos, "r1", .adjustment))
        let quota = try await rawLedger(folder).read { db in try Int64.fetchOne(db, sql: "SELECT quota FROM users") }
        #expect(quota == cents)
        #expect(try await store.verify().differences == [])
    }

    @Test func `generated columns show dollars`() async throws {
        let folder = try TemporaryFolder()
        let store = try await openStore(folder)
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 12_500_000_000, "r1"))
        _ = try await store.post([record(1, user: user.id, charge: 250_000_000)])
        try await rawLedger(folder).read { db in
            let rows = try Row.fetchAll(db, sql: "SELECT amount, balance_after FROM balance_transactions ORDER BY id")
            #expect(rows.map { $0["amount"] as Double } == [12.5, -0.25])
            #expect(rows.map { $0["balance_after"] as Double } == [12.5, 12.25])
            #expect(try Double.fetchOne(db, sql: "SELECT cost FROM logs") == 0.25)
            #expect(try Int64.fetchOne(db, sql: "SELECT cost_nanos FROM logs") == 250_000_000)
        }
    }

    @Test func `a reopened file has everything`() async throws {
        let folder = try TemporaryFolder()
        let first = try await openStore(folder)
        let user = try await first.createUser(newUser("ada"))
        _ = try await first.post([record(1, user: user.id, charge: 9)])
        try await first.close()
        let second = try await openStore(folder)
        #expect(try await second.user(id: user.id)?.balance == NanoUSD(nanos: -9))
        #expect(try await second.logs(LogQuery()).items.map(\.record) == [record(1, user: user.id, charge: 9)])
        #expect(try await second.post([record(1, user: user.id, charge: 9)]) == [:])
    }

    @Test func `what cannot be posted is kept whole in poison_records with its reason`() async throws {
        let folder = try TemporaryFolder()
        let store = try await openStore(folder)
        let user = try await store.createUser(newUser("ada"))
        // A usage row of a hand-written posting stands where the request's own row would go.
        let taken = record(2, user: user.id, charge: 20)
        _ = try await store.post(credit(user.id, -1, taken.requestID.description, .usage))
        let posted = try await store.post([
            record(1, user: user.id, charge: 10), taken, record(3, user: 999, charge: 30),
            record(4, user: user.id, charge: 40),
        ])
        #expect(posted == [user.id: NanoUSD(nanos: 50)])
        let rows = try await rawLedger(folder).read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT reason, record->>'charge_nanos' AS charge, record->>'generation_id' AS generation
                    FROM poison_records ORDER BY request_id
                    """
            ).map { row -> (reason: String, charge: Int64, generation: String) in
                (row["reason"], row["charge"], row["generation"])
            }
        }
        #expect(rows.map(\.charge) == [20, 30])
        #expect(rows.map(\.generation) == ["gen-1", "gen-1"])
        #expect(rows.first?.reason.contains("UNIQUE") == true && rows.last?.reason == "the user does not exist")
        let read = try await store.poisonRecords(limit: 10)
        #expect(Set(read.map(\.requestID)) == Set([taken.requestID.description, RequestID(bits: 3).description]) && read[0].createdAt > 0)
        #expect(try await store.poisonRecords(limit: 1).count == 1)
    }

    @Test func `a fault of the database sets nothing aside, and the same group is posted afterwards`() async throws {
        let folder = try TemporaryFolder()
        let store = try await openStore(folder)
        let user = try await store.createUser(newUser("ada"))
        let raw = try rawLedger(folder)
        try await raw.write { db in try db.execute(sql: "ALTER TABLE logs RENAME TO logs_away") }
        let group = [record(1, user: user.id, charge: 10), record(2, user: user.id, charge: 20)]
        await #expect(throws: StoreError.self) { try await store.post(group) }
        let poisoned = try await raw.read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM poison_records") }
        #expect(poisoned == 0)
        try await raw.write { db in try db.execute(sql: "ALTER TABLE logs_away RENAME TO logs") }
        #expect(try await store.post(group) == [user.id: NanoUSD(nanos: 30)])
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: [
        ("UPDATE users SET balance_nanos = balance_nanos + 1", "balance is"),
        ("UPDATE balance_transactions SET balance_after_nanos = 7 WHERE type = 'usage'", "balance_after is"),
        ("UPDATE balance_transactions SET amount_nanos = -11 WHERE type = 'usage'", "the log has"),
        ("DELETE FROM logs", "the log has nothing"),
        ("DELETE FROM balance_transactions WHERE type = 'usage'", "not in the ledger"),
        ("UPDATE logs SET pricing_version = 12345", "price version"),
        ("UPDATE usage_by_key SET requests = requests + 1", "sums of the log"),
        ("DELETE FROM logs", "sums of the log"),
        ("UPDATE usage_by_channel SET charge_nanos = 11 WHERE span = 900", "sums of quarter hours"),
        ("UPDATE usage_by_channel SET charge_nanos = 11 WHERE span = 3600", "sums of hours"),
        ("DELETE FROM usage_by_channel WHERE span = 86400", "sums of days"),
        ("UPDATE usage_by_user SET requests = 0 WHERE span = 3600", "sums of users' hours"),
        ("UPDATE usage_by_user SET requests = 0 WHERE span = 86400", "sums of users' days"),
    ])
    func `verify finds what was tampered with`(_ sql: String, _ finding: String) async throws {
        let folder = try TemporaryFolder()
        let store = try await openStore(folder)
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 1000, "r1"))
        _ = try await store.post([record(1, user: user.id, charge: 10)])
        #expect(try await store.verify().differences == [])
        try await rawLedger(folder).write { db in
            for verb in ["update", "delete"] { try db.execute(sql: "DROP TRIGGER balance_transactions_no_\(verb)") }
            try db.execute(sql: sql)
        }
        let report = try await store.verify()
        #expect(report.differences.contains { $0.contains(finding) }, "\(report.differences)")
    }

    @Test func `every version of a price stays in the history`() async throws {
        let folder = try TemporaryFolder()
        let store = try await openStore(folder)
        let first = try await store.setPrice(PricingRow(modelName: "m", price: .free), now: 1)
        let second = try await store.setPrice(PricingRow(modelName: "m", price: .upstreamCost), now: 2)
        let versions = try await rawLedger(folder).read { db in
            try Int64.fetchAll(db, sql: "SELECT version FROM model_pricing_history ORDER BY version")
        }
        #expect(versions == [first.version, second.version] && first.id == second.id)
    }

    @Test func `pages of one user's logs use the index`() async throws {
        let folder = try TemporaryFolder()
        _ = try await openStore(folder)
        let plan = try await rawLedger(folder).read { db in
            try Row.fetchAll(
                db,
                sql: """
                    EXPLAIN QUERY PLAN SELECT * FROM logs WHERE TRUE AND user_id = ?
                    ORDER BY id DESC LIMIT ? OFFSET ?
                    """,
                arguments: [1, 20, 0]
            ).map { $0["detail"] as String }.joined()
        }
        #expect(plan.contains("logs_by_user"), "\(plan)")
    }
}
