import RouterCore

/// A walk through a table from its newest row to its oldest, along one index, of a bounded number of steps. A row of the table that is not
/// asked for costs a step, too; so a call takes about the same time whatever is asked for.
struct CursorScan {
    let table: String
    let kind: RowRanges.Kind
    /// The columns that the index begins with, each with the value that is wanted. Empty = the primary key.
    var index: [(column: String, value: SQLValue)] = []
    /// A condition that a partial index has, word by word.
    var partial: String?
    /// The other filters.
    private(set) var others: [(comparison: String, value: SQLValue)] = []
    private(set) var terms: [String] = []
    private(set) var from: Int64?
    private(set) var to: Int64?

    /// Rows that are looked at by one call, where not all of them are asked for.
    static let steps = 5_000

    init(_ table: String, _ kind: RowRanges.Kind) {
        self.table = table
        self.kind = kind
    }

    mutating func require(_ comparison: String, _ value: SQLValue?) {
        if let value { others.append((comparison, value)) }
    }

    /// A condition without a parameter, on columns that no index has.
    mutating func require(term: String) { terms.append(term) }

    /// Unix seconds, inclusive.
    mutating func require(from: Int64?, to: Int64?) {
        require("created_at >=", from.map { .integer($0) })
        require("created_at <=", to.map { .integer($0) })
        self.from = from
        self.to = to
    }

    /// - Parameters:
    ///   - columns: `id` among them.
    ///   - before: only rows with smaller ids.
    ///   - steps: how many rows are looked at.
    func page<Item>(
        _ session: some SQLSession, _ columns: String, before: Int64, size: Int, steps: Int = Self.steps,
        _ item: (SQLRow) throws -> Item
    ) throws -> CursorPage<Item> {
        var (least, end) = (Int64.min, before)
        if from != nil || to != nil {
            guard let ids = try session.ids(kind, from: from, to: to) else { return CursorPage(items: [], nextBefore: nil) }
            least = ids.lowerBound
            if ids.upperBound < .max { end = min(end, ids.upperBound + 1) }
        }
        var floor: Int64?
        if !others.isEmpty || !terms.isEmpty {
            let (walk, parameters) = walk(session.dialect, from: least, before: end)
            let sql = "SELECT id FROM \(table) WHERE \(walk) ORDER BY \(order(session.dialect)) LIMIT 1 OFFSET ?\(parameters.count + 1)"
            floor = try session.first(sql, parameters + [steps])?.int("id")
        }
        var (condition, parameters) = walk(session.dialect, from: floor ?? least, before: end)
        for (comparison, value) in others {
            parameters.append(value)
            // The plus keeps SQLite from another index, which would not come in the order of the ids.
            condition += " AND \(session.dialect == .sqlite ? "+" : "")\(comparison) ?\(parameters.count)"
        }
        for term in terms { condition += " AND \(term)" }
        parameters.append(SQLValue.integer(Int64(size) + 1))
        let rows = try session.rows(
            "SELECT \(columns) FROM \(table) WHERE \(condition) ORDER BY \(order(session.dialect)) LIMIT ?\(parameters.count)", parameters)
        let items = try rows.prefix(size).map(item)
        if rows.count > size { return CursorPage(items: items, nextBefore: try rows[size - 1].int("id")) }
        return CursorPage(items: items, nextBefore: floor)
    }

    /// The part of the index, as a condition with its parameters.
    private func walk(_ dialect: SQLDialect, from least: Int64, before end: Int64) -> (sql: String, parameters: [any SQLParameter]) {
        let values = index.map(\.value)
        let term = partial.map { " AND \($0)" } ?? ""
        if dialect == .sqlite {
            let equal = index.enumerated().map { "\($0.element.column) = ?\($0.offset + 1) AND " }.joined()
            let count = values.count
            return ("\(equal)id >= ?\(count + 1) AND id < ?\(count + 2)\(term)", values + [least, end])
        }
        // PostgreSQL would rather walk along the primary key, where it takes a value to be frequent. Rows compared as a whole have the
        // order of this index only.
        let columns = (index.map(\.column) + ["id"]).joined(separator: ", ")
        let count = values.count + 1
        let low = (1...count).map { "?\($0)" }.joined(separator: ", ")
        let high = (count + 1...2 * count).map { "?\($0)" }.joined(separator: ", ")
        return ("(\(columns)) >= (\(low)) AND (\(columns)) < (\(high))\(term)", values + [least] + values + [end])
    }

