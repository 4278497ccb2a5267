import ArgumentParser
import Config
import Foundation
import NIOCore
import RouterCore
import Server
import Vendors

struct ProviderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "provider", abstract: "What a provider does: one of a file or of the console.", subcommands: [Explain.self, Test.self])

    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the exact upstream request that a client's request becomes; secrets are redacted. Nothing is sent.")

        @OptionGroup var common: ConfigOption
        @Argument(help: "Name of the provider.") var name: String
        @Option(help: "File with the client's JSON body; - = standard input.") var request: String
        @Option(help: "The dialect of the body: chat, responses, messages, gemini, completions, embeddings.") var endpoint = "chat"
        @Option(help: "For gemini, where the path names it: the model; default: the first that the file lists.") var model: String?
        @Flag(help: "For gemini, where the path says it: a stream.") var stream = false

        func run() async throws {
            guard let endpoint = Endpoint(rawValue: endpoint) else {
                throw ValidationError("--endpoint must be one of \(Endpoint.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            let data =
                request == "-"
                ? FileHandle.standardInput.readDataToEndOfFile() : try? Data(contentsOf: URL(fileURLWithPath: request))
            guard let data else { throw ValidationError("cannot read \(request)") }
            let environment = ProcessInfo.processInfo.environment
            do {
                let configuration = try await common.load(environment, provider: name)
                let probe = try ProviderProbe(configuration, provider: name, environment: environment)
                print(try probe.explain(ByteBuffer(bytes: data), endpoint: endpoint, model: model, isStream: stream))
            } catch let problem as ProviderProbe.Problem {
                throw ValidationError(problem.message)
            }
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a few cheap real calls to the vendor; exit code 1 when one is not as it should be.")

        @OptionGroup var common: ConfigOption
        @Argument(help: "Name of the provider.") var name: String
        @Option(help: "A model of the vendor; default: the first that the file lists.") var model: String?

        func run() async throws {
            let environment = ProcessInfo.processInfo.environment
            do {
                let configuration = try await common.load(environment, provider: name)
                let probe = try ProviderProbe(configuration, provider: name, environment: environment)
                let checks = try await probe.run(model: model)
                for check in checks {
                    print(
                        "\(check.failure == nil ? "ok    " : "FAILED")  \(check.name): \(check.failure.map { $0 + " " } ?? "")\(check.detail)"
                    )
                }
                if checks.contains(where: { $0.failure != nil }) { throw ExitCode.failure }
            } catch let problem as ProviderProbe.Problem {
                throw ValidationError(problem.message)
            }
        }
    }
}

extension ConfigOption {
    /// The configuration for calls to a provider. The ledger is opened only where the files and the environment do not have the provider
    /// or no key of it: it may be the console's.
    fileprivate func load(_ environment: [String: String], provider name: String) async throws -> GatewayConfiguration {
        let files = try load(environment)
        if let spec = files.providers.first(where: { $0.name == name }) {
            let hasKey = files.routes.channels.contains { $0.provider.name == name && !$0.keys.isEmpty }
            if hasKey || spec.auth == .none || spec.keyEnv.flatMap({ environment[$0] })?.isEmpty == false { return files }
        }
        do {
            return try await withConsole { _, configuration in configuration }
        } catch let error as ValidationError {
            FileHandle.standardError.write(Data("the console was not asked: \(error.message)\n".utf8))
            return files
        }
    }
}
