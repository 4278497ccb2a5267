import RouterCore

extension PostgresStore {
    static let userColumns = "id, username, display_name, email, role, status, \"group\", limits, balance_nanos, created_at"
    static let tokenColumns =
        "id, user_id, key_hash, key_prefix, name, status, expires_at, models, limits, created_at, accessed_at"

    private static func user(_ session: inout PGPool.Session, id: Int64) throws -> User? {
        try session.rows("SELECT \(userColumns) FROM users WHERE id = $1", [id]).first.map { try Decoding.user($0) }
    }

    public func createUser(_ user: NewUser, audit: AuditEntry) async throws -> User {
        try await write { session in
            let rows = try session.rows(
                """
                INSERT INTO users (username, password_hash, display_name, email, role, "group", created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING \(Self.userColumns)
                """,
                [user.username, user.passwordHash, user.displayName, user.email, user.role.rawValue, user.group, user.createdAt])
            guard let row = rows.first else { throw StoreError.notFound }
            let created = try Decoding.user(row)
            try Self.insertAudit(audit.adding(.init("user_id", .integer(created.id))), &session)
            return created
        }
    }

    public func user(id: Int64) async throws -> User? { try await read { try Self.user(&$0, id: id) } }

    public func userForLogin(username: String) async throws -> (user: User, passwordHash: String)? {
        try await read { session in
            try session.rows(
                "SELECT \(Self.userColumns), password_hash FROM users WHERE lower(username) = lower($1)", [username]
            ).first.map { (try Decoding.user($0), try $0.text("password_hash")) }
        }
    }

    public func users(_ page: PageRequest) async throws -> Page<User> {
        try await read { session in
            let rows = try session.rows(
                "SELECT \(Self.userColumns) FROM users ORDER BY id DESC LIMIT $1 OFFSET $2", [page.size, page.offset])
            let total = try session.rows("SELECT count(*) AS total FROM users").first?.int("total")
            return Page(items: try rows.map { try Decoding.user($0) }, total: total ?? 0)
        }
    }

    public func allUsers() async throws -> [User] {
        try await read { try $0.rows("SELECT \(Self.userColumns) FROM users ORDER BY id").map { try Decoding.user($0) } }
    }

    public func changeUser(id: Int64, _ change: UserChange, audit: AuditEntry) async throws -> User {
        try await write { session in
            if let expected = change.expectedPasswordHash {
                let isStored = try session.rows(
                    "SELECT password_hash = $2 AS fits FROM users WHERE id = $1 FOR UPDATE", [id, expected]
                ).first?.flag("fits")
                guard isStored == true else { throw StoreError.conflict(UserChange.otherPassword) }
            }
            var assignments = PGAssignments()
            assignments.set("username", change.username)
            assignments.set("password_hash", change.passwordHash)
            assignments.set("display_name", change.displayName)
            assignments.set("email", change.email)
            assignments.set("role", change.role?.rawValue)
            assignments.set("status", change.status?.rawValue)
            assignments.set("\"group\"", change.group)
            assignments.set("limits", change.limits)
            try assignments.update("users", id: id, &session)
            guard let user = try Self.user(&session, id: id) else { throw StoreError.notFound }
            if change.endsManagementTokens { try Self.endTokens(userID: id, except: change.keptManagementToken, &session) }
            try Self.insertAudit(audit.adding(.init("user_id", .integer(id))), &session)
            return user
        }
    }

    public func deleteUser(id: Int64, audit: AuditEntry) async throws {
        try await write { session in
            try Self.insertAudit(audit.adding(.init("user_id", .integer(id))), &session)
            guard let user = try Self.user(&session, id: id) else { throw StoreError.notFound }
            let hasRows =
                try session.rows(
                    "SELECT EXISTS (SELECT 1 FROM balance_transactions WHERE user_id = $1) AS found", [id]
                ).first?.flag("found") ?? false
            guard hasRows else {
                try session.execute("DELETE FROM balance_leases WHERE user_id = $1", [id])
                try session.execute("DELETE FROM users WHERE id = $1", [id])
                return
            }
            // Books are kept: the name becomes free, the account can do nothing.
            try session.execute(
                "UPDATE users SET status = 2, username = $1, password_hash = '', email = '' WHERE id = $2",
                ["deleted-\(id)-\(user.username)", id])
            try session.execute("DELETE FROM tokens WHERE user_id = $1", [id])
            try session.execute("DELETE FROM access_tokens WHERE user_id = $1", [id])
            try session.execute("DELETE FROM login_addresses WHERE user_id = $1", [id])
        }
    }

    // MARK: Management tokens

    public func endManagementTokens(userID: Int64, except kept: [UInt8]?, audit: AuditEntry) async throws {
        try await write { session in
            try Self.endTokens(userID: userID, except: kept, &session)
            try Self.insertAudit(audit.adding(.init("user_id", .integer(userID))), &session)
        }
    }

