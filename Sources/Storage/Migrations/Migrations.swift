import Foundation

/// Numbered SQL files, applied once each and in order.
///
/// Up to ``lastOwn(_:)`` each database has numbers of its own. From ``firstCommon`` on a number has one name and is there for both: as one
/// file beside the folders of the dialects where both read the same SQL, else as a file in each of them. Files that do not keep to this
/// are refused, whichever database is opened.
public struct Migrations: Sendable {
    public struct Migration: Sendable, Hashable {
        public var version: Int
        public var name: String
        public var sql: String
        public var checksum: String
    }

    public let dialect: SQLDialect
    /// Ascending by version.
    public let all: [Migration]

    /// The first number that both databases have in common. PostgreSQL never had a tenth migration.
    public static let firstCommon = 11

    /// The last number that is a database's own.
    static func lastOwn(_ dialect: SQLDialect) -> Int {
        switch dialect {
        case .sqlite: 10
        case .postgres: 9
        }
    }

    /// The number of a database's migration by its place, from 0.
    private static func version(at index: Int, _ dialect: SQLDialect) -> Int {
        let own = lastOwn(dialect)
        return index < own ? index + 1 : firstCommon + index - own
    }

    /// Where the files of a dialect are: `APIROUTER_SQL_DIR`, `./sql`, `../share/apirouter/sql` of the executable, or a `sql` folder in one
    /// of the executable's parent folders (a build tree).
    /// - Throws: ``StoreError/schema(_:)`` that lists where it looked.
    public static func locate(dialect: SQLDialect, environment: [String: String]) throws -> String {
        var candidates: [String] = []
        if let named = environment["APIROUTER_SQL_DIR"], !named.isEmpty { candidates.append(named) }
        candidates.append("sql")
        let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        var folder = executable.deletingLastPathComponent()
        candidates.append(folder.deletingLastPathComponent().appendingPathComponent("share/apirouter/sql").path)
        for _ in 0..<8 where folder.path != "/" {
            candidates.append(folder.appendingPathComponent("sql").path)
            folder.deleteLastPathComponent()
        }
        #if DEBUG
            // The source tree, for tests of a package that lies elsewhere.
            var source = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            for _ in 0..<4 { source.deleteLastPathComponent() }
            candidates.append(source.appendingPathComponent("sql").path)
        #endif
        for candidate in candidates {
            let path = candidate + "/" + dialect.rawValue
            if FileManager.default.fileExists(atPath: path + "/0001_initial.sql") { return path }
        }
        throw StoreError.schema(
            "no migration files found; set APIROUTER_SQL_DIR. Looked in: \(candidates.joined(separator: ", "))")
    }

    /// Reads `NNNN_name.sql` from the folder of a dialect and from the folder that this one is in.
    /// - Parameter directory: as ``locate(dialect:environment:)`` finds it, with the other dialect's folder beside it.
    /// - Throws: ``StoreError/schema(_:)`` for a gap, a double number, or a number that is not common to both databases but should be.
    public init(directory: String, dialect: SQLDialect) throws {
        let root = URL(fileURLWithPath: directory).deletingLastPathComponent().path
        let own = try Self.files(directory)
        let shared = try Self.files(root)
        for partner in SQLDialect.allCases where partner != dialect {
            try Self.checkCommon(shared: shared, own, dialect, try Self.files(root + "/" + partner.rawValue), partner)
        }
        let list = (own + shared).sorted { ($0.version, $0.name) < ($1.version, $1.name) }
        for (index, file) in list.enumerated() where file.version != Self.version(at: index, dialect) {
            throw StoreError.schema("\(directory): expected version \(Self.version(at: index, dialect)), found \(file.version)")
        }
        self.dialect = dialect
        all = try list.map { file in
            let sql = try String(contentsOfFile: file.path, encoding: .utf8)
            return Migration(version: file.version, name: file.name, sql: sql, checksum: Self.checksum(sql))
        }
    }

    private struct File {
        var version: Int
        var name: String
        var path: String
    }

    /// The files of a folder by their numbers; none when there is no such folder.
    private static func files(_ directory: String) throws -> [File] {
        guard FileManager.default.fileExists(atPath: directory) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".sql") }.sorted().map { name in
            guard let version = Int(name.prefix(4)) else {
                throw StoreError.schema("\(directory)/\(name): the name must start with four digits")
            }
            return File(version: version, name: String(name.dropFirst(5).dropLast(4)), path: directory + "/" + name)
        }
    }

    /// Each number from ``firstCommon`` on is one shared file, or a pair with one name.
    private static func checkCommon(
        shared: [File], _ own: [File], _ dialect: SQLDialect, _ other: [File], _ partner: SQLDialect
    ) throws {
        for file in shared where file.version < firstCommon {
            throw StoreError.schema("\(file.path): numbers below \(firstCommon) are not common to both databases")
        }
        for (files, others, name) in [(own, other, partner), (other, own, dialect)] {
            for file in files where file.version >= firstCommon {
                guard !shared.contains(where: { $0.version == file.version }) else {
                    throw StoreError.schema("\(file.path): there is a file with this number for both databases already")
                }
                guard others.contains(where: { $0.version == file.version && $0.name == file.name }) else {
                    throw StoreError.schema("\(file.path): there is no file with this number and name for \(name.rawValue)")
                }
            }
        }
    }

    /// FNV-1a, 64 bits: guards against an edited file, not against an attacker.
    private static func checksum(_ text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 {
            hash ^= UInt64(byte)
            hash = hash &* 0x0100_0000_01b3
        }
        return String(hash, radix: 16)
    }

    /// The migrations that remain when these have been applied, in order.
    func unapplied(_ applied: [(version: Int, checksum: String)]) throws -> [Migration] {
        for (index, row) in applied.enumerated() {
            let version = row.version
            let expected = Self.version(at: index, dialect)
            guard version == expected else {
                throw StoreError.schema("the database has migration \(version), but not migration \(expected)")
            }
            guard index < all.count else {
                throw StoreError.schema(
                    "the database has migration \(version), this program knows \(all.last?.version ?? 0); use a newer program")
            }
            guard row.checksum == all[index].checksum else {
                throw StoreError.schema("migration \(version) was changed after it was applied")
            }
        }
        return Array(all.dropFirst(applied.count))
    }
}
