import Foundation
import GRDB
import NIOCore
import RouterCore

extension [UInt8] {
    var data: Data { Data(self) }
}

extension SQLiteStore {
    static let tokenColumns =
        "id, user_id, key_hash, key_prefix, name, status, expires_at, models, limits, created_at, accessed_at"

    static func fetchToken(_ db: Database, id: Int64) throws -> Token? {
        try Row.fetchOne(db, sql: "SELECT \(tokenColumns) FROM tokens WHERE id = ?", arguments: [id]).map { try Decoding.token($0) }
    }

    public func createToken(_ token: Token, audit: AuditEntry) async throws -> Token {
        try await write { db in
            try Self.insertToken(token, db)
            var created = token
            created.id = db.lastInsertedRowID
            try Self.insertAudit(audit.adding(.init("token_id", .integer(created.id)), .init("user_id", .integer(token.userID))), db)
            return created
        }
    }

    static func insertToken(_ token: Token, _ db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO tokens (user_id, key_hash, key_prefix, name, status, expires_at, models, limits, created_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                token.userID, token.keyHash.data, token.keyPrefix, token.name, token.status.rawValue, token.expiresAt,
                JSONList.text(token.models), token.limits, token.createdAt,
            ])
    }

    public func token(id: Int64) async throws -> Token? { try await read { try Self.fetchToken($0, id: id) } }

    public func tokens(userID: Int64?, _ page: PageRequest) async throws -> Page<Token> {
        try await read { db in
            let condition = userID == nil ? "TRUE" : "user_id = ?"
            let owner: [any DatabaseValueConvertible] = userID.map { [$0] } ?? []
            let rows = try Row.fetchAll(
                db,
                sql: "SELECT \(Self.tokenColumns) FROM tokens WHERE \(condition) ORDER BY id DESC LIMIT ? OFFSET ?",
                arguments: StatementArguments(owner + [page.size, page.offset]))
            let total = try Int64.fetchOne(
                db, sql: "SELECT count(*) FROM tokens WHERE \(condition)", arguments: StatementArguments(owner))
            return Page(items: try rows.map { try Decoding.token($0) }, total: total ?? 0)
        }
    }

    public func allTokens() async throws -> [Token] {
        try await read { db in try Row.fetchAll(db, sql: "SELECT \(Self.tokenColumns) FROM tokens").map { try Decoding.token($0) } }
    }

    public func changeToken(id: Int64, _ change: TokenChange, audit: AuditEntry) async throws -> Token {
        try await write { db in
            var assignments = Assignments()
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
                let stored = try String.fetchOne(db, sql: "SELECT limits FROM tokens WHERE id = ?", arguments: [id])
                if let stored, stored != before { throw StoreError.limitsChanged }
            }
            try assignments.update("tokens", id: id, db)
            guard let token = try Self.fetchToken(db, id: id) else { throw StoreError.notFound }
            try Self.insertAudit(audit.adding(.init("token_id", .integer(id)), .init("user_id", .integer(token.userID))), db)
            return token
        }
    }

    public func deleteToken(id: Int64, audit: AuditEntry) async throws {
        try await write { db in
            try db.execute(sql: "DELETE FROM tokens WHERE id = ?", arguments: [id])
            if db.changesCount == 0 { throw StoreError.notFound }
            try Self.insertAudit(audit.adding(.init("token_id", .integer(id))), db)
        }
    }

    public func touchTokens(_ accessed: [Int64: Int64]) async throws {
        try await write { db in
            let statement = try db.cachedStatement(sql: "UPDATE tokens SET accessed_at = ? WHERE id = ?")
            for (id, seconds) in accessed.sorted(by: { $0.key < $1.key }) {
                try statement.execute(arguments: [seconds, id])
            }
        }
    }
}

/// Lists of strings as JSON text.
enum JSONList {
    static func text(_ strings: [String]) -> String { JSONValue.array(strings.map { .string($0) }).text }

    static func strings(_ text: String) -> [String] {
        (try? JSONValue(parsing: ByteBuffer(string: text)))?.arrayValue?.compactMap(\.stringValue) ?? []
    }
}