    private static func endTokens(userID: Int64, except kept: [UInt8]?, _ session: inout PGPool.Session) throws {
        try session.execute(
            "DELETE FROM access_tokens WHERE user_id = $1 AND hash IS DISTINCT FROM $2::bytea", [userID, kept])
    }

    // MARK: API keys

    private static func token(_ session: inout PGPool.Session, id: Int64) throws -> Token? {
        try session.rows("SELECT \(tokenColumns) FROM tokens WHERE id = $1", [id]).first.map { try Decoding.token($0) }
    }

    public func createToken(_ token: Token, audit: AuditEntry) async throws -> Token {
        try await write { session in
            let created = try Self.insertToken(token, &session)
            try Self.insertAudit(
                audit.adding(.init("token_id", .integer(created.id)), .init("user_id", .integer(token.userID))), &session)
            return created
        }
    }

    static func insertToken(_ token: Token, _ session: inout PGPool.Session) throws -> Token {
        let rows = try session.rows(
            """
            INSERT INTO tokens (user_id, key_hash, key_prefix, name, status, expires_at, models, limits, created_at, accessed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING \(tokenColumns)
            """,
            [
                token.userID, token.keyHash, token.keyPrefix, token.name, token.status.rawValue, token.expiresAt,
                JSONList.text(token.models), token.limits, token.createdAt, token.accessedAt,
            ])
        guard let row = rows.first else { throw StoreError.notFound }
        return try Decoding.token(row)
    }

    public func token(id: Int64) async throws -> Token? { try await read { try Self.token(&$0, id: id) } }

    public func tokens(userID: Int64?, _ page: PageRequest) async throws -> Page<Token> {
        try await read { session in
            let condition = userID == nil ? "$1::bigint IS NULL" : "user_id = $1"
            let rows = try session.rows(
                "SELECT \(Self.tokenColumns) FROM tokens WHERE \(condition) ORDER BY id DESC LIMIT $2 OFFSET $3",
                [userID, page.size, page.offset])
            let total = try session.rows("SELECT count(*) AS total FROM tokens WHERE \(condition)", [userID]).first?.int("total")
            return Page(items: try rows.map { try Decoding.token($0) }, total: total ?? 0)
        }
    }

    public func allTokens() async throws -> [Token] {
        try await read { try $0.rows("SELECT \(Self.tokenColumns) FROM tokens ORDER BY id").map { try Decoding.token($0) } }
    }

    public func changeToken(id: Int64, _ change: TokenChange, audit: AuditEntry) async throws -> Token {
        try await write { session in
            var assignments = PGAssignments()
            assignments.set("name", change.name)
            assignments.set("status", change.status?.rawValue)
            switch change.expiresAt {
            case .some(.some(let seconds)): assignments.set("expires_at", seconds)
            case .some(.none): assignments.setNull("expires_at")
            case .none: break
            }
            assignments.set("models", change.models.map(JSONList.text))
            assignments.set("limits", change.limits)
            if let before = change.limitsBefore {
                let row = try session.rows("SELECT limits FROM tokens WHERE id = $1 FOR UPDATE", [id]).first
                if let row, try row.text("limits") != before { throw StoreError.limitsChanged }
            }
            try assignments.update("tokens", id: id, &session)
            guard let token = try Self.token(&session, id: id) else { throw StoreError.notFound }
            try Self.insertAudit(
                audit.adding(.init("token_id", .integer(id)), .init("user_id", .integer(token.userID))), &session)
            return token
        }
    }

    public func deleteToken(id: Int64, audit: AuditEntry) async throws {
        try await write { session in
            if try session.execute("DELETE FROM tokens WHERE id = $1", [id]).changes == 0 { throw StoreError.notFound }
            try Self.insertAudit(audit.adding(.init("token_id", .integer(id))), &session)
        }
    }

    public func touchTokens(_ accessed: [Int64: Int64]) async throws {
        try await write { session in
            for (id, seconds) in accessed.sorted(by: { $0.key < $1.key }) {
                try session.execute("UPDATE tokens SET accessed_at = $1 WHERE id = $2", [seconds, id])
            }
        }
    }
}

/// The SET list of an update that names only what changes. Column names are ours, values are parameters.
private struct PGAssignments {
    private var columns: [String] = []
    private var values: [any PGParameter] = []

    mutating func set<Value: PGParameter>(_ column: String, _ value: Value?) {
        guard let value else { return }
        values.append(value)
        columns.append("\(column) = $\(values.count)")
    }

    mutating func setNull(_ column: String) { columns.append("\(column) = NULL") }

    func update(_ table: String, id: Int64, _ session: inout PGPool.Session) throws {
        if columns.isEmpty { return }
        let sql = "UPDATE \(table) SET \(columns.joined(separator: ", ")) WHERE id = $\(values.count + 1)"
        if try session.execute(sql, values + [id]).changes == 0 { throw StoreError.notFound }
    }
}
