import NIOCore
public import RouterCore

extension PostgresStore {
    public func post(_ records: [RequestRecord], holder: LeaseHolder?) async throws -> PostingResult {
        let ordered = records.enumerated().sorted { ($0.element.userID, $0.offset) < ($1.element.userID, $1.offset) }
            .map(\.element)
        return try await moneyWrite { session in
            var group = PostingGroup()
            try session.script("SAVEPOINT whole")
            do {
                try Self.post(ordered, &group, &session)
            } catch let error where Self.isFaultOfRecord(error) {
                // One bad record must not hold up its neighbours.
                try session.script("ROLLBACK TO whole")
                group = PostingGroup()
                for record in ordered { try Self.postSingly(record, &group, &session) }
            }
            try Self.noteEstimates(group.charged, &session)
            try Self.addSpending(group.charged, &session)
            if let holder {
                if !group.result.charges.isEmpty { try Self.spendLeases(group.result.charges, holder, &session) }
                group.result.states = try Self.leaseStates(Set(records.map(\.userID)), holder, &session)
            }
            return group.result
        }
    }

    /// True when posting the same record again would fail again.
    private static func isFaultOfRecord(_ error: any Error) -> Bool {
        switch error {
        case is MoneyError, StoreError.duplicate: true
        case StoreError.database(let text): text.hasPrefix(StoreError.constraintPrefix)
        case let error as PGError: isFaultOfRecord(error.stored)
        default: false
        }
    }

    private static func postSingly(_ record: RequestRecord, _ group: inout PostingGroup, _ session: inout PGPool.Session) throws {
        let before = group
        try session.script("SAVEPOINT one")
        do {
            try post([record], &group, &session)
            try session.script("RELEASE one")
        } catch let error where isFaultOfRecord(error) {
            try session.script("ROLLBACK TO one")
            group = before
            try setAside(record, (error as? PGError)?.message ?? "\(error)", &group, &session)
        }
    }

    /// Four statements for any number of records: users locked in the order of their ids, log rows, ledger rows, balances.
    private static func post(_ records: [RequestRecord], _ group: inout PostingGroup, _ session: inout PGPool.Session) throws {
        var balances: [Int64: NanoUSD] = [:]
        let users = try session.rows(
            "SELECT id, balance_nanos FROM users WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE", [idArray(records.map(\.userID))])
        for row in users { balances[try row.int("id")] = NanoUSD(nanos: try row.int("balance_nanos")) }
        let logged = try session.rows(logInsert, [array(records.map { RecordColumns.json($0) })])
        var isNew = Set(try logged.map { try $0.text("request_id") })
        var entries: [String] = []
        var moved: Set<Int64> = []
        for record in records {
            // The log row and the ledger row are born in one transaction: where the one is, the other is too.
            guard isNew.remove(record.requestID.description) != nil else { continue }
            guard let charge = record.charge else {
                group.result.added += 1
                continue
            }
            guard let before = balances[record.userID] else {
                try setAside(record, "the user does not exist", &group, &session)
                continue
            }
            let after = try before.subtracting(charge)
            balances[record.userID] = after
            moved.insert(record.userID)
            entries.append(entry(record, try charge.negated(), after))
            try group.add(record, charge)
        }
        guard !entries.isEmpty else { return }
        try session.execute(
            """
            INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at)
            SELECT user_id, amount, after, 'usage', reference, description, created_at
            FROM ROWS FROM (jsonb_to_recordset($1::jsonb)
                AS (user_id bigint, amount bigint, after bigint, reference text, description text, created_at bigint)) WITH ORDINALITY
                AS r(user_id, amount, after, reference, description, created_at, n)
            ORDER BY n
            """, [array(entries)])
        let balancesNow = moved.sorted().map { "{\"id\":\($0),\"after\":\(balances[$0]?.nanos ?? 0)}" }
        try session.execute(
            "UPDATE users SET balance_nanos = r.after FROM jsonb_to_recordset($1::jsonb) AS r(id bigint, after bigint) WHERE users.id = r.id",
            [array(balancesNow)])
    }

    /// Columns of `logs` with their types, from one JSON parameter.
    private static let logInsert: String = {
        let types: [String: String] = [
            "request_id": "text", "provider": "text", "model_name": "text", "upstream_model": "text", "endpoint": "text",
            "usage_source": "text", "outcome": "text", "error_code": "text", "attempt_list": "text", "generation_id": "text",
            "client_ip": "text", "service_tier": "text", "is_stream": "boolean", "status": "integer", "attempts": "integer",
        ]
        let columns = RecordColumns.names.map { "\($0) \(types[$0] ?? "bigint")" }.joined(separator: ", ")
        return """
            INSERT INTO logs (\(RecordColumns.list))
            SELECT \(RecordColumns.list) FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (\(columns))) WITH ORDINALITY
                AS r(\(RecordColumns.list), n) ORDER BY n
            ON CONFLICT (request_id) DO NOTHING RETURNING request_id
            """
    }()

    private static func array(_ objects: [String]) -> String { "[" + objects.joined(separator: ",") + "]" }

    private static func entry(_ record: RequestRecord, _ amount: NanoUSD, _ after: NanoUSD) -> String {
        JSONValue.object([
            .init("user_id", .integer(record.userID)), .init("amount", .integer(amount.nanos)), .init("after", .integer(after.nanos)),
            .init("reference", .string(record.requestID.description)), .init("description", .string(record.ledgerDescription)),
            .init("created_at", .integer(record.createdAt)),
        ]).text
    }

