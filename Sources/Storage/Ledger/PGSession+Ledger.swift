import NIOCore
import RouterCore

/// A few statements for any number of rows, which travel as one parameter: each statement is a round trip to the server, while users are
/// locked.
extension PGSession: LedgerSession {
    /// Four statements: users locked in the order of their ids, log rows, ledger rows, balances.
    func insert(_ records: [RequestRecord], _ group: inout PostingGroup) throws {
        var balances: [Int64: NanoUSD] = [:]
        let users = try rows(
            "SELECT id, balance_nanos, gift_nanos FROM users WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE",
            [Self.idArray(records.map(\.payer))]
        )
        for row in users { balances[try row.int("id")] = NanoUSD(nanos: try row.int("balance_nanos")) }
        var gifts = GiftPurses()
        try gifts.open(try users.filter { try $0.int("gift_nanos") > 0 }.map { try $0.int("id") }, self)
        let logged = try rows(Self.logInsert, [Self.array(records.map { RecordColumns.json($0) })])
        var new: [String: Int64] = [:]
        for row in logged { new[try row.text("request_id")] = try row.int("id") }
        var entries: [String] = []
        var moved: Set<Int64> = []
        for record in records {
            // The log row and the ledger row are born in one transaction: where the one is, the other is too.
            guard let id = new.removeValue(forKey: record.requestID.description) else { continue }
            group.log(record, id: id)
            guard let charge = record.charge else {
                group.result.added += 1
                continue
            }
            let payer = record.payer
            guard let before = balances[payer] else {
                try setAside(record, Self.unknownUser, &group)
                continue
            }
            let after = try before.subtracting(charge)
            balances[payer] = after
            moved.insert(payer)
            entries.append(Self.entry(record, try charge.negated(), after, gifts.pay(charge, of: payer, at: record.createdAt)))
            try group.add(record, charge)
        }
        guard !entries.isEmpty else { return }
        let posted = try rows(
            """
            INSERT INTO balance_transactions
                (user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at, account_id, gift_nanos)
            SELECT user_id, amount, after, 'usage', reference, description, created_at, account_id, gift
            FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (user_id bigint, amount bigint, after bigint, reference text,
                description text, created_at bigint, account_id bigint, gift bigint)) WITH ORDINALITY
                AS r(user_id, amount, after, reference, description, created_at, account_id, gift, n)
            ORDER BY n RETURNING id, created_at
            """, [Self.array(entries)])
        for row in posted { group.ranges.add(.entry, id: try row.int("id"), createdAt: try row.int("created_at")) }
        let balancesNow = moved.sorted().map { "{\"id\":\($0),\"after\":\(balances[$0]?.nanos ?? 0)}" }
        try execute(
            "UPDATE users SET balance_nanos = r.after FROM jsonb_to_recordset($1::jsonb) AS r(id bigint, after bigint) WHERE users.id = r.id",
            [Self.array(balancesNow)])
        try gifts.write(self)
    }

    /// Columns of `logs` with their types, from one JSON parameter.
    private static let logInsert: String = {
        let types: [String: String] = [
            "request_id": "text", "provider": "text", "model_name": "text", "upstream_model": "text", "endpoint": "text",
            "usage_source": "text", "outcome": "text", "error_code": "text", "attempt_list": "text", "generation_id": "text",
            "dropped_fields": "text",
            "answer_id": "text", "finish_reason": "text", "vendor_cost_source": "text",
            "client_ip": "text", "service_tier": "text", "is_stream": "boolean", "status": "integer", "attempts": "integer",
        ]
        let columns = RecordColumns.names.map { "\($0) \(types[$0] ?? "bigint")" }.joined(separator: ", ")
        return """
            INSERT INTO logs (\(RecordColumns.list))
            SELECT \(RecordColumns.list) FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (\(columns))) WITH ORDINALITY
                AS r(\(RecordColumns.list), n) ORDER BY n
            ON CONFLICT (request_id) DO NOTHING RETURNING request_id, id
            """
    }()

    private static func array(_ objects: [String]) -> String { "[" + objects.joined(separator: ",") + "]" }

