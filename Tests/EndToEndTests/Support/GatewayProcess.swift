import Foundation
import RouterCore
import Synchronization

/// The real binary, started with a configuration of its own in a temporary directory and stopped by process id.
final class GatewayProcess: Sendable {
    let directory: URL
    private let state = Box()

    /// A reference, so that the pipe's reader can hold it.
    private final class Box: Sendable {
        private let mutex = Mutex(State())
        func withLock<Value: Sendable>(_ body: (inout State) -> Value) -> Value { mutex.withLock { state in body(&state) } }
    }

    private struct State {
        var process: Process?
        var log = ""
        var port = 0
    }

    struct StartFailed: Error, CustomStringConvertible {
        var description: String
    }

    /// Where `swift build` put the executables: beside the test bundle.
    static let products: URL = {
        var url = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        while url.path != "/" && !FileManager.default.isExecutableFile(atPath: url.appendingPathComponent("apirouter").path) {
            url.deleteLastPathComponent()
        }
        return url
    }()

    static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The program under test: `APIROUTER_BINARY`, so that a new test can be seen failing on an older build, else the one just built.
    static let binary: URL = {
        if let named = ProcessInfo.processInfo.environment["APIROUTER_BINARY"], !named.isEmpty { return URL(fileURLWithPath: named) }
        return products.appendingPathComponent("apirouter")
    }()

    /// The migrations that belong to ``binary``: `APIROUTER_SQL_DIR`, else the repository's.
    static let migrations: String = {
        if let named = ProcessInfo.processInfo.environment["APIROUTER_SQL_DIR"], !named.isEmpty { return named }
        return repository.appendingPathComponent("sql").path
    }()

    static let rootPassword = "a-root-password"
    static let rootToken = "at-root-token-for-end-to-end-tests"
    static let rootKey = "sk-root-key-for-end-to-end-tests-0123456789"

    init(directory: URL) { self.directory = directory }

    var port: Int { state.withLock { $0.port } }
    var log: String { state.withLock { $0.log } }
    var base: String { "http://127.0.0.1:\(port)" }
    var processID: Int32 { state.withLock { $0.process?.processIdentifier ?? 0 } }

    /// Starts and waits until the log says that it serves.
    /// - Parameter shell: shell commands that run first in the same process (limits).
    func start(
        config: String = "config/gateway.yaml", environment extra: [String: String] = [:], shell: String? = nil
    ) async throws {
        let process = Process()
        let binary = Self.binary
        process.executableURL = shell == nil ? binary : URL(fileURLWithPath: "/bin/sh")
        let arguments = ["serve", "--config", config]
        process.arguments = shell.map { ["-c", "\($0); exec \(binary.path) \(arguments.joined(separator: " "))"] } ?? arguments
        process.currentDirectoryURL = directory
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasSuffix("_API_KEY") }
        environment["PORT"] = "0"
        environment["APIROUTER_SQL_DIR"] = Self.migrations
        environment["INITIAL_ROOT_PASSWORD"] = Self.rootPassword
        environment["INITIAL_ROOT_ACCESS_TOKEN"] = Self.rootToken
        environment["INITIAL_ROOT_TOKEN"] = Self.rootKey
        // Gateways that share a ledger share it.
        environment["SESSION_SECRET"] = "the-session-secret-of-end-to-end-tests"
        environment.merge(extra) { _, new in new }
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        pipe.fileHandleForReading.readabilityHandler = { [state] handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil }
            state.withLock { $0.log += String(decoding: data, as: UTF8.self) }
        }
        state.withLock { state in
            state.log = ""
            state.port = 0
            state.process = process
        }
        try process.run()
        try await eventually("the gateway serves", within: .seconds(60)) {
            guard let line = self.log.split(separator: "\n").first(where: { $0.contains("serving") && $0.contains("address=") }),
                let port = line.split(separator: ":").last.flatMap({ Int($0.prefix { $0.isNumber }) })
            else {
                if !process.isRunning { throw StartFailed(description: "the gateway stopped:\n\(self.log)") }
                return false
            }
            self.state.withLock { $0.port = port }
            return true
        }
    }

    func signal(_ number: Int32) { kill(processID, number) }

    /// SIGTERM and the wait for the orderly end. - Returns: the exit code.
    @discardableResult
    func stop() async throws -> Int32 {
        guard let process = state.withLock({ $0.process }) else { return 0 }
        if process.isRunning { kill(process.processIdentifier, SIGTERM) }
        try await eventually("the gateway ends", within: .seconds(40)) { !process.isRunning }
        state.withLock { $0.process = nil }
        return process.terminationStatus
    }

    /// `kill -9`.
    func kill9() async throws {
        guard let process = state.withLock({ $0.process }) else { return }
        kill(process.processIdentifier, SIGKILL)
        try await eventually("the gateway is dead") { !process.isRunning }
        state.withLock { $0.process = nil }
    }

    deinit {
        if let process = state.withLock({ $0.process }), process.isRunning { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(at: directory)
    }
}

struct TimedOut: Error, CustomStringConvertible { var description: String }

/// Polls a condition until it holds. The only waiting in these tests; a condition, never a guess at a duration.
func eventually(
    _ what: String, within limit: Duration = .seconds(60), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw TimedOut(description: "waited \(limit) for: \(what)")
}

/// Runs a program to its end. - Returns: exit code and everything it printed.
func run(
    _ program: String, _ arguments: [String], environment: [String: String] = [:], directory: URL? = nil,
    within limit: Duration = .seconds(180)
) async throws
    -> (status: Int32, output: String)
{
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    if let directory { process.currentDirectoryURL = directory }
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    process.standardInput = FileHandle.nullDevice
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("run-\(UUID().uuidString)")
    _ = FileManager.default.createFile(atPath: file.path, contents: nil)
    defer { try? FileManager.default.removeItem(at: file) }
    let handle = try FileHandle(forWritingTo: file)
    process.standardOutput = handle
    process.standardError = handle
    try process.run()
    try await eventually("\(program) ends", within: limit) { !process.isRunning }
    return (process.terminationStatus, String(decoding: try Data(contentsOf: file), as: UTF8.self))
}
