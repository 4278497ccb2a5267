import ArgumentParser
import Config
import Foundation
import RouterCore

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Validate the configuration without binding a socket; all mistakes in one run, exit code 1 if any.")

    @OptionGroup var common: ConfigOption
    @Option(help: "A provider of the console that channels.yaml uses; may be repeated. The database is not read, so others are mistakes.")
    var consoleProvider: [String] = []

    func run() throws {
        let configuration = try common.load(ProcessInfo.processInfo.environment, unseen: .named(Set(consoleProvider)))
        for warning in configuration.warnings { print(warning) }
        let models = configuration.routes.models.count
        print(
            "ok: \(configuration.providers.count) providers, \(configuration.routes.channels.count) channels "
                + "(\(configuration.routes.channels.filter(\.isEnabled).count) enabled), \(models) models")
    }
}
