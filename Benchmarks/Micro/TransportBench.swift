import CPlatform
import Foundation
import HTTPTypes
import NIOCore
import NIOPosix
import RouterCore
import Synchronization
import Transport

/// Upstream calls by the two transports, without the gateway around them: `microbench transport nio|curl URL CA|- CONNECTIONS SECONDS
/// MODEL`.
///
/// So many callers, each with one call at a time, for so long. Prints a line of JSON: calls, pieces of body, and the CPU time of the whole
/// process (its callers included, which are the same for both). Benchmarks/harness/cases_transports.py runs it, plain and TLS.
enum TransportBench {
    private struct Setup: Sendable {
        let url: String
        let connections: Int
        let seconds: Double
        let body: ByteBuffer
        let isStream: Bool
    }

    static func run(_ words: [String]) async throws {
        guard words.count == 6, let connections = Int(words[3]), let seconds = Double(words[4]) else {
            print("expected: transport nio|curl URL CA|- CONNECTIONS SECONDS MODEL")
            exit(2)
        }
        let model = words[5]
        let isStream = model.hasPrefix("bench-s-")
        let text = String(repeating: "lorem ipsum dolor sit amet, ", count: 36)
        let json = #"{"model":"\#(model)","stream":\#(isStream),"messages":[{"role":"user","content":"\#(text)"}]}"#
        let setup = Setup(url: words[1], connections: connections, seconds: seconds, body: ByteBuffer(string: json), isStream: isStream)
        let trusted = words[2] == "-" ? nil : words[2]
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let executor = OnLoop(group.next())
        switch words[0] {
        case "nio":
            let transport = try LoopTransport(group: group, configuration: LoopTransport.Configuration(trustedCertificates: trusted))
            try await measure(transport, setup, executor)
            await transport.shutdown()
        case "curl":
            let transport = try CurlTransport(configuration: CurlTransport.Configuration(trustedCertificates: trusted))
            try await measure(transport, setup, executor)
            await transport.shutdown()
        default:
            print("unknown transport \(words[0]); there are nio and curl")
            exit(2)
        }
        try await group.shutdownGracefully()
    }

    private static func measure(_ transport: some UpstreamTransport, _ setup: Setup, _ executor: OnLoop) async throws {
        // Connections are made and code is warm before the clock starts.
        _ = try await load(transport, setup, executor, seconds: min(0.5, setup.seconds))
        let (began, spent) = (ContinuousClock.now, cpuSeconds())
        let (calls, pieces) = try await load(transport, setup, executor, seconds: setup.seconds)
        let cpu = cpuSeconds() - spent
        let lasted = (ContinuousClock.now - began) / .seconds(1)
        print(#"{"calls":\#(calls),"pieces":\#(pieces),"seconds":\#(lasted),"cpu_seconds":\#(cpu)}"#)
    }

    private static func load(
        _ transport: some UpstreamTransport, _ setup: Setup, _ executor: OnLoop, seconds: Double
    ) async throws -> (calls: Int, pieces: Int) {
        let end = ContinuousClock.now + .seconds(seconds)
        return try await withThrowingTaskGroup(of: (calls: Int, pieces: Int).self) { group in
            for _ in 0..<setup.connections {
                group.addTask(executorPreference: executor) {
                    var done = (calls: 0, pieces: 0)
                    while ContinuousClock.now < end {
                        done.pieces += try await call(transport, setup)
                        done.calls += 1
                    }
                    return done
                }
            }
            return try await group.reduce((calls: 0, pieces: 0)) { ($0.calls + $1.calls, $0.pieces + $1.pieces) }
        }
    }

    private static func call(_ transport: some UpstreamTransport, _ setup: Setup) async throws -> Int {
        var request = UpstreamRequest(url: setup.url, body: setup.body)
        request.headers[.contentType] = "application/json"
        request.headers[.accept] = setup.isStream ? "text/event-stream" : "application/json"
        request.headers[.authorization] = "Bearer sk-benchmark-key-0123456789"
        let answer = try await transport.send(request, options: TransportOptions(), cancellation: UpstreamCancellation())
        guard answer.head.status == 200 else { throw TransportFailure(.protocolViolation, "status \(answer.head.status)") }
        var pieces = 0
        while try await answer.body.next() != nil { pieces += 1 }
        return pieces
    }

    private static func cpuSeconds() -> Double {
        Double(apir_processor_microseconds()) / 1_000_000
    }
}

/// Runs tasks on one event loop, as the gateway does with its calls.
private final class OnLoop: TaskExecutor {
    private let eventLoop: any EventLoop
    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
