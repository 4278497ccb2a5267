import ArgumentParser
import Dispatch
import Foundation
import Simulator

@main
struct UpstreamSimulator: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upstream-simulator", abstract: "A fake vendor for tests and benchmarks; see docs/simulator.md.")

    @Option(help: "Address to bind.") var host = "127.0.0.1"
    @Option(help: "Port; 0 = any free one.") var port = 0
    @Option(help: "File to which billing rows are appended as JSON lines.") var record: String?
    @Option(help: "Event loop threads.") var threads = 1
    @Option(help: "Milliseconds between the chunks of a stream.") var pace = 0
    @Flag(help: "Answer everything with one ready-made body.") var fast = false

    func run() async throws {
        var configuration = Simulator.Configuration()
        configuration.host = host
        configuration.port = port
        configuration.recordFile = record
        configuration.threads = threads
        configuration.defaultPace = .milliseconds(pace)
        configuration.isFast = fast
        let simulator = Simulator(configuration: configuration)
        try await simulator.start()
        FileHandle.standardOutput.write(Data("upstream-simulator listening on http://\(host):\(simulator.port)\n".utf8))
        await Self.untilSignalled()
        try await simulator.stop()
    }

    private static func untilSignalled() async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        let sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield() }
            source.resume()
            return source
        }
        for await _ in stream { break }
        for source in sources { source.cancel() }
    }
}
