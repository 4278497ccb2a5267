public import NIOCore
public import NIOPosix
public import RouterCore

/// Chooses the transport for each call: direct calls run on the calling event loop; calls through a proxy use libcurl, which supports all
/// kinds of proxies.
public final class UpstreamSwitch: UpstreamTransport {
    private let direct: LoopTransport
    private let proxied: CurlTransport

    /// - Throws: ``TransportFailure`` when the system refuses what a transport needs.
    public init(group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton) throws(TransportFailure) {
        direct = try LoopTransport(group: group)
        proxied = try CurlTransport()
    }

    public func send(
        _ request: UpstreamRequest, options: TransportOptions, cancellation: UpstreamCancellation
    ) async throws(TransportFailure) -> UpstreamResponse {
        if options.proxy != nil { return try await proxied.send(request, options: options, cancellation: cancellation) }
        return try await direct.send(request, options: options, cancellation: cancellation)
    }

    /// For calls that do not belong to a client's request: few at a time, and away from the event loops that serve clients.
    public var sideCalls: any UpstreamTransport { proxied }

    /// Fails all running calls with `.shutdown`. Idempotent.
    public func shutdown() async {
        await direct.shutdown()
        await proxied.shutdown()
    }

    public var statistics: TransportStatistics { direct.statistics + proxied.statistics }
}

public struct TransportStatistics: Sendable, Hashable {
    public var openTransfers = 0
    public var connectionsCreated = 0
    public var requestsSent = 0
    public init() {}
}

extension TransportStatistics {
    static func + (left: TransportStatistics, right: TransportStatistics) -> TransportStatistics {
        var sum = left
        sum.openTransfers += right.openTransfers
        sum.connectionsCreated += right.connectionsCreated
        sum.requestsSent += right.requestsSent
        return sum
    }
}
