import ArgumentParser
import Config
import Foundation
import Logging
import Server

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve until SIGTERM or SIGINT; SIGHUP reloads the configuration.")

    @OptionGroup var common: ConfigOption

    func run() async throws {
        let process = ProcessInfo.processInfo.environment
        let configuration = try common.load(process)
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, isJSON: configuration.log.format == .json)
        }
        var logger = Logger(label: "apirouter")
        logger.logLevel = Logger.Level(rawValue: configuration.log.level) ?? .info
        let options = Gateway.Options(configPath: common.config, environment: process, version: Build.version)
        do {
            let gateway = try await Gateway.make(configuration, options: options, logger: logger)
            try await gateway.run()
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
    func load(_ process: [String: String]) throws -> GatewayConfiguration {
        let environment = DotEnv.load(directory: FileManager.default.currentDirectoryPath, environment: process)
        do {
            return try ConfigLoader(environment: environment).load(path: config)
        } catch {
            for diagnostic in error.diagnostics {
                FileHandle.standardError.write(Data("\(diagnostic)\n".utf8))
            }
            throw ExitCode.failure
        }
    }
}
