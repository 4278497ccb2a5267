import Foundation
import GRDB

/// Stored responses in a SQLite file of their own, so that writing them never keeps the ledger's only writer waiting.
public enum SQLiteResponses {
    /// The version of the schema, in the file's `user_version`.
    private static let version = 1

    private static let schema = """
        CREATE TABLE responses (
            user_id         INTEGER NOT NULL,
            id              TEXT    NOT NULL,
            -- 1 = response, 2 = conversation
            kind            INTEGER NOT NULL,
            holder          TEXT    NOT NULL,
            model           TEXT    NOT NULL,
            upstream_model  TEXT    NOT NULL,
            channel_id      INTEGER NOT NULL,
            key_fingerprint TEXT    NOT NULL,
            context_tokens  INTEGER NOT NULL,
            items           BLOB    NOT NULL,
            body            BLOB    NOT NULL,
            bytes           INTEGER NOT NULL,
            created_at      INTEGER NOT NULL,
            expires_at      INTEGER NOT NULL,
            PRIMARY KEY (user_id, id)
        ) STRICT;
        CREATE INDEX responses_by_expiry ON responses (expires_at);
        -- Bytes by user; user 0 is all of them.
        CREATE TABLE response_usage (
            user_id INTEGER NOT NULL PRIMARY KEY,
            bytes   INTEGER NOT NULL
        ) STRICT;
        """

    /// Opens or makes the file.
    /// - Throws: ``StoreError``: it cannot be opened, or a newer program has written it.
    public static func open(path: String) async throws -> SQLResponseStore {
        _ = try PrivateFiles.makeFolder(URL(fileURLWithPath: path).deletingLastPathComponent().path, what: "folder")
        try PrivateFiles.makeFile(path)
        var configuration = Configuration()
        configuration.label = "responses"
        configuration.busyMode = .timeout(10)
        configuration.maximumReaderCount = 4
        // Texts that a user has deleted must not linger in free pages.
        configuration.prepareDatabase { db in try db.execute(sql: "PRAGMA secure_delete = ON") }
        let prepared = configuration
        return try await mapped {
            let pool = try DatabasePool(path: path, configuration: prepared)
            try await pool.write { db in
                let found = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
                guard found <= version else {
                    throw StoreError.schema("\(path) was written by a newer program (version \(found); this one knows \(version))")
                }
                guard found == 0 else { return }
                try db.execute(sql: schema)
                try db.execute(sql: "PRAGMA user_version = \(version)")
            }
            return SQLResponseStore(database: SQLDatabase(driver: SQLiteDriver(pool: pool))) { try pool.close() }
        }
    }
}
