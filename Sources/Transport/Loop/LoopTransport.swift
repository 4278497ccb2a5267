public import NIOCore
public import NIOPosix
import NIOSSL
public import RouterCore
import Synchronization

/// Sends upstream calls over SwiftNIO: HTTP/1.1, plain or TLS, on the event loop of the calling task, so that a request and its upstream
/// call share a thread and no context switch is needed. Connections are kept per event loop.
public final class LoopTransport: UpstreamTransport {
    public struct Configuration: Sendable {
        /// Open connections per event loop, in use or kept alive.
        public var maxConnections: Int
        /// Idle connections kept per event loop and origin.
        public var maxIdleConnections: Int
        /// How long an idle connection is kept. Shorter than the keep-alive time of common servers (nginx: 75 s), so that they rarely close
        /// it first.
        public var idleLifetime: TimeAmount
        /// PEM file with certificates to trust instead of the system's; for tests and private vendors.
        public var trustedCertificates: String?

        public init(
            maxConnections: Int = 10_000, maxIdleConnections: Int = 1_000, idleLifetime: TimeAmount = .seconds(50),
            trustedCertificates: String? = nil
        ) {
            self.maxConnections = maxConnections
            self.maxIdleConnections = maxIdleConnections
            self.idleLifetime = idleLifetime
            self.trustedCertificates = trustedCertificates
        }
    }

    private let pools: [LoopPool]
    private let byLoop: [ObjectIdentifier: LoopPool]
    private let next = Atomic<Int>(0)
    private let counters = TransportCounters()

    /// - Throws: ``TransportFailure`` of kind `.tls` when the trusted certificates cannot be read.
    public init(
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, configuration: Configuration = Configuration()
    ) throws(TransportFailure) {
        let security: NIOSSLContext
        do {
            var settings = TLSConfiguration.makeClientConfiguration()
            settings.applicationProtocols = ["http/1.1"]
            if let path = configuration.trustedCertificates { settings.trustRoots = .file(path) }
            security = try NIOSSLContext(configuration: settings)
        } catch {
            throw TransportFailure(.tls, "\(error)")
        }
        let counters = counters
        var pools: [LoopPool] = []
        for loop in group.makeIterator() {
            pools.append(LoopPool(eventLoop: loop, configuration: configuration, security: security, counters: counters))
        }
        self.pools = pools
        byLoop = Dictionary(uniqueKeysWithValues: pools.map { (ObjectIdentifier($0.eventLoop), $0) })
    }

    public func send(
        _ request: UpstreamRequest, options: TransportOptions, cancellation: UpstreamCancellation
    ) async throws(TransportFailure) -> UpstreamResponse {
        let transfer = try Transfer(request: request, options: options, cancellation: cancellation)
        let pool = pool()
        transfer.attach(pool)
        cancellation.onCancel { transfer.cancel() }
        pool.submit(transfer)
        let head = try await transfer.head()
        return UpstreamResponse(head: head, body: TransferBody(transfer: transfer))
    }

    /// The pool of the current event loop, or of any loop when called from elsewhere.
    private func pool() -> LoopPool {
        if let loop = MultiThreadedEventLoopGroup.currentEventLoop, let pool = byLoop[ObjectIdentifier(loop)] { return pool }
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        return pools[Int(UInt(bitPattern: index) % UInt(pools.count))]
    }

    /// Fails all running transfers with `.shutdown` and closes all connections. Idempotent.
    public func shutdown() async {
        for pool in pools { await pool.shutdown() }
    }

    /// Sums over all event loops.
    public var statistics: TransportStatistics { counters.statistics }
}

/// Updated from several event loops.
final class TransportCounters: Sendable {
    let openTransfers = Atomic<Int>(0)
    let connectionsCreated = Atomic<Int>(0)
    let requestsSent = Atomic<Int>(0)

    var statistics: TransportStatistics {
        var statistics = TransportStatistics()
        statistics.openTransfers = openTransfers.load(ordering: .relaxed)
        statistics.connectionsCreated = connectionsCreated.load(ordering: .relaxed)
        statistics.requestsSent = requestsSent.load(ordering: .relaxed)
        return statistics
    }
}
