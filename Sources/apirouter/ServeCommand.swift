import ArgumentParser
import Config
import Foundation
import Logging
import NIOCore
import NIOPosix
import Server

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve until SIGTERM or SIGINT; SIGHUP reloads the configuration.")

    @OptionGroup var common: ConfigOption

    /// Those that the process may run on (`taskset`, cpusets); the system's count knows cgroup quotas only.
    private static var usableCores: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed:") }
        let allowed = line.map { $0.dropFirst(13).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) } } ?? 0
        return allowed > 0 ? min(allowed, System.coreCount) : System.coreCount
    }

    func run() async throws {
        // Whatever this process makes is its owner's: a ledger, keys' hashes, what people asked.
        umask(0o077)
        let process = ProcessInfo.processInfo.environment
        let configuration = try common.load(process)
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, isJSON: configuration.log.format == .json)
        }
        var logger = Logger(label: "apirouter")
        logger.logLevel = Logger.Level(rawValue: configuration.log.level) ?? .info
        // Before anything asks for an event loop. A process that is bound to some of the machine's cores gets as many loops as those.
        NIOSingletons.groupLoopCountSuggestion = configuration.server.threads ?? Self.usableCores
        let options = GatewayProgram.Options(configPath: common.config, environment: process, version: Build.version)
        do {
            let gateway = try await GatewayProgram.make(configuration, options: options, logger: logger)
            try await gateway.run()
        } catch let errors as ConfigErrors {
            // A provider that neither the files nor the console have is known to be none only when the database is open.
            ConfigOption.report(errors)
            throw ExitCode.failure
        } catch {
            logger.critical("stopped", metadata: ["error": "\(error)"])
            throw ExitCode.failure
        }
    }
}

/// `--config`, shared by the commands that need a configuration.
struct ConfigOption: ParsableArguments {
    @Option(name: .long, help: "Path of gateway.yaml.")
    var config = "config/gateway.yaml"

    /// Loads the configuration with the environment and `.env`, or prints every diagnostic and exits with 1.
    /// - Parameters:
    ///   - unseen: the providers of the console that channels.yaml may name. By default any: where the console is can only be known from
    ///     this configuration.
    ///   - console: as it is stored, where the caller has read it.
    func load(
        _ process: [String: String], console: ConsoleConfiguration = ConsoleConfiguration(), unseen: UnseenProviders = .any
    ) throws -> GatewayConfiguration {
        let environment = DotEnv.load(directory: FileManager.default.currentDirectoryPath, environment: process)
        do {
            return try ConfigLoader(environment: environment, console: console, unseen: unseen).load(path: config)
        } catch {
            Self.report(error)
            throw ExitCode.failure
        }
    }

    static func report(_ errors: ConfigErrors) {
        for diagnostic in errors.diagnostics { FileHandle.standardError.write(Data("\(diagnostic)\n".utf8)) }
    }
}
