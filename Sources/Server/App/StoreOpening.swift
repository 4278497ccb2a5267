public import Config
public import Storage

/// Opens the store that a configuration specifies. Also used by the command line.
public enum StoreOpening {
    /// Opens the store of responses: `responses.sqlite` beside a ledger that is a file, else tables of the ledger's database.
    /// - Throws: ``StoreError``.
    static func openResponses(_ url: GatewayConfiguration.StorageURL, _ ledger: any Store) async throws -> (any ResponseStore)? {
        switch url {
        case .sqlite(let path): return try await SQLiteResponses.open(path: responsesPath(ledger: path))
        case .postgres: return (ledger as? any SQLStore).map(SQLResponseStore.init(sharing:))
        }
    }

    /// - Parameter path: of the ledger.
    static func responsesPath(ledger path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "responses.sqlite" }
        return path[...slash] + "responses.sqlite"
    }

    /// Opens the store and applies pending migrations.
    /// - Parameters:
    ///   - environment: for `APIROUTER_SQL_DIR`.
    ///   - now: Unix seconds.
    ///   - durability: the failure that a commit has to survive, as `journal.durability` specifies.
    ///   - locksOut: the store is for a gateway, so no other process may spend from it (SQLite only; PostgreSQL is shared).
    /// - Throws: ``StoreError``.
    public static func open(
        _ url: GatewayConfiguration.StorageURL, durability: GatewayConfiguration.Durability = .process, environment: [String: String],
        now: Int64, locksOut: Bool = true
    ) async throws -> any Store {
        let durability: JournalDurability = durability == .power ? .power : .process
        switch url {
        case .sqlite(let path):
            return try await SQLiteStore.open(
                path: path, migrationsDirectory: try Migrations.locate(dialect: .sqlite, environment: environment), now: now,
                locksOut: locksOut, durability: durability)
        case .postgres(let url):
            return try await PostgresStore.open(
                url: url, migrationsDirectory: try Migrations.locate(dialect: .postgres, environment: environment), now: now,
                durability: durability)
        }
    }
}
