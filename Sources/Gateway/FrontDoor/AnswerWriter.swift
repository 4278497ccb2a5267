import HTTPTypes
import NIOCore

/// Writes the answers of model calls to the connection (RFC 9112): a head and its body, or a chunk with its framing, in one buffer. It is
/// placed before the codec, so that its output passes no other handler: the general encoder costs more than all the work done here, and a
/// system call with one buffer costs less than one with three.
final class AnswerWriter: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How the end of a body is marked.
    enum Framing {
        case length(Int)
        case chunked
        /// By closing the connection, for clients that do not support chunked coding (HTTP/1.0).
        case close
    }

    private var context: ChannelHandlerContext?
    private var framing = Framing.length(0)
    /// Bytes that are written and not yet sent.
    private var pending = ByteBuffer()

    /// Bodies and chunks up to this size (bytes) are copied after the preceding bytes; larger ones are written separately.
    private static let maximumCopied = 16 * 1024

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Writes the head, which is sent together with what follows it.
    /// - Parameter isLast: whether the connection closes after this answer.
    func head(_ status: HTTPResponse.Status, _ fields: HTTPFields, date: String, isLast: Bool, framing: Framing) {
        self.framing = framing
        pending.reserveCapacity(512)
        pending.writeStaticString("HTTP/1.1 ")
        pending.writeString(String(status.code))
        pending.writeStaticString(" ")
        pending.writeString(status.reasonPhrase)
        pending.writeStaticString("\r\n")
        // Names are tokens and values have no line breaks: `HTTPFields` accepts no others.
        for field in fields {
            pending.writeString(field.name.rawName)
            pending.writeStaticString(": ")
            pending.writeString(field.value)
            pending.writeStaticString("\r\n")
        }
        pending.writeStaticString("Date: ")
        pending.writeString(date)
        pending.writeStaticString("\r\n")
        switch framing {
        // An answer whose status allows no content must not announce any (RFC 9110 section 8.6).
        case .length where status == .noContent: break
        case .length(let length):
            pending.writeStaticString("Content-Length: ")
            pending.writeString(String(length))
            pending.writeStaticString("\r\n")
        case .chunked: pending.writeStaticString("Transfer-Encoding: chunked\r\n")
        case .close: break
        }
        if isLast { pending.writeStaticString("Connection: close\r\n") }
        pending.writeStaticString("\r\n")
    }

    /// Sends a part of the body at once.
    func body(_ bytes: ByteBuffer) {
        append(bytes)
        flush()
    }

    /// Sends the last part of the body, which may be empty.
    func end(_ bytes: ByteBuffer) {
        append(bytes)
        if case .chunked = framing { pending.writeStaticString("0\r\n\r\n") }
        flush()
    }

    /// Calls back when everything that was sent has been handed to the kernel, or never will be.
    func whenWritten(_ done: @escaping @Sendable () -> Void) {
        guard let context else { return done() }
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenComplete { _ in done() }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: promise)
    }

    private func append(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        guard case .chunked = framing else { return add(bytes) }
        pending.reserveCapacity(minimumWritableBytes: 16 + (bytes.readableBytes <= Self.maximumCopied ? bytes.readableBytes : 0))
        pending.writeString(String(bytes.readableBytes, radix: 16))
        pending.writeStaticString("\r\n")
        add(bytes)
        pending.writeStaticString("\r\n")
    }

    private func add(_ bytes: ByteBuffer) {
        if bytes.readableBytes <= Self.maximumCopied {
            pending.writeImmutableBuffer(bytes)
        } else {
            take()
            context?.write(wrapOutboundOut(bytes), promise: nil)
        }
    }

    private func take() {
        guard pending.readableBytes > 0 else { return }
        let bytes = pending
        pending = ByteBuffer()
        context?.write(wrapOutboundOut(bytes), promise: nil)
    }

    private func flush() {
        take()
        context?.flush()
    }
}