    private static func setAside(
        _ record: RequestRecord, _ reason: String, _ group: inout PostingGroup, _ session: inout PGPool.Session
    ) throws {
        try session.execute(
            "INSERT INTO poison_records (request_id, reason, record, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            [record.requestID.description, reason, RecordColumns.json(record), record.createdAt])
        group.result.setAside[record.requestID] = reason
    }

    // MARK: Reading

    public func entries(userID: Int64, kind: TransactionKind?, _ page: PageRequest) async throws -> Page<LedgerEntry> {
        try await read { session in
            let condition = "user_id = $1 AND ($2::text IS NULL OR type = $2)"
            let rows = try session.rows(
                "SELECT * FROM balance_transactions WHERE \(condition) ORDER BY id DESC LIMIT $3 OFFSET $4",
                [userID, kind?.rawValue, page.size, page.offset])
            let total = try session.rows(
                "SELECT count(*) AS total FROM balance_transactions WHERE \(condition)", [userID, kind?.rawValue]
            ).first?.int("total")
            return Page(items: try rows.map { try Decoding.entry($0) }, total: total ?? 0)
        }
    }

    public func verify() async throws -> LedgerReport {
        try await pool.run(inTransaction: false) { session in
            // One picture of the books, while gateways go on posting.
            try session.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            defer { try? session.script("ROLLBACK") }
            // As long as it takes: what cannot be verified within a limit is most worth verifying.
            try session.script("SET LOCAL statement_timeout = 0")
            var report = LedgerReport(users: 0, entries: 0, differences: [])
            try Self.verifySums(&session, &report)
            try Self.verifyLogs(&session, &report)
            for row in try session.rows(
                "SELECT incarnation, user_id FROM balance_leases WHERE user_id NOT IN (SELECT id FROM users) OR amount_nanos < 0")
            {
                report.differences.append("lease of \(try row.text("incarnation")) for user \(try row.int("user_id")): no such user")
            }
            return report
        }
    }

    /// The database recomputes every running balance; only what differs is fetched.
    private static func verifySums(_ session: inout PGPool.Session, _ report: inout LedgerReport) throws {
        report.entries = try session.rows("SELECT count(*) AS n FROM balance_transactions").first?.int("n") ?? 0
        report.users = try session.rows("SELECT count(*) AS n FROM users").first?.int("n") ?? 0
        let entries = try session.rows(
            """
            SELECT id, user_id, balance_after_nanos, running::text AS running FROM (
                SELECT id, user_id, balance_after_nanos, sum(amount_nanos) OVER (PARTITION BY user_id ORDER BY id) AS running
                FROM balance_transactions) AS rows
            WHERE running <> balance_after_nanos ORDER BY id LIMIT 1000
            """)
        for row in entries {
            let after = NanoUSD(nanos: try row.int("balance_after_nanos"))
            let sum = NanoUSD(nanos: Int64(try row.text("running")) ?? .max)
            report.differences.append(
                "entry \(try row.int("id")) of user \(try row.int("user_id")): balance_after is \(after), the rows sum to \(sum)")
        }
        let users = try session.rows(
            """
            SELECT id, balance_nanos, quota, coalesce(sum, 0)::text AS total FROM users
            LEFT JOIN (SELECT user_id, sum(amount_nanos) AS sum FROM balance_transactions GROUP BY user_id) AS sums ON user_id = users.id
            WHERE coalesce(sum, 0) <> balance_nanos OR quota <> floor(balance_nanos / 10000000.0) ORDER BY id LIMIT 1000
            """)
        for row in users {
            let balance = NanoUSD(nanos: try row.int("balance_nanos"))
            let sum = NanoUSD(nanos: Int64(try row.text("total")) ?? .max)
            let id = try row.int("id")
            if balance != sum { report.differences.append("user \(id): balance is \(balance), the rows sum to \(sum)") }
            let quota = try row.int("quota")
            if quota != balance.wholeCents { report.differences.append("user \(id): quota is \(quota), not \(balance.wholeCents)") }
        }
    }

    private static func verifyLogs(_ session: inout PGPool.Session, _ report: inout LedgerReport) throws {
        let pairs = try session.rows(
            """
            SELECT t.reference_id AS id, -t.amount_nanos - coalesce(a.amount_nanos, 0) AS charged, l.charge_nanos AS logged
            FROM balance_transactions t LEFT JOIN logs l ON l.request_id = t.reference_id
            LEFT JOIN balance_transactions a ON a.type = 'adjustment' AND a.reference_id = t.reference_id || ':reconciled'
            WHERE t.type = 'usage'
            AND (l.charge_nanos IS DISTINCT FROM -t.amount_nanos - coalesce(a.amount_nanos, 0) OR l.user_id IS DISTINCT FROM t.user_id)
            ORDER BY t.id LIMIT 1000
            """)
        for row in pairs {
            let logged = try row.intOrNil("logged").map { NanoUSD(nanos: $0).description } ?? "nothing"
            report.differences.append(
                "request \(try row.text("id")): the ledger has \(NanoUSD(nanos: try row.int("charged"))), the log has \(logged)")
        }
        let missing = try session.rows(
            """
            SELECT request_id FROM logs WHERE charge_nanos IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM balance_transactions WHERE type = 'usage' AND reference_id = request_id)
            AND NOT EXISTS (SELECT 1 FROM poison_records p WHERE p.request_id = logs.request_id) ORDER BY id LIMIT 1000
            """)
        for row in missing { report.differences.append("request \(try row.text("request_id")): charged in the log, not in the ledger") }
        let versions = try session.rows(
            """
            SELECT request_id FROM logs WHERE charge_nanos IS NOT NULL AND pricing_version <> 0
            AND NOT EXISTS (SELECT 1 FROM model_pricing_history h WHERE h.version = pricing_version) ORDER BY id LIMIT 1000
            """)
        for row in versions { report.differences.append("request \(try row.text("request_id")): its price version is not in the history") }
    }
}
