public import RouterCore

/// Which life of a gateway has its identity, and signs of life (docs/decisions/0007-one-gateway-one-life.md). Identities are locks of the
/// server here, which SQLite has not, and users are locked in the order of their ids.
extension PostgresStore {
    /// The database's own clock; nothing about money goes by it. `now()` would be the start of the transaction.
    static let clock = "floor(extract(epoch FROM clock_timestamp()))::bigint"
    private static let serverStart = "extract(epoch FROM pg_postmaster_start_time())::text"
    private static let columns = """
        incarnation, gateway_id, beats, is_fenced, lifetime, started_at, seen_at,
        greatest(0, \(clock) - seen_at) AS silence
        """

    public func claim(_ holder: LeaseHolder, now: Int64) async throws -> LeaseClaim {
        try await presence.run(inTransaction: true) { session in
            guard try Self.lock(holder, session) else {
                let other = try session.rows(
                    """
                    SELECT \(Self.columns) FROM gateways WHERE gateway_id = $1 AND incarnation <> $2
                    ORDER BY is_fenced, started_at DESC LIMIT 1
                    """, [holder.gatewayID, holder.incarnation]
                ).first
                return .taken(by: try other.map { try Decoding.life($0) })
            }
            try session.execute(
                """
                INSERT INTO gateways (incarnation, gateway_id, lifetime, started_at, seen_at)
                VALUES ($1, $2, $3, \(Self.clock), \(Self.clock))
                ON CONFLICT (incarnation) DO NOTHING
                """, [holder.incarnation, holder.gatewayID, holder.lifetime])
            let earlier = try session.execute(
                "UPDATE gateways SET is_fenced = TRUE WHERE gateway_id = $1 AND incarnation <> $2",
                [holder.gatewayID, holder.incarnation])
            try Self.noteSession(holder, session)
            return .granted(earlier: earlier)
        }
    }

    public func takeOver(_ earlier: [String], by holder: LeaseHolder) async throws -> [String] {
        guard !earlier.isEmpty else { return [] }
        return try await money.run(inTransaction: true) { session in
            let list = try Self.textArray(earlier)
            // Users before leases and gateways, in the order of their ids, as everywhere.
            try session.execute(
                """
                SELECT 1 FROM users WHERE id IN
                    (SELECT user_id FROM balance_leases WHERE incarnation = ANY($1::text[])) ORDER BY id FOR NO KEY UPDATE
                """, [list])
            guard try session.beat(holder) else { throw StoreError.fenced }
            // A lock proves nothing when the server was started anew, crashed, or took another's place since: it has
            // forgotten all locks then.
            let gone = try session.rows(
                """
                SELECT g.incarnation FROM gateways g JOIN gateway_sessions s ON s.incarnation = g.incarnation
                WHERE g.incarnation = ANY($1::text[]) AND g.gateway_id = $2 AND g.is_fenced
                    AND s.server_start = \(Self.serverStart)
                ORDER BY g.incarnation FOR UPDATE OF g
                """, [list, holder.gatewayID]
            ).map { try $0.text("incarnation") }
            guard !gone.isEmpty else { return [] }
            let found = try Self.textArray(gone)
            try session.execute(
                """
                INSERT INTO balance_leases (user_id, incarnation, amount_nanos)
                SELECT user_id, $2, sum(amount_nanos) FROM balance_leases
                WHERE incarnation = ANY($1::text[]) GROUP BY user_id
                ON CONFLICT (user_id, incarnation)
                DO UPDATE SET amount_nanos = balance_leases.amount_nanos + excluded.amount_nanos
                """, [found, holder.incarnation])
            try session.execute("DELETE FROM balance_leases WHERE incarnation = ANY($1::text[])", [found])
            try session.execute("DELETE FROM gateways WHERE incarnation = ANY($1::text[])", [found])
            try session.execute("DELETE FROM gateway_sessions WHERE incarnation = ANY($1::text[])", [found])
            return gone
        }
    }

    public func beat(_ holder: LeaseHolder, now: Int64) async throws -> [GatewayLife] {
        try await presence.run(inTransaction: false) { session in
            guard try Self.lock(holder, session), try session.beat(holder) else { throw StoreError.fenced }
            return try Self.lives(session)
        }
    }

    public func gateways(now: Int64) async throws -> [GatewayLife] { try await pool.run(inTransaction: false) { try Self.lives($0) } }

    private static func lives(_ session: PGSession) throws -> [GatewayLife] {
        try session.rows("SELECT \(columns) FROM gateways ORDER BY incarnation").map { try Decoding.life($0) }
    }

    public func reap(_ incarnation: String, beats: Int64) async throws -> Bool {
        try await money.run(inTransaction: true) { session in
            let users = try session.rows(
                """
                SELECT id FROM users WHERE id IN
                    (SELECT user_id FROM balance_leases WHERE incarnation = $1) ORDER BY id FOR NO KEY UPDATE
                """, [incarnation]
            ).map { try $0.int("id") }
            // Whoever leases raises the number first, so no lease of a user who was not locked above can come in
            // between.
            let isSilent =
                try session.execute("DELETE FROM gateways WHERE incarnation = $1 AND beats = $2", [incarnation, beats]) == 1
            guard isSilent else { return false }
            try session.execute("DELETE FROM balance_leases WHERE incarnation = $1", [incarnation])
            try session.execute("DELETE FROM gateway_sessions WHERE incarnation = $1", [incarnation])
            for user in users { try session.execute("SELECT announce('freed', $1)", ["\(user) \(incarnation)"]) }
            return true
        }
    }

