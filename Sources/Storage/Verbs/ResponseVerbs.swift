public import RouterCore

/// Stored responses in an SQL database: a file of their own, or tables of the PostgreSQL that has the ledger.
public struct SQLResponseStore: ResponseStore {
    private let database: SQLDatabase
    private let closing: @Sendable () throws -> Void

    /// - Parameter closing: closes what is this store's alone.
    init(database: SQLDatabase, closing: @escaping @Sendable () throws -> Void) {
        self.database = database
        self.closing = closing
    }

    /// In the database of the ledger, which stays open when this is closed.
    public init(sharing store: any SQLStore) { self.init(database: store.database) {} }

    public func keep(_ responses: [StoredResponse], limits: ResponseStoreLimits) async throws -> Set<Int> {
        try await database.write { session in
            try session.lockResponses()
            var refused: Set<Int> = []
            for (place, response) in responses.enumerated() where try !session.keep(response, limits) { refused.insert(place) }
            return refused
        }
    }

    public func response(_ key: StoredResponse.Key, now: Int64) async throws -> StoredResponse? {
        try await database.read { try $0.response(key, now: now) }
    }

    public func delete(_ key: StoredResponse.Key) async throws -> Bool {
        try await database.write { session in
            try session.lockResponses()
            return try session.remove(key) != nil
        }
    }

    public func deleteResponses(userID: Int64) async throws {
        try await database.write { session in
            try session.lockResponses()
            try session.execute("DELETE FROM responses WHERE user_id = ?1", [userID])
            try session.addResponseBytes(-(try session.responseBytes(userID)), userID: userID)
        }
    }

    public func deleteExpired(now: Int64, limit: Int) async throws -> Int {
        try await database.write { session in
            try session.lockResponses()
            return try session.removeExpired(now: now, limit: limit)
        }
    }

    public func responseBytes(of users: Set<Int64>?) async throws -> [Int64: Int64] {
        try await database.read { session in
            if let users {
                return Dictionary(try users.union([0]).map { ($0, try session.responseBytes($0)) }) { first, _ in first }
            }
            let rows = try session.rows("SELECT user_id, bytes FROM response_usage WHERE bytes > 0")
            return Dictionary(try rows.map { (try $0.int("user_id"), try $0.int("bytes")) }) { first, _ in first }
        }
    }

    public func close() async throws { try closing() }
}

extension SQLSession {
    /// Whoever changes stored responses takes this row first, the sum of all users: bounds hold across gateways, and no two of them wait
    /// for each other.
    func lockResponses() throws {
        try execute("INSERT INTO response_usage (user_id, bytes) VALUES (0, 0) ON CONFLICT (user_id) DO NOTHING")
        _ = try rows("SELECT bytes FROM response_usage WHERE user_id = 0 \(dialect.forUpdate)")
    }

    func responseBytes(_ userID: Int64) throws -> Int64 {
        try first("SELECT bytes FROM response_usage WHERE user_id = ?1", [userID])?.int("bytes") ?? 0
    }

    func addResponseBytes(_ bytes: Int64, userID: Int64) throws {
        guard bytes != 0 else { return }
        for id in [0, userID] {
            try execute(
                """
                INSERT INTO response_usage (user_id, bytes) VALUES (?1, ?2)
                ON CONFLICT (user_id) DO UPDATE SET bytes = response_usage.bytes + excluded.bytes
                """, [id, bytes])
        }
        try execute("DELETE FROM response_usage WHERE user_id = ?1 AND bytes <= 0 AND user_id <> 0", [userID])
    }

    /// - Returns: false when there is no room.
    func keep(_ response: StoredResponse, _ limits: ResponseStoreLimits) throws -> Bool {
        let before = try first(
            "SELECT bytes FROM responses WHERE user_id = ?1 AND id = ?2", [response.key.userID, response.key.id]
        )?.int("bytes")
        let more = response.bytes - (before ?? 0)
        if more > 0 {
            guard try responseBytes(0) + more <= limits.total, try responseBytes(response.key.userID) + more <= limits.perUser else {
                return false
            }
        }
        if before != nil { _ = try remove(response.key) }
        try execute(
            """
            INSERT INTO responses (user_id, id, kind, holder, model, upstream_model, channel_id, key_fingerprint, context_tokens,
                items, body, bytes, created_at, expires_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
            """,
            [
                response.key.userID, response.key.id, response.kind.rawValue, response.place, response.model,
                response.upstreamModel, response.channelID, response.keyFingerprint, response.contextTokens, response.items, response.body,
                response.bytes, response.createdAt, response.expiresAt,
            ])
        try addResponseBytes(response.bytes, userID: response.key.userID)
        return true
    }

    func response(_ key: StoredResponse.Key, now: Int64) throws -> StoredResponse? {
        try first(
            """
            SELECT kind, holder, model, upstream_model, channel_id, key_fingerprint, context_tokens, items, body, created_at, expires_at
            FROM responses WHERE user_id = ?1 AND id = ?2 AND expires_at > ?3
            """, [key.userID, key.id, now]
        ).map { row in
            guard let kind = StoredResponse.Kind(rawValue: try row.int("kind")),
                let (holder, maker) = StoredResponse.read(place: try row.text("holder"))
            else { throw StoreError.database("a stored response is of no known kind") }
            return StoredResponse(
                key: key, kind: kind, holder: holder, maker: maker, model: try row.text("model"),
                upstreamModel: try row.text("upstream_model"),
                channelID: try row.int("channel_id"), keyFingerprint: try row.text("key_fingerprint"),
                contextTokens: try row.int("context_tokens"), items: try row.bytes("items"), body: try row.bytes("body"),
                createdAt: try row.int("created_at"), expiresAt: try row.int("expires_at"))
        }
    }

    /// - Returns: its size in bytes; nil when there was none.
    func remove(_ key: StoredResponse.Key) throws -> Int64? {
        let row = try first("DELETE FROM responses WHERE user_id = ?1 AND id = ?2 RETURNING bytes", [key.userID, key.id])
        guard let bytes = try row?.int("bytes") else { return nil }
        try addResponseBytes(-bytes, userID: key.userID)
        return bytes
    }

    func removeExpired(now: Int64, limit: Int) throws -> Int {
        let removed = try rows(
            """
            DELETE FROM responses WHERE (user_id, id) IN (
                SELECT user_id, id FROM responses WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
            RETURNING user_id, bytes
            """, [now, limit])
        var freed: [Int64: Int64] = [:]
        for row in removed { freed[try row.int("user_id"), default: 0] += try row.int("bytes") }
        for (userID, bytes) in freed { try addResponseBytes(-bytes, userID: userID) }
        return removed.count
    }
}
