import Foundation
import GRDB
import NIOCore
import RouterCore

/// A row of either database, read by column name.
protocol ColumnReader {
    func intOrNil(_ column: String) throws -> Int64?
    func textOrNil(_ column: String) throws -> String?
    func flag(_ column: String) throws -> Bool
    func bytes(_ column: String) throws -> [UInt8]
}

extension ColumnReader {
    func int(_ column: String) throws -> Int64 {
        guard let value = try intOrNil(column) else { throw StoreError.database("the column \(column) is NULL") }
        return value
    }

    func text(_ column: String) throws -> String {
        guard let value = try textOrNil(column) else { throw StoreError.database("the column \(column) is NULL") }
        return value
    }
}

extension Row: ColumnReader {
    func intOrNil(_ column: String) throws -> Int64? { self[column] }
    func textOrNil(_ column: String) throws -> String? { self[column] }
    func flag(_ column: String) throws -> Bool { self[column] }
    func bytes(_ column: String) throws -> [UInt8] { Array(self[column] as Data) }
}

/// A version of a price as `model_pricing_history` keeps it: a JSON object of texts.
struct HistoryRow: ColumnReader {
    private let value: JSONValue

    init(_ text: String) throws { value = try JSONValue(parsing: ByteBuffer(string: text)) }

    func textOrNil(_ column: String) throws -> String? { value[column]?.stringValue }
    func intOrNil(_ column: String) throws -> Int64? { value[column]?.stringValue.flatMap { Int64($0) } }
    func flag(_ column: String) throws -> Bool { value[column]?.stringValue == "1" }
    func bytes(_ column: String) throws -> [UInt8] { [] }
}

/// Rows of the tables as values, for both databases.
enum Decoding {
    static func user(_ row: some ColumnReader) throws -> User {
        User(
            id: try row.int("id"), username: try row.text("username"), displayName: try row.text("display_name"),
            email: try row.text("email"), role: Role(rawValue: Int(try row.int("role"))) ?? .user,
            status: UserStatus(rawValue: Int(try row.int("status"))) ?? .disabled, group: try row.text("group"),
            limits: try row.text("limits"), balance: NanoUSD(nanos: try row.int("balance_nanos")),
            createdAt: try row.int("created_at"))
    }

    static func accessToken(_ row: some ColumnReader) throws -> AccessToken {
        AccessToken(
            hash: try row.bytes("hash"), userID: try row.int("user_id"), createdAt: try row.int("created_at"),
            usedAt: try row.int("used_at"), expiresAt: try row.intOrNil("expires_at"), clientIP: try row.text("client_ip"),
            userAgent: try row.text("user_agent"))
    }

    static func token(_ row: some ColumnReader) throws -> Token {
        Token(
            id: try row.int("id"), userID: try row.int("user_id"), keyHash: try row.bytes("key_hash"),
            keyPrefix: try row.text("key_prefix"), name: try row.text("name"),
            status: TokenStatus(rawValue: Int(try row.int("status"))) ?? .disabled, expiresAt: try row.intOrNil("expires_at"),
            models: JSONList.strings(try row.text("models")), limits: try row.text("limits"),
            createdAt: try row.int("created_at"), accessedAt: try row.intOrNil("accessed_at"))
    }

    static func entry(_ row: some ColumnReader) throws -> LedgerEntry {
        LedgerEntry(
            id: try row.int("id"), userID: try row.int("user_id"), amount: NanoUSD(nanos: try row.int("amount_nanos")),
            balanceAfter: NanoUSD(nanos: try row.int("balance_after_nanos")),
            kind: TransactionKind(rawValue: try row.text("type")) ?? .adjustment, referenceID: try row.text("reference_id"),
            description: try row.text("description"), createdAt: try row.int("created_at"))
    }

    static func health(_ row: some ColumnReader) throws -> ChannelHealthRow {
        let channel = try row.int("channel_id")
        let account = try row.text("account")
        let credential = Int(try row.int("credential"))
        let model = try row.text("model")
        let (kind, isWished) = ChannelHealthRow.kind(stored: try row.textOrNil("kind"))
        return ChannelHealthRow(
            scope: HealthScope(
                channelID: channel == 0 ? nil : channel, account: account.isEmpty ? nil : account,
                keyIndex: credential == -2 ? nil : credential, model: model.isEmpty ? nil : model),
            state: ChannelHealthRow.State(rawValue: try row.text("state")) ?? .closed,
            kind: kind, openUntil: try row.intOrNil("open_until"),
            failures: Int(try row.int("failures")), openings: Int(try row.int("openings")),
            isWished: isWished)
    }

    static func reconciliation(_ row: some ColumnReader) throws -> ReconciliationRow {
        guard let id = RequestID(try row.text("request_id")) else {
            throw StoreError.database("a row of reconciliations has no request id")
        }
        return ReconciliationRow(
            requestID: id, userID: try row.int("user_id"), channelID: try row.intOrNil("channel_id"),
            provider: try row.text("provider"), model: try row.text("model_name"), generationID: try row.textOrNil("generation_id"),
            charge: NanoUSD(nanos: try row.int("charge_nanos")),
            state: ReconciliationRow.State(rawValue: try row.text("state")) ?? .unresolved, tries: Int(try row.int("tries")),
            nextAt: try row.int("next_at"), note: try row.text("note"), createdAt: try row.int("created_at"))
    }

    static func margin(_ row: some ColumnReader) throws -> MarginRow {
        MarginRow(
            model: try row.text("model_name"), channelID: try row.intOrNil("channel_id"), requests: try row.int("requests"),
            charged: NanoUSD(nanos: try row.int("charged")), upstreamCost: NanoUSD(nanos: try row.int("cost")),
            unknownCost: try row.int("unknown"))
    }

    static func dailyCost(_ row: some ColumnReader) throws -> DailyCost {
        DailyCost(
            day: try row.text("day"), requests: try row.int("requests"), upstreamCost: NanoUSD(nanos: try row.int("cost")))
    }
}
