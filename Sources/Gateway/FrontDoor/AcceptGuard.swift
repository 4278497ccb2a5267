package import Logging
package import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Keeps the listening socket open when the system has no descriptor or memory for another connection: otherwise the server would treat the
/// error as the end of the socket. First in the pipeline of the listening channel.
package final class AcceptGuard: ChannelInboundHandler, Sendable {
    package typealias InboundIn = NIOAny

    private let logger: Logger
    /// Delay before the next attempt: a shortage does not pass at once, and retrying in a loop would use a whole core.
    private static let pause = TimeAmount.milliseconds(100)
    private static let passing: Set<CInt> = [EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO, EINTR]

    package init(logger: Logger) { self.logger = logger }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let failure = error as? IOError, Self.passing.contains(failure.errnoCode) else { return context.fireErrorCaught(error) }
        logger.error("no connection can be accepted at the moment", metadata: ["error": "\(failure)"])
        let channel = context.channel
        channel.setOption(ChannelOptions.autoRead, value: false).whenComplete { _ in
            channel.eventLoop.scheduleTask(in: Self.pause) { channel.setOption(ChannelOptions.autoRead, value: true).whenComplete { _ in } }
        }
    }
}
