import CLibcurl
import NIOCore
public import RouterCore
import Synchronization

/// Sends upstream calls with libcurl's multi interface: HTTP/1.1 and HTTP/2, one pool of kept-alive connections per I/O thread, with TLS
/// verification always on.
///
/// libcurl's handles exist on the I/O threads only; the rest of the program sees requests, heads and byte buffers.
public final class CurlTransport: UpstreamTransport {
    public struct Configuration: Sendable {
        /// I/O threads, each with its own epoll set and connection pool.
        public var threads: Int
        /// Open connections per thread, in use or kept alive.
        public var maxConnections: Int
        /// Idle connections kept per thread.
        public var maxIdleConnections: Int
        /// PEM file with certificates to trust instead of the system's; for tests and private vendors.
        public var trustedCertificates: String?

        public init(
            threads: Int = 1, maxConnections: Int = 10_000, maxIdleConnections: Int = 1_000,
            trustedCertificates: String? = nil
        ) {
            self.threads = threads
            self.maxConnections = maxConnections
            self.maxIdleConnections = maxIdleConnections
            self.trustedCertificates = trustedCertificates
        }
    }

    private let threads: [IOThread]
    private let next = Atomic<Int>(0)

    /// curl_global_init is not thread-safe in old versions; a static is initialised exactly once.
    private static let globalInit: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// - Throws: ``TransportFailure`` of kind `.other` when the system refuses an epoll set, an eventfd or a thread.
    public init(configuration: Configuration = Configuration()) throws(TransportFailure) {
        guard Self.globalInit else { throw TransportFailure(.other, "curl_global_init failed") }
        var threads: [IOThread] = []
        for index in 0..<max(1, configuration.threads) {
            threads.append(try IOThread(configuration: configuration, index: index))
        }
        self.threads = threads
    }

    deinit { for thread in threads { thread.stop() } }

    public func send(
        _ request: UpstreamRequest, options: TransportOptions, cancellation: UpstreamCancellation
    ) async throws(TransportFailure) -> UpstreamResponse {
        let transfer = try Transfer(request: request, options: options, cancellation: cancellation)
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        let thread = threads[Int(UInt(bitPattern: index) % UInt(threads.count))]
        transfer.attach(thread)
        cancellation.onCancel { transfer.cancel() }
        guard thread.submit(transfer) else { throw TransportFailure(.shutdown) }
        let head = try await transfer.head()
        return UpstreamResponse(head: head, body: TransferBody(transfer: transfer))
    }

    /// Fails all running transfers with `.shutdown` and ends the threads. Idempotent.
    public func shutdown() async {
        for thread in threads { thread.stop() }
        for thread in threads { await thread.waitUntilStopped() }
    }

    /// Sums over all threads.
    public var statistics: TransportStatistics {
        threads.reduce(into: TransportStatistics()) { sum, thread in
            let one = thread.statistics
            sum.openTransfers += one.openTransfers
            sum.connectionsCreated += one.connectionsCreated
            sum.requestsSent += one.requestsSent
        }
    }
}
