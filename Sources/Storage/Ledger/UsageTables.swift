import RouterCore

/// The tables that keep sums of the log.
enum UsageTable: CaseIterable {
    /// Users by quarter hour, with everything that there is to tell apart.
    case byKey
    /// All users together, by quarter hour, hour and day.
    case byChannel
    /// Users and their keys, by hour and day.
    case byUser
    /// Organisations, by quarter hour, hour and day: what their members, keys and models have used.
    case byAccount

    var name: String {
        switch self {
        case .byKey: "usage_by_key"
        case .byChannel: "usage_by_channel"
        case .byUser: "usage_by_user"
        case .byAccount: "usage_by_account"
        }
    }

    /// Columns of the primary key, numbers before texts.
    var keys: [String] {
        switch self {
        case .byKey: ["user_id", "start", "token_id", "channel_id", "provider", "model_name"]
        case .byChannel: ["span", "start", "channel_id", "provider", "model_name"]
        case .byUser: ["span", "start", "user_id", "token_id"]
        case .byAccount: ["span", "account_id", "start", "user_id", "token_id", "model_name"]
        }
    }

    /// Seconds that a row may stand for, the longest first.
    var spans: [Int64] {
        switch self {
        case .byKey: [UsageTable.quarter]
        case .byChannel, .byAccount: [86_400, 3_600, UsageTable.quarter]
        case .byUser: [86_400, 3_600]
        }
    }

    /// The shortest span. Every time zone in use is a whole number of them away from UTC.
    static let quarter: Int64 = 900

    /// The beginning of the span that a time is in.
    static func start(_ seconds: Int64, span: Int64 = quarter) -> Int64 { seconds - seconds % span }

    var columns: [String] { keys + UsageSums.figureColumns + UsageSums.classColumns }

    /// Behind an INSERT: adds to the row that is there. A sum stays at the end of its range.
    var addition: String {
        let figures = UsageSums.figureColumns.map { column in
            """
            \(column) = CASE WHEN excluded.\(column) > 0 AND \(name).\(column) > 9223372036854775807 - excluded.\(column)
                THEN 9223372036854775807 ELSE \(name).\(column) + excluded.\(column) END
            """
        }
        let classes = UsageSums.classColumns.map { "\($0) = coalesce(\(name).\($0) + excluded.\($0), \(name).\($0), excluded.\($0))" }
        return "ON CONFLICT (\(keys.joined(separator: ", "))) DO UPDATE SET " + (figures + classes).joined(separator: ", ")
    }
}

/// The columns that tell the rows of ``UsageTable/byKey`` apart, and the organisation that pays.
struct UsageKey: Hashable {
    var userID: Int64
    /// nil = the user's own account.
    var accountID: Int64?
    var start: Int64
    var tokenID: Int64
    var channelID: Int64
    var provider: String
    var model: String

    init(_ record: RequestRecord) {
        userID = record.userID
        accountID = record.accountID
        start = UsageTable.start(record.createdAt)
        tokenID = record.tokenID ?? 0
        channelID = record.channelID ?? 0
        provider = record.provider
        model = record.model
    }
}

/// The key of a row of any of the tables, in the order of its columns.
struct UsageRowKey: Hashable, Comparable {
    var numbers: [Int64]
    var texts: [String] = []

    static func < (left: UsageRowKey, right: UsageRowKey) -> Bool {
        if left.numbers != right.numbers { return left.numbers.lexicographicallyPrecedes(right.numbers) }
        return left.texts.lexicographicallyPrecedes(right.texts)
    }

    var values: [SQLValue] { numbers.map { .integer($0) } + texts.map { .text($0) } }
}

extension LedgerSession {
    /// Adds records whose rows of the log are new.
    func addUsage(_ records: [RequestRecord]) throws {
        var sums: [UsageKey: UsageSums] = [:]
        for record in records { sums[UsageKey(record), default: UsageSums()].add(UsageSums(record)) }
        try addUsage(sums)
    }

    /// Adds to the sums of all tables, in a fixed order of tables and of their keys, so that no two transactions wait for each other.
    func addUsage(_ sums: [UsageKey: UsageSums]) throws {
        guard !sums.isEmpty else { return }
        for table in UsageTable.allCases {
            var rows: [UsageRowKey: UsageSums] = [:]
            for (key, sum) in sums {
                for row in key.rows(of: table) { rows[row, default: UsageSums()].add(sum) }
            }
            if !rows.isEmpty { try add(rows.sorted { $0.key < $1.key }, to: table) }
        }
    }
}

extension UsageKey {
    fileprivate func rows(of table: UsageTable) -> [UsageRowKey] {
        table.spans.compactMap { span in
            let start = UsageTable.start(start, span: span)
            return switch table {
            case .byKey: UsageRowKey(numbers: [userID, start, tokenID, channelID], texts: [provider, model])
            case .byChannel: UsageRowKey(numbers: [span, start, channelID], texts: [provider, model])
            case .byUser: UsageRowKey(numbers: [span, start, userID, tokenID])
            case .byAccount: accountID.map { UsageRowKey(numbers: [span, $0, start, userID, tokenID], texts: [model]) }
            }
        }
    }
}
