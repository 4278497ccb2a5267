import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import RouterCore
import Synchronization

/// The upstream connections of one event loop. All state is accessed on that loop only.
final class LoopPool: TransferDriver {
    let eventLoop: any EventLoop
    private let configuration: LoopTransport.Configuration
    private let security: NIOSSLContext
    private let counters: TransportCounters
    private let box: NIOLoopBoundBox<State>

    private struct State {
        /// Ready for the next call; the most recently used connection comes first.
        var idle: [UpstreamOrigin: [UpstreamConnection]] = [:]
        /// Connections in use by a call.
        var running: [ObjectIdentifier: UpstreamConnection] = [:]
        /// Calls whose connection is being established.
        var connecting: [ObjectIdentifier: Transfer] = [:]
        var all: [ObjectIdentifier: UpstreamConnection] = [:]
        /// Number of connections, including those being established.
        var count = 0
        var targets: [String: UpstreamTarget] = [:]
        var isShutDown = false
    }

    /// Maximum number of URLs whose parsed form is cached.
    private static let maximumTargets = 4_096
    /// Maximum decompressed size of a body in bytes: a small body must not fill the memory.
    static let maximumInflated = 256 * 1024 * 1024

    init(
        eventLoop: any EventLoop, configuration: LoopTransport.Configuration, security: NIOSSLContext, counters: TransportCounters
    ) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.security = security
        self.counters = counters
        box = NIOLoopBoundBox.makeBoxSendingValue(State(), eventLoop: eventLoop)
    }

    // MARK: From any thread

    func submit(_ transfer: Transfer) { onLoop { self.start(transfer) } }
    func resume(_ transfer: Transfer) { onLoop { self.box.value.running[ObjectIdentifier(transfer)]?.resume(transfer) } }
    func cancel(_ transfer: Transfer) { onLoop { self.stop(transfer, TransportFailure(.cancelled)) } }

    func shutdown() async {
        try? await eventLoop.submit {
            self.box.value.isShutDown = true
            let state = self.box.value
            for transfer in state.connecting.values { transfer.finish(TransportFailure(.shutdown)) }
            for connection in state.all.values { connection.fail(TransportFailure(.shutdown)) }
        }.get()
    }

    private func onLoop(_ body: @escaping @Sendable () -> Void) {
        if eventLoop.inEventLoop { body() } else { eventLoop.execute(body) }
    }

    // MARK: On the loop

    private func start(_ transfer: Transfer) {
        guard !box.value.isShutDown else { return transfer.finish(TransportFailure(.shutdown)) }
        guard !transfer.isCancelled else { return transfer.finish(TransportFailure(.cancelled)) }
        guard let target = target(transfer.request.url) else {
            return transfer.finish(TransportFailure(.protocolViolation, "not an absolute http or https URL"))
        }
        counters.requestsSent.wrappingAdd(1, ordering: .relaxed)
        counters.openTransfers.wrappingAdd(1, ordering: .relaxed)
        let start = NIODeadline.now()
        if !transfer.options.needsNewConnection, let connection = takeIdle(target.origin) {
            box.value.running[ObjectIdentifier(transfer)] = connection
            connection.start(transfer, target, at: start, isReused: true)
        } else {
            connect(transfer, target, at: start)
        }
    }

    private func takeIdle(_ origin: UpstreamOrigin) -> UpstreamConnection? {
        while let connection = box.value.idle[origin]?.popLast() {
            if connection.isUsable { return connection }
        }
        return nil
    }

    private func target(_ url: String) -> UpstreamTarget? {
        if let known = box.value.targets[url] { return known }
        guard let target = UpstreamTarget(url) else { return nil }
        if box.value.targets.count >= Self.maximumTargets { box.value.targets = [:] }
        box.value.targets[url] = target
        return target
    }

    private func connect(_ transfer: Transfer, _ target: UpstreamTarget, at start: NIODeadline) {
        guard box.value.count < configuration.maxConnections || closeOneIdle() else {
            counters.openTransfers.wrappingSubtract(1, ordering: .relaxed)
            return transfer.finish(TransportFailure(.exhausted, "\(configuration.maxConnections) upstream connections are open"))
        }
        let id = ObjectIdentifier(transfer)
        box.value.count += 1
        box.value.connecting[id] = transfer
        counters.connectionsCreated.wrappingAdd(1, ordering: .relaxed)
        let limit = min(transfer.options.timeouts.connect, transfer.options.timeouts.total)
        // The TLS handshake shares this limit: the connection sets the handshake's own deadline.
        let bootstrap = ClientBootstrap(group: eventLoop).connectTimeout(TimeAmount(limit))
        bootstrap.connect(host: target.origin.host, port: target.origin.port).whenComplete { result in
            self.box.value.connecting[id] = nil
            switch result {
            case .failure(let error):
                self.box.value.count -= 1
                self.ended(transfer, ConnectFailure.map(error))
            case .success(let channel): self.connected(channel, transfer, target, start, start + TimeAmount(limit))
            }
        }
    }

    private func connected(
        _ channel: any NIOCore.Channel, _ transfer: Transfer, _ target: UpstreamTarget, _ start: NIODeadline, _ secureBy: NIODeadline
    ) {
        let writer = RequestWriter()
        let decoder = HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes)
        let connection = UpstreamConnection(pool: self, origin: target.origin, writer: writer, decoder: decoder)
        do {
            let pipeline = channel.pipeline.syncOperations
            if target.origin.isSecure {
                // Server names may only be host names, not addresses (RFC 6066).
                let host = target.origin.host
                let name = host.utf8.allSatisfy { $0 == 0x2E || (0x30...0x39).contains($0) } || host.contains(":") ? nil : host
                try pipeline.addHandler(NIOSSLClientHandler(context: security, serverHostname: name))
                connection.secureBy = secureBy
            }
            try pipeline.addHandler(writer)
            try pipeline.addHandler(ByteToMessageHandler(decoder))
            try pipeline.addHandler(connection)
        } catch {
            box.value.count -= 1
            channel.close(promise: nil)
            return ended(transfer, TransportFailure(.tls, "\(error)"))
        }
        box.value.all[ObjectIdentifier(connection)] = connection
        guard !box.value.isShutDown, !transfer.isCancelled else {
            ended(transfer, TransportFailure(box.value.isShutDown ? .shutdown : .cancelled))
            return connection.close()
        }
        box.value.running[ObjectIdentifier(transfer)] = connection
        connection.start(transfer, target, at: start, isReused: false)
    }

    /// Makes room when the limit is reached because of idle connections.
    private func closeOneIdle() -> Bool {
        for origin in box.value.idle.keys {
            if let connection = box.value.idle[origin]?.popLast() {
                connection.close()
                return true
            }
        }
        return false
    }

    private func stop(_ transfer: Transfer, _ failure: TransportFailure) {
        if let connection = box.value.running[ObjectIdentifier(transfer)] {
            connection.fail(failure)
        } else {
            // The transfer is still connecting, or has ended; a connection that is established later is closed.
            transfer.finish(failure)
        }
    }

    // MARK: From the connections

    /// The call is over. - Parameter failure: nil = in order.
    func ended(_ transfer: Transfer, _ failure: TransportFailure?) {
        box.value.running[ObjectIdentifier(transfer)] = nil
        counters.openTransfers.wrappingSubtract(1, ordering: .relaxed)
        transfer.finish(failure)
    }

    /// Repeats a call on a fresh connection: the server closed a kept one before the whole request had been sent (or the request is
    /// repeatable).
    func again(_ transfer: Transfer, _ target: UpstreamTarget, at start: NIODeadline) {
        box.value.running[ObjectIdentifier(transfer)] = nil
        connect(transfer, target, at: start)
    }

    /// - Returns: false when the connection is not kept.
    func keep(_ connection: UpstreamConnection) -> Bool {
        guard !box.value.isShutDown, box.value.idle[connection.origin]?.count ?? 0 < configuration.maxIdleConnections else { return false }
        box.value.idle[connection.origin, default: []].append(connection)
        return true
    }

    var idleLifetime: TimeAmount { configuration.idleLifetime }

    func closed(_ connection: UpstreamConnection) {
        guard box.value.all.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        box.value.count -= 1
        box.value.idle[connection.origin]?.removeAll { $0 === connection }
        if box.value.idle[connection.origin]?.isEmpty == true { box.value.idle[connection.origin] = nil }
    }
}

/// Translates SwiftNIO's connection errors into our own.
enum ConnectFailure {
    static func map(_ error: any Error) -> TransportFailure {
        switch error {
        case let error as NIOConnectionError:
            if error.connectionErrors.isEmpty { return TransportFailure(.resolve, "\(error.host) has no address") }
            let isTimeout = error.connectionErrors.allSatisfy { ($0.error as? ChannelError).map(isConnectTimeout) ?? false }
            return TransportFailure(
                isTimeout ? .connectTimeout : .connect, error.connectionErrors.map { "\($0.error)" }.joined(separator: "; "))
        case let error as ChannelError where isConnectTimeout(error): return TransportFailure(.connectTimeout, "\(error)")
        default: return TransportFailure(.connect, "\(error)")
        }
    }

    private static func isConnectTimeout(_ error: ChannelError) -> Bool { if case .connectTimeout = error { true } else { false } }
}
