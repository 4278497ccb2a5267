import RouterCore

extension LedgerSession {
    /// Everything in one transaction, so that it is one picture of the books.
    func verify() throws -> LedgerReport {
        var report = LedgerReport(users: 0, entries: 0, differences: [])
        try verifySums(&report)
        try verifyLogs(&report)
        try verifyLongHolds(&report)
        try verifyUsage(&report)
        try verifyCredits(&report)
        let leases = try rows(
            """
            SELECT incarnation, user_id FROM balance_leases
            WHERE user_id NOT IN (SELECT id FROM users) OR amount_nanos < 0 ORDER BY user_id LIMIT \(Self.most)
            """)
        for row in leases {
            report.differences.append("lease of \(try row.text("incarnation")) for user \(try row.int("user_id")): no such user")
        }
        return report
    }

    /// Differences of one kind that are told.
    static var most: Int { 1_000 }

    /// An open hold has its row that took the amount, and an ended one also the row that gave it back.
    private func verifyLongHolds(_ report: inout LedgerReport) throws {
        let wrong = try rows(
            """
            SELECT h.request_id, h.state FROM long_holds h WHERE h.amount_nanos > 0 AND (
                NOT EXISTS (SELECT 1 FROM balance_transactions t WHERE t.type = 'adjustment'
                    AND t.reference_id = h.request_id || ':held' AND coalesce(t.account_id, t.user_id) = coalesce(h.account_id, h.user_id)
                    AND t.amount_nanos = -h.amount_nanos)
                OR (h.state = 'ended') <> EXISTS (SELECT 1 FROM balance_transactions t WHERE t.type = 'adjustment'
                    AND t.reference_id = h.request_id || ':released' AND coalesce(t.account_id, t.user_id) = coalesce(h.account_id, h.user_id)
                    AND t.amount_nanos = h.amount_nanos))
            ORDER BY h.request_id LIMIT \(Self.most)
            """)
        for row in wrong {
            report.differences.append(
                "long hold \(try row.text("request_id")): it is \(try row.text("state")), and its rows in the ledger do not say so")
        }
    }

    /// The log adds up to the sums that are kept of it, as far as it is still there, and the sums of one span to those of the next.
    private func verifyUsage(_ report: inout LedgerReport) throws {
        let quarter = UsageTable.quarter
        // Some rows of the quarter hour in which rows were let go last may be there.
        let first = try logsLetGo().map { UsageTable.start($0 + quarter - 1) } ?? .min
        let pairs: [(what: String, one: String, other: String)] = [
            (
                "the log", "SELECT created_at - created_at % 900 AS q, 1 AS n, cost_nanos AS c FROM logs WHERE created_at >= ?1",
                "SELECT start AS q, requests AS n, charge_nanos AS c FROM usage_by_key WHERE start >= ?1"
            ),
            ("quarter hours", Self.spanned(.byKey, nil, quarter), Self.spanned(.byChannel, quarter, quarter)),
            ("hours", Self.spanned(.byKey, nil, 3_600), Self.spanned(.byChannel, 3_600, 3_600)),
            ("days", Self.spanned(.byChannel, 3_600, 86_400), Self.spanned(.byChannel, 86_400, 86_400)),
            ("users' hours", Self.spanned(.byKey, nil, 3_600), Self.spanned(.byUser, 3_600, 3_600)),
            (
                "organisations",
                "SELECT created_at - created_at % 900 AS q, 1 AS n, cost_nanos AS c FROM logs WHERE created_at >= ?1 AND account_id IS NOT NULL",
                "SELECT start AS q, requests AS n, charge_nanos AS c FROM usage_by_account WHERE span = 900 AND start >= ?1"
            ),
            ("organisations' hours", Self.spanned(.byAccount, 900, 3_600), Self.spanned(.byAccount, 3_600, 3_600)),
            ("organisations' days", Self.spanned(.byAccount, 3_600, 86_400), Self.spanned(.byAccount, 86_400, 86_400)),
            ("users' days", Self.spanned(.byUser, 3_600, 86_400), Self.spanned(.byUser, 86_400, 86_400)),
        ]
        for (what, one, other) in pairs {
            // Whole dollars and the rest by themselves, because the sum of both may leave the range. A sum at its end says nothing.
            let wrong = try rows(
                """
                SELECT q, CAST(sum(n) AS BIGINT) AS n, CAST(sum(c / 1000000000) AS BIGINT) AS dollars,
                    CAST(sum(c % 1000000000) AS BIGINT) AS rest
                FROM (SELECT q, n, c, 0 AS kept FROM (\(one)) AS one
                    UNION ALL SELECT q, -n, -c, c AS kept FROM (\(other)) AS other) AS sides
                GROUP BY q HAVING max(kept) < 9223372036854775807
                    AND (sum(n) <> 0 OR sum(c / 1000000000) * 1000000000 + sum(c % 1000000000) <> 0)
                ORDER BY q LIMIT \(Self.most)
                """, one.contains("?1") ? [first] : [])
            for row in wrong {
                let (dollars, overflowed) = try row.int("dollars").multipliedReportingOverflow(by: 1_000_000_000)
                let (nanos, overflowedToo) = dollars.addingReportingOverflow(try row.int("rest"))
                let amount = overflowed || overflowedToo ? "some amount" : NanoUSD(nanos: nanos).description
                report.differences.append("sums of \(what) at \(try row.int("q")): they lack \(try row.int("n")) requests and \(amount)")
            }
        }
    }