    private static func entry(_ record: RequestRecord, _ amount: NanoUSD, _ after: NanoUSD, _ gift: NanoUSD?) -> String {
        var members: [JSONValue.Member] = [
            .init("user_id", .integer(record.userID)), .init("amount", .integer(amount.nanos)), .init("after", .integer(after.nanos)),
            .init("reference", .string(record.requestID.description)), .init("description", .string(record.ledgerDescription)),
            .init("created_at", .integer(record.createdAt)),
        ]
        if let account = record.accountID { members.append(.init("account_id", .integer(account))) }
        if let gift { members.append(.init("gift", .integer(gift.nanos))) }
        return JSONValue.object(members).text
    }

    func addSpending(_ records: [RequestRecord]) throws {
        let deltas = SpendingDelta.sum(records).map { counter, amount in
            "{\"s\":\"\(counter.scope)\",\"w\":\(counter.window),\"n\":\(amount.nanos)}"
        }
        guard !deltas.isEmpty else { return }
        // In the order of the key, as every other posting does, so that two of them cannot wait for each other.
        try execute(
            """
            INSERT INTO budget_usage (subject, "window", spent_nanos)
            SELECT s, w, n FROM jsonb_to_recordset($1::jsonb) AS r(s text, w bigint, n bigint) ORDER BY s, w
            ON CONFLICT (subject, "window") DO UPDATE SET
                spent_nanos = least(budget_usage.spent_nanos, 9223372036854775807 - excluded.spent_nanos) + excluded.spent_nanos
            """, ["[" + deltas.joined(separator: ",") + "]"])
    }

    func add(_ rows: [(key: UsageRowKey, value: UsageSums)], to table: UsageTable) throws {
        let texts: Set = ["provider", "model_name"]
        let types = table.columns.map { "\($0) \(texts.contains($0) ? "text" : "bigint")" }.joined(separator: ", ")
        let values = table.keys + UsageSums.figureColumns.map { "coalesce(\($0), 0)" } + UsageSums.classColumns
        try execute(
            """
            INSERT INTO \(table.name) (\(table.columns.joined(separator: ", ")))
            SELECT \(values.joined(separator: ", ")) FROM jsonb_to_recordset($1::jsonb) AS r(\(types))
            ORDER BY \(table.keys.joined(separator: ", ")) \(table.addition)
            """, [Self.array(rows.map { Self.usage(table, $0.key, $0.value) })])
    }

    /// Without what is zero.
    private static func usage(_ table: UsageTable, _ key: UsageRowKey, _ sums: UsageSums) -> String {
        let keys = zip(table.keys, key.numbers.map { JSONValue.integer($0) } + key.texts.map { .string($0) })
        let figures = zip(UsageSums.figureColumns, sums.figures).filter { $0.1 != 0 }.map { ($0.0, JSONValue.integer($0.1)) }
        let classes = zip(UsageSums.classColumns, sums.classes).compactMap { name, count in count.map { (name, JSONValue.integer($0)) } }
        return JSONValue.object((keys + figures + classes).map { JSONValue.Member($0.0, $0.1) }).text
    }

    func spending(_ counters: [BudgetCounter]) throws -> [BudgetCounter: NanoUSD] {
        let subjects = Set(counters.map(\.scope.description)).sorted()
        let rows = try rows(
            """
            SELECT subject, "window", spent_nanos FROM budget_usage
            WHERE subject = ANY($1::text[]) AND "window" = ANY($2::bigint[])
            """, ["{" + subjects.joined(separator: ",") + "}", Self.idArray(counters.map(\.window))])
        let asked = Set(counters)
        var found: [BudgetCounter: NanoUSD] = [:]
        for row in rows {
            guard let counter = BudgetCounter(subject: try row.text("subject"), window: try row.int("window")), asked.contains(counter)
            else { continue }
            found[counter] = NanoUSD(nanos: try row.int("spent_nanos"))
        }
        return found
    }

