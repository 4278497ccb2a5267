import NIOCore
import NIOPosix
import Synchronization

/// A server that says exactly these bytes, so that every broken answer can be had.
final class RawServer: Sendable {
    /// What one connection does when its first bytes have come.
    typealias Script = @Sendable (any Channel, ByteBuffer) -> Void

    private struct State {
        var channel: (any Channel)?
        var connections = 0
        var open = 0
        var received = ""
    }
    private let state = Mutex(State())
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    var port: Int { state.withLock { $0.channel?.localAddress?.port } ?? 0 }
    var url: String { "http://127.0.0.1:\(port)/x" }
    var connections: Int { state.withLock { $0.connections } }
    var open: Int { state.withLock { $0.open } }
    var received: String { state.withLock { $0.received } }

    static func start(_ script: @escaping Script) async throws -> RawServer {
        let server = RawServer()
        let channel = try await ServerBootstrap(group: server.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(server: server, script: script))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        server.state.withLock { $0.channel = channel }
        return server
    }

    /// A whole answer for every request of a connection.
    static func answering(_ text: String) async throws -> RawServer {
        try await start { channel, _ in channel.writeAndFlush(ByteBuffer(string: text), promise: nil) }
    }

    func stop() async throws {
        try await state.withLock { $0.channel }?.close()
        try await group.shutdownGracefully()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let server: RawServer
        private let script: Script
        init(server: RawServer, script: @escaping Script) {
            self.server = server
            self.script = script
        }
        func channelActive(context: ChannelHandlerContext) {
            server.state.withLock { state in
                state.connections += 1
                state.open += 1
            }
        }
        func channelInactive(context: ChannelHandlerContext) { server.state.withLock { $0.open -= 1 } }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            server.state.withLock { $0.received += String(buffer: bytes) }
            script(context.channel, bytes)
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