    /// Rows of a table by longer spans than its own.
    /// - Parameter own: nil = it has one span only.
    private static func spanned(_ table: UsageTable, _ own: Int64?, _ span: Int64) -> String {
        let condition = own.map { " WHERE span = \($0)" } ?? ""
        return "SELECT start - start % \(span) AS q, requests AS n, charge_nanos AS c FROM \(table.name)\(condition)"
    }

    private func verifyLogs(_ report: inout LedgerReport) throws {
        // The log of requests that began earlier may have been let go; the ledger has them for ever.
        let first = try logsLetGo() ?? .min
        let pairs = try rows(
            """
            SELECT t.reference_id AS id, -t.amount_nanos - coalesce(a.amount_nanos, 0) AS charged, l.charge_nanos AS logged
            FROM balance_transactions t LEFT JOIN logs l ON l.request_id = t.reference_id
            LEFT JOIN balance_transactions a ON a.type = 'adjustment' AND a.reference_id = t.reference_id || ':reconciled'
            WHERE t.type = 'usage' AND (l.charge_nanos \(dialect.isDistinctFrom) -t.amount_nanos - coalesce(a.amount_nanos, 0)
                OR l.user_id \(dialect.isDistinctFrom) t.user_id OR l.account_id \(dialect.isDistinctFrom) t.account_id) AND (l.id IS NOT NULL OR t.created_at >= ?1)
            ORDER BY t.id LIMIT \(Self.most)
            """, [first])
        for row in pairs {
            let logged = try row.intOrNil("logged").map { NanoUSD(nanos: $0).description } ?? "nothing"
            report.differences.append(
                "request \(try row.text("id")): the ledger has \(NanoUSD(nanos: try row.int("charged"))), the log has \(logged)")
        }
        let missing = try rows(
            """
            SELECT request_id FROM logs WHERE charge_nanos IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM balance_transactions WHERE type = 'usage' AND reference_id = request_id)
            AND NOT EXISTS (SELECT 1 FROM poison_records p WHERE p.request_id = logs.request_id) ORDER BY id LIMIT \(Self.most)
            """)
        for row in missing { report.differences.append("request \(try row.text("request_id")): charged in the log, not in the ledger") }
        let versions = try rows(
            """
            SELECT request_id FROM logs WHERE charge_nanos IS NOT NULL AND pricing_version <> 0
            AND pricing_version NOT IN (SELECT version FROM model_pricing_history) ORDER BY id LIMIT \(Self.most)
            """)
        for row in versions { report.differences.append("request \(try row.text("request_id")): its price version is not in the history") }
    }
}

extension LedgerReport {
    /// An entry whose running balance is not the sum of the rows.
    mutating func addEntry(_ id: Int64, user: Int64, after: NanoUSD, sum: NanoUSD) {
        differences.append("entry \(id) of user \(user): balance_after is \(after), the rows sum to \(sum)")
    }

    /// A user, where balance or quota is not what the rows say.
    mutating func addUser(_ id: Int64, balance: NanoUSD, sum: NanoUSD, quota: Int64) {
        if balance != sum { differences.append("user \(id): balance is \(balance), the rows sum to \(sum)") }
        if quota != balance.wholeCents { differences.append("user \(id): quota is \(quota), not \(balance.wholeCents)") }
    }
}