    /// The users are locked.
    func spendLeases(_ charges: [Int64: NanoUSD], _ holder: LeaseHolder) throws {
        let rows = try rows(
            "SELECT user_id, amount_nanos FROM balance_leases WHERE incarnation = $1 AND user_id = ANY($2::bigint[])",
            [holder.incarnation, Self.idArray(charges.keys)])
        var left: [String] = []
        var uncovered = charges
        for row in rows {
            let user = try row.int("user_id")
            let lease = NanoUSD(nanos: try row.int("amount_nanos"))
            let charge = charges[user] ?? .zero
            left.append("{\"id\":\(user),\"after\":\(LeaseDesk.lease(lease, afterPosting: charge).nanos)}")
            if charge <= lease { uncovered[user] = nil }
        }
        if !left.isEmpty {
            try execute(
                """
                UPDATE balance_leases SET amount_nanos = r.after FROM jsonb_to_recordset($1::jsonb) AS r(id bigint, after bigint)
                WHERE user_id = r.id AND incarnation = $2
                """, ["[" + left.joined(separator: ",") + "]", holder.incarnation])
        }
        try recallOverdrawn(uncovered.keys.sorted(), holder)
    }

    /// A charge that came late has taken money that may be leased to others by now: they give back what is not in use.
    private func recallOverdrawn(_ users: [Int64], _ holder: LeaseHolder) throws {
        guard !users.isEmpty else { return }
        try execute(
            """
            SELECT announce('recall', u.id || ' ' || $2) FROM users u WHERE u.id = ANY($1::bigint[]) AND u.balance_nanos <
                (SELECT coalesce(sum(l.amount_nanos), 0) FROM balance_leases l WHERE l.user_id = u.id AND l.amount_nanos > 0)
            """, [Self.idArray(users), holder.incarnation])
    }

    func leaseStates(_ users: Set<Int64>, _ holder: LeaseHolder) throws -> [Int64: LeaseState] {
        let rows = try rows(
            """
            SELECT u.id AS id, u.balance_nanos AS balance, coalesce(l.amount_nanos, 0) AS lease
            FROM users u LEFT JOIN balance_leases l ON l.user_id = u.id AND l.incarnation = $2 WHERE u.id = ANY($1::bigint[])
            """, [Self.idArray(users), holder.incarnation])
        var states: [Int64: LeaseState] = [:]
        for row in rows { states[try row.int("id")] = try Decoding.lease(row) }
        return states
    }

    /// The text of an array, as a parameter.
    static func idArray(_ ids: some Sequence<Int64>) -> String {
        "{" + Set(ids).sorted().map(String.init).joined(separator: ",") + "}"
    }

    func beat(_ holder: LeaseHolder, now: Int64) throws -> Bool { try beat(holder) }

    /// By the database's own clock, on which all gateways agree.
    func beat(_ holder: LeaseHolder) throws -> Bool {
        try execute(
            "UPDATE gateways SET beats = beats + 1, seen_at = \(PostgresStore.clock) WHERE incarnation = ?1 AND NOT is_fenced",
            [holder.incarnation]) == 1
    }

    /// The database recomputes every running balance; only what differs is fetched.
    func verifySums(_ report: inout LedgerReport) throws {
        report.entries = try rows("SELECT count(*) AS n FROM balance_transactions").first?.int("n") ?? 0
        report.users = try rows("SELECT count(*) AS n FROM users").first?.int("n") ?? 0
        let entries = try rows(
            """
            SELECT id, payer, balance_after_nanos, running::text AS running FROM (
                SELECT id, coalesce(account_id, user_id) AS payer, balance_after_nanos,
                    sum(amount_nanos) OVER (PARTITION BY coalesce(account_id, user_id) ORDER BY id) AS running
                FROM balance_transactions) AS rows
            WHERE running <> balance_after_nanos ORDER BY id LIMIT 1000
            """)
        for row in entries {
            report.addEntry(
                try row.int("id"), user: try row.int("payer"), after: NanoUSD(nanos: try row.int("balance_after_nanos")),
                sum: NanoUSD(nanos: Int64(try row.text("running")) ?? .max))
        }
        let users = try rows(
            """
            SELECT id, balance_nanos, quota, coalesce(sum, 0)::text AS total FROM users
            LEFT JOIN (SELECT coalesce(account_id, user_id) AS payer, sum(amount_nanos) AS sum FROM balance_transactions GROUP BY 1) AS sums
                ON payer = users.id
            WHERE coalesce(sum, 0) <> balance_nanos OR quota <> floor(balance_nanos / 10000000.0) ORDER BY id LIMIT 1000
            """)
        for row in users {
            report.addUser(
                try row.int("id"), balance: NanoUSD(nanos: try row.int("balance_nanos")),
                sum: NanoUSD(nanos: Int64(try row.text("total")) ?? .max), quota: try row.int("quota"))
        }
    }
}
