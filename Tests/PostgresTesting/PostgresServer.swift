import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A real PostgreSQL for tests: a cluster of its own in a temporary folder, on a free port of the loopback, gone with the test process.
public final class PostgresServer: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    public let port: Int
    private let folder: URL
    private let programs: String
    private let process = Mutex<Process?>(nil)
    private let databases = Mutex(0)
    private let extra: [String]

    /// One server for all tests that do not stop it.
    public static let shared: Result<PostgresServer, any Error> = {
        let result = Result { () throws -> PostgresServer in
            let server = try PostgresServer()
            try server.start()
            return server
        }
        atexit { if case .success(let server) = PostgresServer.shared { server.remove() } }
        return result
    }()

    /// The server's certificate, which is its own root; nil = the server speaks no TLS.
    public let certificate: String?

    /// Makes the cluster; ``start()`` runs it.
    /// - Parameters:
    ///   - usesTLS: with a certificate of its own for `localhost`.
    ///   - settings: `name=value`, on top of our own (`fsync=off`, which makes tests fast and nothing durable).
    public init(usesTLS: Bool = false, settings: [String] = []) throws {
        extra = settings.flatMap { ["-c", $0] }
        programs = try Self.findPrograms()
        port = try Self.freePort()
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("postgres-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        certificate = usesTLS ? folder.path + "/server.crt" : nil
        if getuid() == 0 {
            guard let user = getpwnam("postgres") else { throw Failure(description: "the user postgres does not exist") }
            guard chown(folder.path, user.pointee.pw_uid, user.pointee.pw_gid) == 0 else {
                throw Failure(description: "cannot give \(folder.path) to postgres")
            }
        }
        try run("initdb", ["-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"])
        if let certificate {
            try run(
                "openssl",
                [
                    "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", folder.path + "/server.key", "-out", certificate,
                ], isOurs: false)
        }
    }

    private var data: String { folder.path + "/data" }

    private static func findPrograms() throws -> String {
        let root = "/usr/lib/postgresql"
        let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).compactMap { Int($0) }.sorted()
        for version in versions.reversed() where FileManager.default.isExecutableFile(atPath: "\(root)/\(version)/bin/postgres") {
            return "\(root)/\(version)/bin"
        }
        throw Failure(description: "no PostgreSQL server under \(root); `make deps` installs it")
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 ? getsockname(descriptor, generic, &length) : -1
            }
        }
        guard status == 0 else { throw Failure(description: "no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// As the user postgres where this process is root, which PostgreSQL refuses to be.
    private func command(_ arguments: [String]) -> Process {
        let process = Process()
        let prefix = getuid() == 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] : []
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = prefix + arguments
        process.currentDirectoryURL = folder
        // libpq looks for client certificates in the home folder, which is not the user's own here.
        process.environment = ProcessInfo.processInfo.environment.merging(["HOME": folder.path]) { _, new in new }
        return process
    }

    /// - Parameter isOurs: the program is PostgreSQL's; else it is looked for as usual.
    private func run(_ program: String, _ arguments: [String], isOurs: Bool = true) throws {
        let process = command([isOurs ? programs + "/" + program : program] + arguments)
        let output = folder.path + "/\(program).log"
        process.standardInput = FileHandle.nullDevice
        _ = FileManager.default.createFile(atPath: output, contents: nil)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "\(program): " + ((try? String(contentsOfFile: output, encoding: .utf8)) ?? "failed"))
        }
    }

    /// Starts, and waits until it answers. The server ends when this process does, however it ends: a shell between them waits for the end
    /// of its input.
    public func start() throws {
        var settings =
            [
                "-c", "port=\(port)", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=\(folder.path)",
                "-c", "fsync=off", "-c", "max_connections=300", "-c", "log_min_messages=warning",
            ] + extra
        if let certificate {
            settings += ["-c", "ssl=on", "-c", "ssl_cert_file=\(certificate)", "-c", "ssl_key_file=\(folder.path)/server.key"]
        }
        let line =
            "exec 3<&0; \(programs)/postgres -D \(data) \(settings.joined(separator: " ")) </dev/null >>\(folder.path)/server.log 2>&1 & "
            + "server=$!; cat <&3 >/dev/null; kill -QUIT $server; wait $server"
        let shell = command(["sh", "-c", line])
        shell.standardInput = Pipe()
        shell.standardOutput = FileHandle.nullDevice
        shell.standardError = FileHandle.nullDevice
        try shell.run()
        process.withLock { $0 = shell }
        for _ in 0..<600 {
            if (try? run("pg_isready", ["-q", "-h", "127.0.0.1", "-p", "\(port)"])) != nil { return }
            usleep(50_000)
        }
        throw Failure(
            description: "PostgreSQL did not start: " + ((try? String(contentsOfFile: folder.path + "/server.log", encoding: .utf8)) ?? ""))
    }

    /// Stops at once, as a crash would (`immediate`): connections break, the next start recovers.
    public func stop() {
        guard let shell = process.withLock({ $0.take() }) else { return }
        try? (shell.standardInput as? Pipe)?.fileHandleForWriting.close()
        shell.waitUntilExit()
    }

    public func remove() {
        stop()
        try? FileManager.default.removeItem(at: folder)
    }

    /// A new, empty database. - Returns: its URL.
    public func makeDatabase() throws -> String {
        let name = databases.withLock { count in
            count += 1
            return "test_\(count)"
        }
        try run("createdb", ["-h", "127.0.0.1", "-p", "\(port)", "-U", "postgres", name])
        return "postgres://postgres@127.0.0.1:\(port)/\(name)"
    }

    /// Runs SQL as the database's owner would by hand. - Returns: the rows, unaligned, without headers.
    @discardableResult
    public func query(_ url: String, _ sql: String) throws -> String {
        let process = command([programs + "/psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
        let output = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(description: text) }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    deinit { remove() }
}
