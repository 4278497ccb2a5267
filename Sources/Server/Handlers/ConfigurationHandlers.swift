import Config
import GatewayState
import HTTPTypes
import Hummingbird
import Logging
import Platform
import RouterCore
import Storage

/// The files of the configuration over the API: for root, who could as well change them on the disk.
struct ConfigurationHandlers: Sendable {
    let files: ConfigurationFiles
    let reloader: ConfigurationReloader
    let store: any AuditStore
    let clock: ServerClock
    let logger: Logger

    /// `GET /api/config`
    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let rows = files.all().map { file in
            let contents = try? files.read(file)
            return (
                isWritable: files.readOnlyReason(file) == nil,
                json: JSONValue.object([
                    .init("path", .string(file.name)), .init("kind", .string(file.kind.rawValue)),
                    .init("bytes", .integer(contents.map { Int64($0.bytes) })), .init("etag", .optional(contents?.etag)),
                    .init("writable", .boolean(contents != nil && files.readOnlyReason(file) == nil)),
                ])
            )
        }
        return Envelope.ok(
            .object([
                .init("files", .array(rows.map(\.json))), .init("read_only", .boolean(!rows.contains(where: \.isWritable))),
                .init("diagnostics", Self.json(try await files.diagnostics())),
            ]))
    }

    /// `GET /api/config/file?path=`
    func file(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let name = QueryFields(request, ConfigurationDescriptions.file).text("path") else {
            throw ManagementError.invalid("path", Expected("the name of a file of GET /api/config", codes: ["file_name"]))
        }
        let file = try find(name)
        let contents = try doing { () throws(ConfigurationFiles.Problem) in try files.read(file) }
        return Envelope.ok(
            .object([
                .init("path", .string(file.name)), .init("text", .string(contents.text)), .init("etag", .string(contents.etag)),
            ]), headers: [.eTag: "\"\(contents.etag)\""])
    }

    /// `POST /api/config/check`: changes nothing.
    func check(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (file, text) = try await draft(request, ConfigurationDescriptions.check)
        return Envelope.ok(["diagnostics": Self.json(try await files.diagnostics(file, text: text))])
    }

    /// `PUT /api/config/file`
    func save(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (file, text) = try await draft(request, ConfigurationDescriptions.save)
        try context.demandFreshLogin()
        guard let etag = Self.etag(request.headers[.ifMatch]) else {
            throw ManagementError.invalid(
                "If-Match", Expected("the etag of the text that is replaced", codes: ["etag"]),
                message: "the header If-Match is missing: the etag of the text that is replaced, in quotes")
        }
        let found = try await files.diagnostics(file, text: text)
        let obstacles = try await files.obstacles(file, found)
        guard obstacles.isEmpty else {
            throw ManagementError(
                .badRequest,
                "not saved, because the configuration would have mistakes: "
                    + obstacles.prefix(10).map(\.description).joined(separator: "\n"),
                code: .configInvalid, details: ["diagnostics": Self.json(obstacles)])
        }
        let audit = try context.audit("config.change", at: clock.unixSeconds, [.init("path", .string(file.name))])
        let new: String
        do {
            // The row comes first: a file that has changed must not be without the name of who did it.
            new = try await files.write(file, text, replacing: etag) { try await store.audit(audit) }
        } catch let problem as ConfigurationFiles.Problem {
            throw Self.error(problem, file.name)
        }
        var diagnostics = found
        do {
            _ = try await reloader.reload(audit: nil)
        } catch {
            logger.error("a saved configuration is not in force yet", metadata: ["path": "\(file.name)", "error": "\(error)"])
            diagnostics.append(Self.waiting(error, file.name))
        }
        return Envelope.ok(["etag": .string(new), "diagnostics": Self.json(diagnostics)], headers: [.eTag: "\"\(new)\""])
    }

    // MARK: Parts

    /// The file is there: the watcher of files tries again when the ledger is back, or when another change has mended what is wrong.
    static func waiting(_ error: any Error, _ name: String) -> Diagnostic {
        var reason = "the ledger cannot be reached; it is tried again"
        if let first = (error as? ConfigErrors)?.diagnostics.first {
            reason = "the files have mistakes by now: \(first)"
        }
        return Diagnostic(.warning, file: name, message: "saved, and not in force yet: \(reason)")
    }

    private func draft(_ request: Request, _ description: RouteDescription) async throws -> (ConfigurationFiles.File, String) {
        let fields = try await RequestFields(request, description)
        let name = try fields.requiredString("path")
        let text = try fields.requiredString("text")
        return (try find(name), text)
    }

    private func find(_ name: String) throws -> ConfigurationFiles.File {
        try doing { () throws(ConfigurationFiles.Problem) in try files.file(name) }
    }

    private func doing<Value>(_ body: () throws(ConfigurationFiles.Problem) -> Value) throws(ManagementError) -> Value {
        do throws(ConfigurationFiles.Problem) {
            return try body()
        } catch {
            throw Self.error(error, "the file")
        }
    }

    private static func error(_ problem: ConfigurationFiles.Problem, _ name: String) -> ManagementError {
        switch problem {
        case .unknown: ManagementError(.notFound, "the configuration has no such file; GET /api/config lists those that it has")
        case .unreadable(let why): ManagementError(.conflict, "\(name) cannot be shown: \(why)")
        case .readOnly(let why): ManagementError(.conflict, "\(name) cannot be saved here: \(why)", code: .readOnly)
        case .changed:
            ManagementError(.preconditionFailed, "\(name) has changed since it was read; read it again", code: .eTagMismatch)
        }
    }

    /// The header has it in quotes.
    private static func etag(_ header: String?) -> String? {
        guard let header, !header.isEmpty else { return nil }
        return header.hasPrefix("\"") && header.hasSuffix("\"") && header.utf8.count > 1 ? String(header.dropFirst().dropLast()) : header
    }

    static func json(_ diagnostics: [Diagnostic]) -> JSONValue {
        .array(
            diagnostics.map { diagnostic in
                .object([
                    .init("file", .string(diagnostic.file)), .init("line", .integer(diagnostic.line)),
                    .init("column", .integer(diagnostic.column)), .init("severity", .string(diagnostic.severity.rawValue)),
                    .init("message", .string(diagnostic.path.isEmpty ? diagnostic.message : "\(diagnostic.path): \(diagnostic.message)")),
                ])
            })
    }
}
