import RouterCore

/// `gateway.yaml`.
struct GatewayFile: Sendable {
    var configuration = GatewayConfiguration()
    var routing = RoutingSettings()
    var providersDirectory = "../providers"
    var channelsFile = "channels.yaml"
    /// Directory of the file, for relative paths.
    let folder: String

    init(_ cursor: YAMLCursor, folder: String) {
        self.init(folder: folder)
        Self.section.read(cursor, into: &self)
    }

    /// The values that apply when the file does not set them.
    private init(folder: String) {
        self.folder = folder
        setDataDirectory("../data")
    }

    private mutating func setDataDirectory(_ path: String) {
        configuration.dataDirectory = Paths.join(folder, path)
        configuration.storage = .sqlite(path: configuration.dataDirectory + "/apirouter.db")
    }

    /// In the order in which they are read: the location of the ledger depends on `data_dir`.
    private static let section = ConfigSection<GatewayFile>([
        .section("server", \.configuration.server, ServerKeys.section),
        ConfigKey(name: "data_dir") { cursor, file in
            if let path = cursor.string("a path") { file.setDataDirectory(path) }
        } rows: { path, _ in
            [ConfigRow(path: path, type: "path", standard: "../data", meaning: "journal, SQLite ledger, first root password")]
        },
        .group("storage", ConfigSection([storageURL.required])),
        .value("providers_dir", \.providersDirectory, type: "path", standard: { $0 }, "one vendor a file, see [providers.md](providers.md)")
        {
            $0.string("a path")
        },
        .value("channels", \.channelsFile, type: "path", standard: { $0 }, "the file of channels, see [below](#channelsyaml)") {
            $0.string("a path")
        },
        .section("routing", \.routing, RoutingKeys.section), .section("metering", \.configuration.metering, MeteringKeys.section),
        .section("journal", \.configuration.journal, JournalKeys.section), groups, levels,
        .section("log", \.configuration.log, LogKeys.section), .section("logs", \.configuration.logs, LogsKeys.section),
        .section("models", \.configuration.models, ModelsKeys.section),
        .section("responses", \.configuration.responses, ResponsesKeys.section),
        .section("batches", \.configuration.batches, BatchKeys.section),
        .section("console", \.configuration.console, ConsoleKeys.section),
    ])

    /// The table of docs/configuration.md.
    static var rows: [ConfigRow] { section.rows("", GatewayFile(folder: ".")) }

    private static let storageURL = ConfigKey<GatewayFile>(name: "url") { cursor, file in
        guard let text = cursor.string("a URL") else { return }
        if let parsed = StorageURLText.parse(text, folder: file.folder) {
            file.configuration.storage = parsed
        } else {
            cursor.error("expected sqlite:<path> or postgres://user:password@host:port/database")
        }
    } rows: { path, _ in
        [
            ConfigRow(
                path: path, type: "`sqlite:<path>` or `postgres://user:password@host:port/database?sslmode=…`",
                standard: "`apirouter.db` in `data_dir`", meaning: "the ledger; PostgreSQL when several gateways share one")
        ]
    }

    private static let groups = ConfigKey<GatewayFile>(name: GroupKeys.key.name) { cursor, file in
        GroupKeys.key.read(cursor, &file.configuration)
    } rows: {
        GroupKeys.key.rows($0, $1.configuration)
    }

    private static let levels = ConfigKey<GatewayFile>(name: LevelKeys.key.name) { cursor, file in
        LevelKeys.key.read(cursor, &file.configuration)
    } rows: {
        LevelKeys.key.rows($0, $1.configuration)
    }
}

enum StorageURLText {
    static func parse(_ text: String, folder: String) -> GatewayConfiguration.StorageURL? {
        if text.hasPrefix("sqlite:") {
            var path = String(text.dropFirst("sqlite:".count))
            if path.hasPrefix("//") { path = String(path.dropFirst(2)) }
            return path.isEmpty ? nil : .sqlite(path: Paths.join(folder, path))
        }
        if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") { return .postgres(Secret(text)) }
        return nil
    }
}

enum Paths {
    /// Resolves a path relative to a directory, with `.` and `..` processed as text.
    static func join(_ folder: String, _ path: String) -> String {
        let whole = path.hasPrefix("/") || folder.isEmpty || folder == "." ? path : folder + "/" + path
        var parts: [Substring] = []
        for part in whole.split(separator: "/") {
            if part == "." { continue }
            if part == "..", let last = parts.last, last != ".." {
                parts.removeLast()
            } else if part != ".." || !whole.hasPrefix("/") {
                parts.append(part)
            }
        }
        let joined = parts.joined(separator: "/")
        return whole.hasPrefix("/") ? "/" + joined : (joined.isEmpty ? "." : joined)
    }

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
