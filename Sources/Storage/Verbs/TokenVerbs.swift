import RouterCore

extension SQLStore {
    public func createToken(_ token: Token, audit: AuditEntry) async throws -> Token {
        try await database.write { try $0.createToken(token, audit: audit) }
    }

    public func token(id: Int64) async throws -> Token? { try await database.read { try $0.token(id: id) } }

    public func token(keyHash: [UInt8]) async throws -> Token? { try await database.read { try $0.token(keyHash: keyHash) } }

    public func tokens(_ query: TokenQuery) async throws -> Page<Token> { try await database.read { try $0.tokens(query) } }

    public func allTokens() async throws -> [Token] { try await database.read { try $0.allTokens() } }

    public func changeToken(id: Int64, _ change: TokenChange, audit: AuditEntry) async throws -> Token {
        try await database.write { try $0.changeToken(id: id, change, audit: audit) }
    }

    public func deleteToken(id: Int64, audit: AuditEntry) async throws {
        try await database.write { try $0.deleteToken(id: id, audit: audit) }
    }

    public func touchTokens(_ accessed: [Int64: Int64]) async throws { try await database.write { try $0.touchTokens(accessed) } }
}

extension SQLSession {
    func createToken(_ token: Token, audit: AuditEntry) throws -> Token {
        let created = try insertToken(token)
        try insertAudit(audit.adding(.init("token_id", .integer(created.id)), .init("user_id", .integer(token.userID))))
        return created
    }

    func insertToken(_ token: Token) throws -> Token {
        let row = try unique("key_hash") {
            try first(
                """
                INSERT INTO tokens (user_id, key_hash, key_prefix, name, status, expires_at, models, limits, created_at, accessed_at,
                    conversion, is_management, account_id)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) RETURNING \(Columns.token)
                """,
                [
                    token.userID, token.keyHash, token.keyPrefix, token.name, token.status.rawValue, token.expiresAt,
                    JSONList.text(token.models), token.limits, token.createdAt, token.accessedAt, token.conversion?.rawValue,
                    token.isManagement, token.accountID,
                ])
        }
        guard let row else { throw StoreError.notFound }
        return try Decoding.token(row)
    }

    func token(id: Int64) throws -> Token? {
        try first("SELECT \(Columns.token) FROM tokens WHERE id = ?1", [id]).map { try withFormer(Decoding.token($0)) }
    }

    func token(keyHash: [UInt8]) throws -> Token? {
        try first("SELECT \(Columns.token) FROM tokens WHERE key_hash = ?1", [keyHash]).map { try withFormer(Decoding.token($0)) }
    }

    func tokens(_ query: TokenQuery) throws -> Page<Token> {
        var conditions = Conditions()
        conditions.add("user_id =", query.userID)
        conditions.add("account_id =", query.accountID)
        if query.isOwn { conditions.add(term: "account_id IS NULL") }
        conditions.add("status =", query.status?.rawValue)
        conditions.add(["name", "key_prefix"], contain: query.text, dialect)
        var sorting: Sorting?
        let direction = query.isAscending ? "ASC" : "DESC"
        let order: String
        switch query.order {
        // Ids are given in the order of creation.
        case .created: order = "id \(direction)"
        case .name: order = "lower(name) \(direction), id \(direction)"
        case .accessed: order = "coalesce(accessed_at, 0) \(direction), id \(direction)"
        case .spent:
            sorting = Sorting(join: { _ in " LEFT JOIN budget_usage b ON b.subject = 'key:' || tokens.id AND b.\"window\" = 0" })
            order = "coalesce(b.spent_nanos, 0) \(direction), id \(direction)"
        }
        return try page(Columns.token, of: "tokens", where: conditions, order: order, query.page, sorting: sorting) {
            try withFormer(Decoding.token($0))
        }
    }

    func allTokens() throws -> [Token] {
        let former = try formerSecrets()
        return try rows("SELECT \(Columns.token) FROM tokens ORDER BY id").map { row in
            var token = try Decoding.token(row)
            token.former = former[FormerSecret.setting(token.id)]
            return token
        }
    }

