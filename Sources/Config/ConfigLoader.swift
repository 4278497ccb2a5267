import Foundation
public import RouterCore

/// Reads and validates a whole configuration: gateway.yaml, the files that it refers to, and the environment.
public struct ConfigLoader: Sendable {
    private let environment: [String: String]
    private let console: ConsoleConfiguration
    private let unseen: UnseenProviders

    /// - Parameters:
    ///   - environment: of the process, merged with `.env` (``DotEnv``).
    ///   - console: what is stored in the ledger's database. Its errors are never fatal: they turn off what has them.
    ///   - unseen: for those who cannot pass the console in; by default it has nothing beside `console`.
    public init(
        environment: [String: String], console: ConsoleConfiguration = ConsoleConfiguration(), unseen: UnseenProviders = .named([])
    ) {
        self.environment = environment
        self.console = console
        self.unseen = unseen
    }

    /// A text in place of what one of the files has.
    public struct Draft: Sendable {
        public var file: String
        public var text: String
        /// The file of channels and the folder of provider files. Whoever may change files may not have others read.
        public var places: [String]

        public init(file: String, text: String, places: [String]) {
            self.file = file
            self.text = text
            self.places = places
        }
    }

    /// - Throws: ``ConfigErrors`` with every mistake of every file.
    public func load(path: String) throws(ConfigErrors) -> GatewayConfiguration {
        try read(path: path, inForce: nil)
    }

    /// All that there is to say about the configuration, with the draft of one of its files or as it is.
    public func diagnostics(path: String, draft: Draft? = nil) -> [Diagnostic] {
        do throws(ConfigErrors) {
            return try read(path: path, inForce: nil, draft: draft).warnings
        } catch {
            return error.diagnostics
        }
    }

    /// Like ``load(path:)``, but errors in a provider file are warnings and affect only that provider: one that is in force stays as it is,
    /// and the channels of a new one are off.
    /// - Parameter providers: those in force.
    public func reload(path: String, keeping providers: [ProviderSpec] = []) throws(ConfigErrors) -> GatewayConfiguration {
        try read(path: path, inForce: Dictionary(providers.map { ($0.name, $0) }) { first, _ in first })
    }

    /// - Parameter inForce: replacements for provider files with errors; nil = such errors are fatal.
    private func read(
        path: String, inForce: [String: ProviderSpec]?, draft: Draft? = nil
    ) throws(ConfigErrors) -> GatewayConfiguration {
        let collector = DiagnosticCollector()
        let expansion = Expansion(environment: environment)
        func cursor(_ file: String) -> YAMLCursor? {
            YAMLFile(path: file, diagnostics: collector, text: draft?.file == file ? draft?.text : nil).root().map { node in
                YAMLCursor(
                    node: node, path: "",
                    context: YAMLCursor.Context(file: file, diagnostics: collector, expansion: expansion))
            }
        }
        let folder = Paths.folder(of: path)
        guard let root = cursor(path) else { throw ConfigErrors(diagnostics: collector.errors) }
        var gateway = GatewayFile(root, folder: folder)
        EnvironmentOverrides(environment: environment, folder: folder).apply(to: &gateway.configuration, collector)

        let providersFolder = Paths.join(folder, gateway.providersDirectory)
        let channelsPath = Paths.join(folder, gateway.channelsFile)
        if let places = draft?.places, places != [channelsPath, providersFolder] {
            let message = "'channels' and 'providers_dir' say which files there are; they can be changed in the file itself only"
            throw ConfigErrors(diagnostics: [Diagnostic(.error, file: path, message: message)])
        }
        var providers: [String: ProviderSpec] = [:]
        var broken: Set<String> = []
        var origins = ConfigOrigins()
        for name in providerNames(providersFolder, collector) {
            let file = "\(providersFolder)/\(name).yaml"
            let spec = cursor(file).flatMap { ProviderFile.read($0, fileName: name) }
            if collector.hasErrors(in: file) { broken.insert(name) } else if let spec { providers[name] = spec }
            if let old = inForce?[name], providers[name] == nil { providers[name] = old }
            origins.providers[name] = .file(file, line: 1)
        }
        let brokenFiles = Set(broken.map { "\(providersFolder)/\($0).yaml" })
        var withoutAny = broken.filter { providers[$0] == nil }
        let stored = ConsoleReader(console: console)
        stored.addProviders(to: &providers, broken: &withoutAny, &origins)
        let channelsFile = ChannelsFile(
            providers: providers, brokenProviders: withoutAny, groups: Set(gateway.configuration.groups.keys),
            environment: environment, secrets: console.secrets,
            storedProviders: Set(origins.providers.filter { $0.value == .console }.keys), unseen: unseen)
        let (channels, models) = cursor(channelsPath).map { channelsFile.read($0) } ?? ([], [])
        let (more, remarks) = stored.channels(channelsFile, others: channels, &origins)
        note(channelsFile.notes, in: &origins)
        gateway.routing.models = models

        var configuration = gateway.configuration
        var fatal = collector.errors
        var warnings = collector.warnings + remarks
        if inForce != nil {
            warnings += fatal.filter { brokenFiles.contains($0.file) }
            fatal.removeAll { brokenFiles.contains($0.file) }
        }
        if !fatal.isEmpty { throw ConfigErrors(diagnostics: fatal.inReadingOrder) }
        configuration.providers = providers.values.sorted { $0.name < $1.name }
        configuration.routes = RouteTable(channels: channels + more, settings: gateway.routing)
        configuration.origins = origins
        configuration.warnings = warnings
        configuration.watchedPaths = [path, channelsPath, providersFolder]
        return configuration
    }

