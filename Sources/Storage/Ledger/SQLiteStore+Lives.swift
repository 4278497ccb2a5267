public import RouterCore

/// The lives of the one gateway of a file, whose lock (``open(path:migrationsDirectory:now:locksOut:durability:)``) keeps a second gateway
/// out: there is no identity to fight for, nobody to be told, and no clock but the caller's. PostgreSQL has all of that.
extension SQLiteStore {
    public func claim(_ holder: LeaseHolder, now: Int64) async throws -> LeaseClaim {
        try await database.write { session in
            try session.execute(
                """
                INSERT INTO gateways (incarnation, gateway_id, lifetime, started_at, seen_at) VALUES (?1, ?2, ?3, ?4, ?5)
                ON CONFLICT (incarnation) DO NOTHING
                """, [holder.incarnation, holder.gatewayID, holder.lifetime, now, now])
            let earlier = try session.execute(
                "UPDATE gateways SET is_fenced = TRUE WHERE gateway_id = ?1 AND incarnation <> ?2", [holder.gatewayID, holder.incarnation])
            return .granted(earlier: earlier)
        }
    }

    public func takeOver(_ earlier: [String], by holder: LeaseHolder) async throws -> [String] {
        try await database.write { session in
            var taken: [String] = []
            for life in Set(earlier).sorted() {
                let row = try session.first(
                    "SELECT is_fenced FROM gateways WHERE incarnation = ?1 AND gateway_id = ?2", [life, holder.gatewayID])
                guard try row?.flag("is_fenced") == true else { continue }
                try session.execute(
                    """
                    INSERT INTO balance_leases (user_id, incarnation, amount_nanos)
                    SELECT user_id, ?2, amount_nanos FROM balance_leases WHERE incarnation = ?1
                    ON CONFLICT (user_id, incarnation) DO UPDATE SET amount_nanos = amount_nanos + excluded.amount_nanos
                    """, [life, holder.incarnation])
                try session.execute("DELETE FROM balance_leases WHERE incarnation = ?1", [life])
                try session.execute("DELETE FROM gateways WHERE incarnation = ?1", [life])
                taken.append(life)
            }
            // Nobody else can be running: what is left is of lives whose journal was lost.
            if holder.isExclusive {
                try session.execute("DELETE FROM balance_leases WHERE incarnation <> ?1", [holder.incarnation])
                try session.execute("DELETE FROM gateways WHERE incarnation <> ?1", [holder.incarnation])
            }
            return taken
        }
    }

    public func beat(_ holder: LeaseHolder, now: Int64) async throws -> [GatewayLife] {
        try await database.write { session in
            guard try session.beat(holder, now: now) else { throw StoreError.fenced }
            return try Self.lives(now, session)
        }
    }

    public func gateways(now: Int64) async throws -> [GatewayLife] { try await database.read { try Self.lives(now, $0) } }

    private static func lives(_ now: Int64, _ session: some SQLSession) throws -> [GatewayLife] {
        try session.rows("SELECT *, max(0, ?1 - seen_at) AS silence FROM gateways ORDER BY incarnation", [now])
            .map { try Decoding.life($0) }
    }

    public func reap(_ incarnation: String, beats: Int64) async throws -> Bool {
        try await database.write { session in
            guard try session.execute("DELETE FROM gateways WHERE incarnation = ?1 AND beats = ?2", [incarnation, beats]) == 1
            else { return false }
            try session.execute("DELETE FROM balance_leases WHERE incarnation = ?1", [incarnation])
            return true
        }
    }

    public func leave(_ holder: LeaseHolder) async throws {
        try await database.write { session in
            try session.execute(
                """
                DELETE FROM gateways WHERE incarnation = ?1
                AND NOT EXISTS (SELECT 1 FROM balance_leases WHERE incarnation = ?1 AND amount_nanos > 0)
                """, [holder.incarnation])
            try session.execute("DELETE FROM balance_leases WHERE incarnation = ?1 AND amount_nanos = 0", [holder.incarnation])
        }
    }
}