    private func order(_ dialect: SQLDialect) -> String {
        dialect == .sqlite ? "id DESC" : (index.map(\.column) + ["id"]).map { "\($0) DESC" }.joined(separator: ", ")
    }
}

extension SQLStore {
    public func logs(_ query: LogQuery, before: Int64) async throws -> CursorPage<LogRow> {
        try await database.read { try $0.logs(query, before: before) }
    }

    public func entries(_ query: EntryQuery, before: Int64, size: Int) async throws -> CursorPage<LedgerEntry> {
        try await database.read { try $0.entries(query, before: before, size: size) }
    }

    public func names(tokens: Set<Int64>, users: Set<Int64>) async throws -> RecordNames {
        try await database.read { try $0.names(tokens: tokens, users: users) }
    }
}

extension CursorScan {
    private static let ofOrganizations = "account_id IS NOT NULL"

    /// Along the index of what is asked for that is rarest by its nature.
    init(_ query: LogQuery) {
        self.init("logs", .log)
        require(from: query.from, to: query.to)
        require("provider =", query.provider.map { .text($0) })
        var filters: [(column: String, value: SQLValue)] = []
        if let token = query.tokenID { filters.append(("token_id", .integer(token))) }
        if let account = query.accountID {
            filters.append(("account_id", .integer(account)))
            partial = filters.count == 1 ? Self.ofOrganizations : nil
        }
        if let user = query.userID { filters.append(("user_id", .integer(user))) }
        if let model = query.model { filters.append(("model_name", .text(model))) }
        if let channel = query.channelID { filters.append(("channel_id", .integer(channel))) }
        if let outcome = query.outcome {
            if filters.isEmpty, outcome != .completed { partial = "outcome <> 'completed'" }
            if outcome == .completed {
                // Most are: no index has them.
                require("outcome =", .text(outcome.rawValue))
            } else {
                filters.append(("outcome", .text(outcome.rawValue)))
            }
        }
        var indexed = min(filters.count, 1)
        // Members of an organisation have an index of their own.
        if filters.count > 1, filters[0].column == "account_id", filters[1].column == "user_id" { indexed = 2 }
        index = Array(filters.prefix(indexed))
        for filter in filters.dropFirst(indexed) { require("\(filter.column) =", filter.value) }
    }

    init(_ query: EntryQuery) {
        self.init("balance_transactions", .entry)
        require(from: query.from, to: query.to)
        if let account = query.accountID {
            index.append(("account_id", .integer(account)))
            if let user = query.userID { index.append(("user_id", .integer(user))) }
            partial = Self.ofOrganizations
            require("type =", query.kind.map { .text($0.rawValue) })
            return
        }
        if let user = query.userID {
            index.append(("user_id", .integer(user)))
            require(term: "account_id IS NULL")
        }
        guard let kind = query.kind else { return }
        if kind == .usage {
            require("type =", .text(kind.rawValue))
        } else {
            index.append(("type", .text(kind.rawValue)))
            partial = "type <> 'usage'"
        }
    }
}

extension SQLSession {
    func logs(_ query: LogQuery, before: Int64) throws -> CursorPage<LogRow> {
        if query.requestID != nil {
            // One row at most.
            var one = query
            one.page = PageRequest(page: 1, size: 1)
            return CursorPage(items: try logs(one).items.filter { $0.id < before }, nextBefore: nil)
        }
        return try CursorScan(query).page(self, Columns.log, before: before, size: query.page.size) { row in
            LogRow(id: try row.int("id"), record: try RecordColumns.record(row))
        }
    }

    func entries(_ query: EntryQuery, before: Int64, size: Int) throws -> CursorPage<LedgerEntry> {
        try CursorScan(query).page(self, Columns.entry, before: before, size: size) { try Decoding.entry($0) }
    }

    func names(tokens: Set<Int64>, users: Set<Int64>) throws -> RecordNames {
        var names = RecordNames()
        for id in tokens {
            guard let row = try first("SELECT name, user_id FROM tokens WHERE id = ?1", [id]) else { continue }
            names.tokens[id] = try row.text("name")
            names.owners[id] = try row.int("user_id")
        }
        for id in users { names.users[id] = try first("SELECT username FROM users WHERE id = ?1", [id])?.text("username") }
        return names
    }
}