    private func note(_ notes: ChannelsFile.Notes, in origins: inout ConfigOrigins) {
        origins.channels.merge(notes.sources) { console, _ in console }
        origins.keyNames = notes.keyNames
        origins.unseenProviders = notes.unseenProviders
        for name in notes.keyNames.values.joined() {
            if environment[name].map({ !$0.isEmpty }) == true {
                origins.secrets[name] = .environment
            } else {
                origins.secrets[name] = console.secrets[name] == nil ? .missing : .console
            }
        }
    }

    private func providerNames(_ folder: String, _ collector: DiagnosticCollector) -> [String] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            collector.add(Diagnostic(.error, file: folder, message: "cannot read the folder of provider files"))
            return []
        }
        return names.filter { $0.hasSuffix(".yaml") && !$0.hasPrefix(".") }.map { String($0.dropLast(5)) }.sorted()
    }
}

/// Environment variables that override gateway.yaml.
struct EnvironmentOverrides {
    let environment: [String: String]
    let folder: String

    private func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    func apply(to configuration: inout GatewayConfiguration, _ collector: DiagnosticCollector) {
        func wrong(_ name: String, _ expected: String) {
            collector.add(Diagnostic(.error, file: "environment", path: name, message: "expected \(expected)"))
        }
        if let text = value("PORT") {
            if let port = Int(text), (0...65_535).contains(port) {
                configuration.server.port = port
            } else {
                wrong("PORT", "a whole number from 0 to 65535")
            }
        }
        if let host = value("HOST") { configuration.server.host = host }
        if let path = value("DATA_DIR") {
            configuration.dataDirectory = path
            // A database in the data directory moves with it.
            if case .sqlite = configuration.storage { configuration.storage = .sqlite(path: path + "/apirouter.db") }
        }
        if let text = value("SQL_DSN") {
            if let url = StorageURLText.parse(text, folder: ".") {
                configuration.storage = url
            } else {
                wrong("SQL_DSN", "sqlite:<path> or postgres://user:password@host:port/database")
            }
        }
        if let text = value("LOG_LEVEL") {
            if let level = LogLevelName(rawValue: text.lowercased()) {
                configuration.log.level = level.rawValue
            } else {
                wrong("LOG_LEVEL", "one of \(LogLevelName.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        }
        if value("REDIS_CONN_STRING") != nil {
            collector.add(
                Diagnostic(
                    .warning, file: "environment", path: "REDIS_CONN_STRING", message: "accepted and not used: this gateway needs no Redis")
            )
        }
        configuration.bootstrap.rootPassword = value("INITIAL_ROOT_PASSWORD").map { Secret($0) }
        configuration.bootstrap.rootAccessToken = value("INITIAL_ROOT_ACCESS_TOKEN").map { Secret($0) }
        configuration.bootstrap.rootToken = value("INITIAL_ROOT_TOKEN").map { Secret($0) }
        configuration.bootstrap.sessionSecret = value("SESSION_SECRET").map { Secret($0) }
    }
}

/// `.env`: `NAME=value` lines, `#` comments, optional `export`, optional quotes. The real environment takes precedence.
public enum DotEnv {
    public static func load(directory: String, environment: [String: String]) -> [String: String] {
        guard let data = FileManager.default.contents(atPath: directory + "/.env"),
            let text = String(data: data, encoding: .utf8)
        else { return environment }
        return parse(text).merging(environment) { _, real in real }
    }

    static func parse(_ text: String) -> [String: String] {
        var values: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            var rest = line.drop { $0 == " " || $0 == "\t" }
            guard !rest.hasPrefix("#") else { continue }
            if rest.hasPrefix("export ") { rest = rest.dropFirst(7) }
            guard let equals = rest.firstIndex(of: "=") else { continue }
            let name = rest[..<equals].trimmingCharacters(in: .whitespaces)
            var value = rest[rest.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            if value.count >= 2, let quote = value.first, quote == "\"" || quote == "'", value.last == quote {
                value = String(value.dropFirst().dropLast())
            } else if let comment = value.range(of: " #") {
                value = value[..<comment.lowerBound].trimmingCharacters(in: .whitespaces)
            }
            if !name.isEmpty { values[name] = value }
        }
        return values
    }
}
