import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A controllable fake vendor: answers like OpenAI (`/v1`) or OpenRouter (`/api/v1`), breaks on demand, and keeps a record of what it
/// "billed". Tests and benchmarks talk to it over real sockets; the gateway's demo channel is one of these in process.
///
/// All controls are listed in docs/simulator.md.
public final class Simulator: Sendable {
    public struct Configuration: Sendable {
        public var host = "127.0.0.1"
        /// 0 = any free port.
        public var port = 0
        /// Billing rows are appended here as JSON lines when set.
        public var recordFile: String?
        public var threads = 1
        /// Pause between chunks of every stream that does not specify its own.
        public var defaultPace = Duration.zero
        /// Answers everything with one ready-made body, for benchmarks.
        public var isFast = false
        public init() {}
    }

    private struct State {
        var channel: (any Channel)?
        var group: MultiThreadedEventLoopGroup?
        var children: [ObjectIdentifier: any Channel] = [:]
        var isStopped = false
    }

    public let configuration: Configuration
    public let record: BillingRecord
    public let script = Script()
    public let listedModels = ListedModels()
    public let responses = SimulatedResponses()
    let batches = SimulatedBatches()
    private let state = Mutex(State())
    private let counters = Mutex(SimulatorStatistics())

    public init(configuration: Configuration = .init()) {
        self.configuration = configuration
        record = BillingRecord(file: configuration.recordFile)
    }

    /// Binds and serves. - Throws: when the address is taken.
    public func start() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, configuration.threads))
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.backlog, value: 4096)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withPipeliningAssistance: true)
                    try channel.pipeline.syncOperations.addHandler(SimulatorHandler(simulator: self))
                }
            }
            .childChannelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
        do {
            let channel = try await bootstrap.bind(host: configuration.host, port: configuration.port).get()
            state.withLock { state in
                state.channel = channel
                state.group = group
            }
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    /// The bound port; 0 before `start`.
    public var port: Int { state.withLock { $0.channel?.localAddress?.port } ?? 0 }

    public var statistics: SimulatorStatistics { counters.withLock { $0 } }

    /// Closes everything. Idempotent.
    public func stop() async throws {
        let (channel, group, children) = state.withLock { state in
            defer {
                state.channel = nil
                state.group = nil
                state.isStopped = true
            }
            return (state.channel, state.group, Array(state.children.values))
        }
        try await channel?.close().get()
        for child in children { child.close(promise: nil) }
        try await group?.shutdownGracefully()
        record.close()
    }

    func connected(_ channel: any Channel) {
        state.withLock { $0.children[ObjectIdentifier(channel)] = channel }
        counters.withLock { statistics in
            statistics.openConnections += 1
            statistics.connections += 1
        }
    }

    func disconnected(_ channel: any Channel) {
        state.withLock { $0.children[ObjectIdentifier(channel)] = nil }
        counters.withLock { $0.openConnections -= 1 }
    }

    func counted(_ path: String) { counters.withLock { $0.requests[path, default: 0] += 1 } }
    func clientGone() { counters.withLock { $0.clientsGone += 1 } }

    public func reset() {
        record.clear()
        script.clear()
        batches.clear()
        listedModels.set(nil)
        responses.clear()
        counters.withLock { statistics in
            statistics.requests = [:]
            statistics.clientsGone = 0
        }
    }
}

public struct SimulatorStatistics: Sendable, Hashable {
    public var openConnections = 0
    public var connections = 0
    public var clientsGone = 0
    public var requests: [String: Int] = [:]
}
