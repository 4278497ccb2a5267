public import RouterCore

extension PostgresStore {
    /// Key of the advisory lock that lets one gateway at a time divide limits.
    private static let limitLock: Int64 = 0x6C69_6D69_7473

    public func shareLimits(
        _ reports: [LimitReport], gateway: String, lifetime: Int64
    ) async throws -> (gateways: [String], grants: [BudgetScope: LimitGrant]) {
        try await pool.run(inTransaction: true) { session in
            try session.execute("SELECT pg_advisory_xact_lock($1::bigint)", [Self.limitLock])
            try session.execute("DELETE FROM limit_shares WHERE expires_at < \(Self.clock)", [])
            // A pool without anybody in it is full again.
            try session.execute(
                """
                DELETE FROM limit_shares p WHERE p.gateway = '' AND NOT EXISTS (
                    SELECT 1 FROM limit_shares s WHERE s.subject = p.subject AND s.gateway <> '')
                """, [])
            let gateways =
                try session.rows(
                    "SELECT gateway FROM limit_shares WHERE subject = '' AND gateway <> $1", [gateway]
                ).map { try $0.text("gateway") } + [gateway]
            let subjects = "{" + reports.map(\.scope.description).joined(separator: ",") + "}"
            var rows: [String: [LimitShares.Row]] = [:]
            var pools: [String: RateLimits] = [:]
            for row in try session.rows(
                "SELECT * FROM limit_shares WHERE subject = ANY($1::text[]) AND gateway <> $2", [subjects, gateway])
            {
                let read = LimitShares.Row(
                    gatewayID: try row.text("gateway"), demand: try Self.limits(row, "asked"), taken: try Self.limits(row, "taken"))
                if read.gatewayID.isEmpty {
                    pools[try row.text("subject")] = read.taken
                } else {
                    rows[try row.text("subject"), default: []].append(read)
                }
            }
            var grants: [BudgetScope: LimitGrant] = [:]
            var written = [Self.json("", gateway, RateLimits(), RateLimits())]
            for report in reports {
                let subject = report.scope.description
                let decision = LimitShares.decide(
                    report, own: gateway, rows: rows[subject] ?? [], pool: pools[subject], gateways: gateways)
                grants[report.scope] = decision.grant
                if let row = decision.row { written.append(Self.json(subject, gateway, row.demand, row.taken)) }
                if let pool = decision.pool { written.append(Self.json(subject, "", RateLimits(), pool)) }
            }
            try session.execute(
                "DELETE FROM limit_shares WHERE gateway = $1 AND subject <> ALL($2::text[])",
                [gateway, "{" + reports.filter { !$0.isLeaving }.map(\.scope.description).joined(separator: ",") + "}"])
            try session.execute(
                """
                INSERT INTO limit_shares (subject, gateway, asked_rpm, asked_tpm, asked_concurrency, taken_rpm, taken_tpm, taken_concurrency, expires_at)
                SELECT s, g, a1, a2, a3, t1, t2, t3, CASE WHEN g = '' THEN 9223372036854775807 ELSE \(Self.clock) + $2 END
                FROM jsonb_to_recordset($1::jsonb)
                    AS r(s text, g text, a1 bigint, a2 bigint, a3 bigint, t1 bigint, t2 bigint, t3 bigint) ORDER BY s, g
                ON CONFLICT (subject, gateway) DO UPDATE SET
                    asked_rpm = excluded.asked_rpm, asked_tpm = excluded.asked_tpm, asked_concurrency = excluded.asked_concurrency,
                    taken_rpm = excluded.taken_rpm, taken_tpm = excluded.taken_tpm, taken_concurrency = excluded.taken_concurrency,
                    expires_at = excluded.expires_at
                """, ["[" + written.joined(separator: ",") + "]", lifetime])
            return (gateways.sorted(), grants)
        }
    }

    public func leaveLimits(gateway: String) async throws {
        try await database.write { try $0.execute("DELETE FROM limit_shares WHERE gateway = ?1", [gateway]) }
    }

    private static func limits(_ row: SQLRow, _ prefix: String) throws -> RateLimits {
        var limits = RateLimits()
        for limit in ChannelLimit.allCases { limits[limit] = try row.intOrNil("\(prefix)_\(limit.rawValue)") }
        return limits
    }

    private static func json(_ subject: String, _ gateway: String, _ asked: RateLimits, _ taken: RateLimits) -> String {
        var members: [JSONValue.Member] = [.init("s", .string(subject)), .init("g", .string(gateway))]
        for (number, limit) in ChannelLimit.allCases.enumerated() {
            members.append(.init("a\(number + 1)", .integer(asked[limit])))
            members.append(.init("t\(number + 1)", .integer(taken[limit])))
        }
        return JSONValue.object(members).text
    }
}
