import GRDB
import PostgresTesting
import RouterCore
import Storage

/// Two stores on one database, as two gateways have them, or a gateway and a command.
struct StorePair: Sendable {
    let one: any Store
    let two: any Store
    private let folder: TemporaryFolder?
    private let url: String

    var both: [any Store] { [one, two] }

    init(_ dialect: SQLDialect) async throws {
        switch dialect {
        case .sqlite:
            let folder = try TemporaryFolder()
            one = try await openStore(folder)
            two = try await openStore(folder)
            (self.folder, url) = (folder, "")
        case .postgres:
            let url = try PostgresServer.shared.get().makeDatabase()
            let directory = try Migrations.locate(dialect: .postgres, environment: [:])
            one = try await PostgresStore.open(url: Secret(url), migrationsDirectory: directory, now: 1, connections: 2)
            two = try await PostgresStore.open(url: Secret(url), migrationsDirectory: directory, now: 1, connections: 2)
            (folder, self.url) = (nil, url)
        }
    }

    /// Runs a statement around the stores.
    func run(_ sql: String) async throws {
        if let folder {
            try await rawLedger(folder).write { db in try db.execute(sql: sql) }
        } else {
            _ = try PostgresServer.shared.get().query(url, sql)
        }
    }

    func close() async throws { for store in both { try await store.close() } }
}
