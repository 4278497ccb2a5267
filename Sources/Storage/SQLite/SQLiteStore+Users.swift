import GRDB
import RouterCore

extension SQLiteStore {
    static let userColumns = "id, username, display_name, email, role, status, \"group\", limits, balance_nanos, created_at"

    static func fetchUser(_ db: Database, id: Int64) throws -> User? {
        try Row.fetchOne(db, sql: "SELECT \(userColumns) FROM users WHERE id = ?", arguments: [id])
            .map { try Decoding.user($0) }
    }

    public func createUser(_ user: NewUser, audit: AuditEntry) async throws -> User {
        try await write { db in
            try db.execute(
                sql: """
                    INSERT INTO users (username, password_hash, display_name, email, role, "group", created_at)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    user.username, user.passwordHash, user.displayName, user.email, user.role.rawValue, user.group,
                    user.createdAt,
                ])
            guard let created = try Self.fetchUser(db, id: db.lastInsertedRowID) else { throw StoreError.notFound }
            try Self.insertAudit(audit.adding(.init("user_id", .integer(created.id))), db)
            return created
        }
    }

    public func user(id: Int64) async throws -> User? { try await read { try Self.fetchUser($0, id: id) } }

    public func userForLogin(username: String) async throws -> (user: User, passwordHash: String)? {
        try await read { db in
            let row = try Row.fetchOne(
                db, sql: "SELECT \(Self.userColumns), password_hash FROM users WHERE username = ?", arguments: [username])
            return try row.map { (try Decoding.user($0), $0["password_hash"]) }
        }
    }

    public func users(_ page: PageRequest) async throws -> Page<User> {
        try await read { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT \(Self.userColumns) FROM users ORDER BY id DESC LIMIT ? OFFSET ?",
                arguments: [page.size, page.offset])
            return Page(
                items: try rows.map { try Decoding.user($0) }, total: try Int64.fetchOne(db, sql: "SELECT count(*) FROM users") ?? 0)
        }
    }

    public func allUsers() async throws -> [User] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT \(Self.userColumns) FROM users ORDER BY id").map { try Decoding.user($0) }
        }
    }

    public func changeUser(id: Int64, _ change: UserChange, audit: AuditEntry) async throws -> User {
        try await write { db in
            if let expected = change.expectedPasswordHash {
                let stored = try String.fetchOne(db, sql: "SELECT password_hash FROM users WHERE id = ?", arguments: [id])
                guard stored == expected else { throw StoreError.conflict(UserChange.otherPassword) }
            }
            var assignments = Assignments()
            assignments.set("username", change.username)
            assignments.set("password_hash", change.passwordHash)
            assignments.set("display_name", change.displayName)
            assignments.set("email", change.email)
            assignments.set("role", change.role?.rawValue)
            assignments.set("status", change.status?.rawValue)
            assignments.set("\"group\"", change.group)
            assignments.set("limits", change.limits)
            try assignments.update("users", id: id, db)
            guard let user = try Self.fetchUser(db, id: id) else { throw StoreError.notFound }
            if change.endsManagementTokens { try Self.endTokens(userID: id, except: change.keptManagementToken, db) }
            try Self.insertAudit(audit.adding(.init("user_id", .integer(id))), db)
            return user
        }
    }

    public func deleteUser(id: Int64, audit: AuditEntry) async throws {
        try await write { db in
            guard let user = try Self.fetchUser(db, id: id) else { throw StoreError.notFound }
            let hasRows =
                try Bool.fetchOne(
                    db, sql: "SELECT EXISTS (SELECT 1 FROM balance_transactions WHERE user_id = ?)", arguments: [id]) ?? false
            if hasRows {
                // Books are kept: the name becomes free, the account can do nothing.
                try db.execute(
                    sql: "UPDATE users SET status = 2, username = ?, password_hash = '', email = '' WHERE id = ?",
                    arguments: ["deleted-\(id)-\(user.username)", id])
                try db.execute(sql: "DELETE FROM tokens WHERE user_id = ?", arguments: [id])
                try db.execute(sql: "DELETE FROM access_tokens WHERE user_id = ?", arguments: [id])
                try db.execute(sql: "DELETE FROM login_addresses WHERE user_id = ?", arguments: [id])
            } else {
                try db.execute(sql: "DELETE FROM balance_leases WHERE user_id = ?", arguments: [id])
                try db.execute(sql: "DELETE FROM users WHERE id = ?", arguments: [id])
            }
            try Self.insertAudit(audit.adding(.init("user_id", .integer(id))), db)
        }
    }

    // MARK: Management tokens

    public func endManagementTokens(userID: Int64, except kept: [UInt8]?, audit: AuditEntry) async throws {
        try await write { db in
            try Self.endTokens(userID: userID, except: kept, db)
            try Self.insertAudit(audit.adding(.init("user_id", .integer(userID))), db)
        }
    }

    private static func endTokens(userID: Int64, except kept: [UInt8]?, _ db: Database) throws {
        try db.execute(
            sql: "DELETE FROM access_tokens WHERE user_id = ? AND hash IS NOT ?", arguments: [userID, kept?.data])
    }
}

/// The SET list of an update that names only what changes.
struct Assignments {
    private var columns: [String] = []
    private var values: [(any DatabaseValueConvertible)?] = []

    mutating func set(_ column: String, _ value: (any DatabaseValueConvertible)?) {
        guard let value else { return }
        columns.append("\(column) = ?")
        values.append(value)
    }

    mutating func setNull(_ column: String) {
        columns.append("\(column) = NULL")
    }

    /// Column names are ours, values are parameters.
    /// - Throws: ``StoreError/notFound``.
    func update(_ table: String, id: Int64, _ db: Database) throws {
        if columns.isEmpty { return }
        try db.execute(
            sql: "UPDATE \(table) SET \(columns.joined(separator: ", ")) WHERE id = ?",
            arguments: StatementArguments(values + [id]))
        if db.changesCount == 0 { throw StoreError.notFound }
    }
}

extension PageRequest {
    var offset: Int { (page - 1) * size }
}
