/// The WHERE clause for what is asked for, and its parameters. Only that is named: `?1 IS NULL OR …` would keep databases from their
/// indexes.
struct Conditions {
    private var terms = ["TRUE"]
    private(set) var parameters: [any SQLParameter] = []

    var sql: String { terms.joined(separator: " AND ") }

    /// - Parameters:
    ///   - comparison: `user_id =`; the parameter stands behind it.
    ///   - value: nil = nothing is asked for.
    mutating func add(_ comparison: String, _ value: (some SQLParameter)?) {
        guard let value else { return }
        parameters.append(value)
        terms.append("\(comparison) ?\(parameters.count)")
    }

    /// A condition without a parameter.
    mutating func add(term: String) { terms.append(term) }

    /// Texts that contain a text, without case.
    /// - Parameters:
    ///   - columns: any of them.
    ///   - id: also the row whose id the text is.
    mutating func add(_ columns: [String], contain text: String?, orID id: String? = nil, _ dialect: SQLDialect) {
        guard let text, !text.isEmpty else { return }
        let plain = text.reduce(into: "") { $0 += ["%", "_", "!"].contains($1) ? "!\($1)" : "\($1)" }
        parameters.append("%\(plain)%")
        var any = columns.map { dialect.contains($0, "?\(parameters.count)") }
        if let id, let number = Int64(text) {
            parameters.append(number)
            any.append("\(id) = ?\(parameters.count)")
        }
        terms.append("(\(any.joined(separator: " OR ")))")
    }

    /// - Parameter term: without parameters.
    mutating func require(_ term: String) { terms.append(term) }
}

/// The SET list of an update that names only what changes. Column names are ours, values are parameters.
struct Assignments {
    private var columns: [String] = []
    private var values: [any SQLParameter] = []

    /// - Parameter value: nil = the column stays as it is.
    mutating func set(_ column: String, _ value: (some SQLParameter)?) {
        guard let value else { return }
        values.append(value)
        columns.append("\(column) = ?\(values.count)")
    }

    mutating func setNull(_ column: String) { columns.append("\(column) = NULL") }

    /// - Throws: ``StoreError/notFound``, where there is something to change.
    func update(_ table: String, id: Int64, _ session: some SQLSession) throws {
        if columns.isEmpty { return }
        let sql = "UPDATE \(table) SET \(columns.joined(separator: ", ")) WHERE id = ?\(values.count + 1)"
        if try session.execute(sql, values + [id]) == 0 { throw StoreError.notFound }
    }
}

/// An order that no index has: ids alone are sorted, and the rest is read of those that are shown.
struct Sorting {
    /// The join that the order needs, given the mark of ``value``. It neither adds rows nor removes any.
    var join: (_ mark: String) -> String = { _ in "" }
    var value: Int64?
}

extension PageRequest {
    var offset: Int { (page - 1) * size }
}

extension SQLSession {
    /// One page of what meets conditions, and how much of it there is.
    func page<Item>(
        _ columns: String, of table: String, where conditions: Conditions = Conditions(), order: String = "id DESC", _ page: PageRequest,
        sorting: Sorting? = nil, _ item: (SQLRow) throws -> Item
    ) throws -> Page<Item> {
        let count = conditions.parameters.count
        let join = sorting?.join("?\(count + 3)") ?? ""
        var sql = "FROM \(table)\(join) WHERE \(conditions.sql) ORDER BY \(order) LIMIT ?\(count + 1) OFFSET ?\(count + 2)"
        if sorting != nil { sql = "FROM \(table)\(join) WHERE id IN (SELECT id \(sql)) ORDER BY \(order)" }
        var parameters = conditions.parameters + [page.size, page.offset]
        if let value = sorting?.value { parameters.append(value) }
        let found = try rows("SELECT \(columns) \(sql)", parameters)
        if found.count < page.size, !found.isEmpty || page.page == 1 {
            // The last page: nothing has to be counted.
            return Page(items: try found.map(item), total: Int64(page.offset + found.count))
        }
        let total = try first(
            "SELECT count(*) AS total FROM \(table) WHERE \(conditions.sql)", conditions.parameters)?.int("total")
        return Page(items: try found.map(item), total: total ?? 0)
    }
}