    func changeToken(id: Int64, _ change: TokenChange, audit: AuditEntry) throws -> Token {
        if let before = change.limitsBefore {
            let row = try first("SELECT limits FROM tokens WHERE id = ?1 \(dialect.forUpdate)", [id])
            if let row, try row.text("limits") != before {
                throw StoreError.conflict("the limits of this key were changed meanwhile; read them again")
            }
        }
        if change.secret != nil { try keepFormer(of: id, until: change.formerUntil) }
        var assignments = Assignments()
        assignments.set("key_hash", change.secret?.keyHash)
        assignments.set("key_prefix", change.secret?.keyPrefix)
        assignments.set("name", change.name)
        assignments.set("status", change.status?.rawValue)
        switch change.expiresAt {
        case .some(.some(let seconds)): assignments.set("expires_at", seconds)
        case .some(.none): assignments.setNull("expires_at")
        case .none: break
        }
        assignments.set("models", change.models.map(JSONList.text))
        assignments.set("limits", change.limits)
        switch change.conversion {
        case .some(.some(let mode)): assignments.set("conversion", mode.rawValue)
        case .some(.none): assignments.setNull("conversion")
        case .none: break
        }
        try unique("key_hash") { try assignments.update("tokens", id: id, self) }
        guard let token = try token(id: id) else { throw StoreError.notFound }
        // The table's trigger is older than this column.
        if change.conversion != nil { try announce(.tokens, "\(id)") }
        try insertAudit(audit.adding(.init("token_id", .integer(id)), .init("user_id", .integer(token.userID))))
        return token
    }

    func deleteToken(id: Int64, audit: AuditEntry) throws {
        if try execute("DELETE FROM tokens WHERE id = ?1", [id]) == 0 { throw StoreError.notFound }
        try removeSetting(FormerSecret.setting(id))
        try insertAudit(audit.adding(.init("token_id", .integer(id))))
    }

    func touchTokens(_ accessed: [Int64: Int64]) throws {
        for (id, seconds) in accessed.sorted(by: { $0.key < $1.key }) {
            try execute("UPDATE tokens SET accessed_at = ?1 WHERE id = ?2", [seconds, id])
        }
    }
}

/// A replaced secret is a setting beside its key's row: few keys have one, and never for long.
extension FormerSecret {
    /// The settings of all keys begin with this.
    fileprivate static let prefix = "token.former."

    static func setting(_ tokenID: Int64) -> String { "\(prefix)\(tokenID)" }

    fileprivate var text: String { "\(until) \(Hex.text(keyHash))" }

    /// - Returns: nil for a text that is none of these.
    fileprivate init?(text: String) {
        let parts = text.split(separator: " ")
        guard parts.count == 2, let until = Int64(parts[0]), let hash = Hex.bytes(String(parts[1])) else { return nil }
        self.init(keyHash: hash, until: until)
    }
}

extension SQLSession {
    func withFormer(_ token: Token) throws -> Token {
        var token = token
        token.former = try setting(FormerSecret.setting(token.id)).flatMap { FormerSecret(text: $0) }
        return token
    }

    /// By their settings.
    private func formerSecrets() throws -> [String: FormerSecret] {
        let prefix = FormerSecret.prefix
        let found = try rows("SELECT key, value FROM settings WHERE substr(key, 1, \(prefix.utf8.count)) = ?1", [prefix])
        return Dictionary(try found.map { (try $0.text("key"), FormerSecret(text: try $0.text("value"))) }) { one, _ in one }
            .compactMapValues { $0 }
    }

    /// Before the secret of a key is replaced.
    private func keepFormer(of id: Int64, until: Int64?) throws {
        let row = try first("SELECT key_hash FROM tokens WHERE id = ?1 \(dialect.forUpdate)", [id])
        guard let until, let hash = try row?.bytes("key_hash") else { return try removeSetting(FormerSecret.setting(id)) }
        try set(FormerSecret.setting(id), FormerSecret(keyHash: hash, until: until).text)
    }
}
