import NIOCore
import RouterCore

/// The columns that values are read from, in place of `*`, which would also read what is there for people only.
enum Columns {
    static let user = """
        id, username, display_name, email, role, status, "group", limits, balance_nanos, created_at, kind, group_source
        """
    static let token = """
        id, user_id, key_hash, key_prefix, name, status, expires_at, models, limits, conversion, created_at, accessed_at, is_management,
        account_id
        """
    static let accessToken = "hash, user_id, created_at, used_at, expires_at, client_ip, user_agent"
    static let entry = """
        id, user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at, account_id, source,
        gift_nanos
        """
    static let log = "id, " + RecordColumns.list

    /// The account whose balance a row of `balance_transactions` has moved.
    /// - Parameter row: the table's name in the statement.
    static func payer(_ row: String) -> String { "coalesce(\(row).account_id, \(row).user_id)" }
}

/// Lists of strings as JSON text.
enum JSONList {
    static func text(_ strings: [String]) -> String { JSONValue.array(strings.map { .string($0) }).text }

    static func strings(_ text: String) -> [String] {
        (try? JSONValue(parsing: ByteBuffer(string: text)))?.arrayValue?.compactMap(\.stringValue) ?? []
    }
}

/// Rows of the tables as values.
enum Decoding {
    static func user(_ row: some ColumnReader) throws -> User {
        User(
            id: try row.int("id"), username: try row.text("username"), displayName: try row.text("display_name"),
            email: try row.text("email"), role: Role(rawValue: Int(try row.int("role"))) ?? .user,
            status: UserStatus(rawValue: Int(try row.int("status"))) ?? .disabled, group: try row.text("group"),
            limits: try row.text("limits"), balance: NanoUSD(nanos: try row.int("balance_nanos")),
            createdAt: try row.int("created_at"), kind: AccountKind(rawValue: try row.text("kind")) ?? .organization,
            groupSource: try row.textOrNil("group_source").flatMap { User.GroupSource(rawValue: $0) })
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
            // A choice that this program does not know is taken for the stricter one.
            conversion: try row.textOrNil("conversion").map { ConversionMode(rawValue: $0) ?? .strict },
            createdAt: try row.int("created_at"), accessedAt: try row.intOrNil("accessed_at"), isManagement: try row.flag("is_management"),
            accountID: try row.intOrNil("account_id"))
    }

    static func entry(_ row: some ColumnReader) throws -> LedgerEntry {
        LedgerEntry(
            id: try row.int("id"), userID: try row.int("user_id"), amount: NanoUSD(nanos: try row.int("amount_nanos")),
            balanceAfter: NanoUSD(nanos: try row.int("balance_after_nanos")),
            kind: TransactionKind(rawValue: try row.text("type")) ?? .adjustment, referenceID: try row.text("reference_id"),
            description: try row.text("description"), createdAt: try row.int("created_at"), accountID: try row.intOrNil("account_id"),
            source: try row.textOrNil("source"), gift: try row.intOrNil("gift_nanos").map { NanoUSD(nanos: $0) })
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
            nextAt: try row.int("next_at"), note: try row.text("note"), createdAt: try row.int("created_at"),
            accountID: try row.intOrNil("account_id"))
    }

    static func margin(_ row: some ColumnReader) throws -> MarginRow {
        MarginRow(
            model: try row.text("model_name"), channelID: try row.intOrNil("channel_id"), requests: try row.int("requests"),
            charged: NanoUSD(nanos: try row.int("charged")), upstreamCost: NanoUSD(nanos: try row.int("upstream")),
            cost: NanoUSD(nanos: try row.int("cost")), unknownCost: try row.int("unknown"),
            unknownCharge: NanoUSD(nanos: try row.int("unknown_charge")))
    }

    static func dailyCost(_ row: some ColumnReader) throws -> DailyCost {
        DailyCost(
            day: try row.text("day"), requests: try row.int("requests"), upstreamCost: NanoUSD(nanos: try row.int("cost")))
    }

    static func audit(_ row: some ColumnReader) throws -> AuditRow {
        AuditRow(
            id: try row.int("id"), actorID: try row.intOrNil("actor_id"), action: try row.text("action"),
            detail: try row.text("detail"), clientIP: try row.text("client_ip"), createdAt: try row.int("created_at"))
    }

    static func life(_ row: some ColumnReader) throws -> GatewayLife {
        GatewayLife(
            incarnation: try row.text("incarnation"), gatewayID: try row.text("gateway_id"), beats: try row.int("beats"),
            isFenced: try row.flag("is_fenced"), lifetime: try row.int("lifetime"), startedAt: try row.int("started_at"),
            seenAt: try row.int("seen_at"), silence: try row.int("silence"))
    }

    static func lease(_ row: some ColumnReader) throws -> LeaseState {
        LeaseState(balance: NanoUSD(nanos: try row.int("balance")), lease: NanoUSD(nanos: try row.int("lease")))
    }
}
