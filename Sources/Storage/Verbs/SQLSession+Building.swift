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
    mutating func add(_ columns: [String], contain text: String?, orID id: String? = nil) {
        guard let text, !text.isEmpty else { return }
        let plain = text.reduce(into: "") { $0 += ["%", "_", "!"].contains($1) ? "!\($1)" : "\($1)" }
        parameters.append("%\(plain)%")
        var any = columns.map { "lower(\($0)) LIKE lower(?\(parameters.count)) ESCAPE '!'" }
        if let id, let number = Int64(text) {
            parameters.append(number)
            any.append("\(id) = ?\(parameters.count)")
        }
        terms.append("(\(any.joined(separator: " OR ")))")
    }

    /// Adds a parameter that stands elsewhere than in a comparison. - Returns: its place.
    mutating func parameter(_ value: some SQLParameter) -> String {
        parameters.append(value)
        return "?\(parameters.count)"
    }
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

extension PageRequest {
    var offset: Int { (page - 1) * size }
}

extension SQLSession {
    /// One page of what meets conditions, and how much of it there is.
    func page<Item>(
        _ columns: String, of table: String, where conditions: Conditions = Conditions(), order: String = "id DESC", _ page: PageRequest,
        _ item: (SQLRow) throws -> Item
    ) throws -> Page<Item> {
        let count = conditions.parameters.count
        let found = try rows(
            "SELECT \(columns) FROM \(table) WHERE \(conditions.sql) ORDER BY \(order) LIMIT ?\(count + 1) OFFSET ?\(count + 2)",
            conditions.parameters + [page.size, page.offset])
        let total = try first("SELECT count(*) AS total FROM \(table) WHERE \(conditions.sql)", conditions.parameters)?.int("total")
        return Page(items: try found.map(item), total: total ?? 0)
    }
}