    public func leave(_ holder: LeaseHolder) async throws {
        try await money.run(inTransaction: true) { session in
            try session.execute(
                """
                DELETE FROM gateways WHERE incarnation = $1
                AND NOT EXISTS (SELECT 1 FROM balance_leases WHERE incarnation = $1 AND amount_nanos > 0)
                """, [holder.incarnation])
            try session.execute(
                "DELETE FROM balance_leases WHERE incarnation = $1 AND amount_nanos = 0", [holder.incarnation])
            try session.execute(
                "DELETE FROM gateway_sessions WHERE incarnation NOT IN (SELECT incarnation FROM gateways)")
        }
    }

    // MARK: The lock of an identity

    /// Holds the lock of the holder's identity on the session of ``presence``, which has no other work: the lock lasts
    /// as long as the connection.
    /// - Returns: false when another life has it.
    private static func lock(_ holder: LeaseHolder, _ session: PGSession) throws -> Bool {
        let key = key(holder.gatewayID)
        if try owner(key, session)?.isOurs == true { return true }
        try prepare(holder, session)
        if try session.rows("SELECT pg_try_advisory_lock($1) AS got", [key]).first?.flag("got") == true {
            try noteSession(holder, session)
            return true
        }
        // Our own connection of before, which the server has not yet seen break, is not another life. Only we know that
        // it is of no use any more.
        let ended = try session.rows(
            """
            SELECT pg_terminate_backend(a.pid) AS ended FROM gateway_sessions s JOIN pg_stat_activity a
                ON a.pid = s.backend_pid AND extract(epoch FROM a.backend_start)::text = s.backend_start
            WHERE s.incarnation = $1 AND a.pid = $2
            """, [holder.incarnation, try owner(key, session)?.pid ?? 0]
        ).first?.flag("ended")
        guard ended == true else { return false }
        // For as long as `lock_timeout` lets it.
        try session.execute("SELECT pg_advisory_lock($1)", [key])
        try noteSession(holder, session)
        return true
    }

    /// The server is to keep a connection that has fallen silent for longer than our leases last: a lock that is free
    /// within that time was left by a process that ended, not by one that was cut off and still spends.
    private static func prepare(_ holder: LeaseHolder, _ session: PGSession) throws {
        try session.execute(
            """
            SELECT set_config(name, CASE name WHEN 'tcp_keepalives_idle' THEN $1 WHEN 'tcp_keepalives_interval' THEN '10'
                WHEN 'tcp_keepalives_count' THEN '3' WHEN 'lock_timeout' THEN '3s' WHEN 'statement_timeout' THEN '5s' ELSE '0' END, false)
            FROM pg_settings WHERE name IN ('tcp_keepalives_idle', 'tcp_keepalives_interval',
                'tcp_keepalives_count', 'tcp_user_timeout', 'idle_session_timeout',
                'client_connection_check_interval', 'lock_timeout', 'statement_timeout')
            """, ["\(max(1, holder.lifetime))"])
    }

    private static func noteSession(_ holder: LeaseHolder, _ session: PGSession) throws {
        try session.execute(
            """
            INSERT INTO gateway_sessions (incarnation, server_start, backend_pid, backend_start)
            SELECT $1, \(serverStart), pid, extract(epoch FROM backend_start)::text
            FROM pg_stat_activity WHERE pid = pg_backend_pid()
            ON CONFLICT (incarnation) DO UPDATE SET server_start = excluded.server_start,
                backend_pid = excluded.backend_pid, backend_start = excluded.backend_start
            """, [holder.incarnation])
    }

    /// Who has a lock.
    private static func owner(_ key: Int64, _ session: PGSession) throws -> (pid: Int64, isOurs: Bool)? {
        try session.rows(
            """
            SELECT pid, pid = pg_backend_pid() AS ours FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = $1::bigint::oid AND objid = $2::bigint::oid
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """, [Int64(UInt64(bitPattern: key) >> 32), Int64(UInt64(bitPattern: key) & 0xFFFF_FFFF)]
        ).first.map { (try $0.int("pid"), try $0.flag("ours")) }
    }

    /// FNV-1a, 64 bits: ids are random, so that two gateways have the same key as good as never.
    private static func key(_ gatewayID: String) -> Int64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in gatewayID.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return Int64(bitPattern: hash)
    }

    /// Incarnations are hexadecimal digits, or an old id and epoch; nothing else gets into an array's text.
    private static func textArray(_ texts: [String]) throws -> String {
        let isPlain = texts.allSatisfy { text in
            text.utf8.allSatisfy { byte in
                (0x30...0x3A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D || byte == 0x5F
            }
        }
        guard isPlain else { throw StoreError.database("the journal names a life that cannot be one") }
        return "{" + texts.joined(separator: ",") + "}"
    }
}
