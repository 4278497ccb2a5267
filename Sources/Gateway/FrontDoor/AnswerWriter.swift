import HTTPTypes
import NIOCore

/// Puts the answers of model calls on the wire (RFC 9112): a head and its body, or a chunk with its frame, in one buffer. It stands before
/// the codec, so that what it writes passes no other handler: the general encoder's parts cost more than the whole of this, and a system
/// call with one buffer less than one with three.
final class AnswerWriter: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How the end of a body is told.
    enum Framing {
        case length(Int)
        case chunked
        /// By closing, to clients that know no chunks (HTTP/1.0).
        case close
    }

    private var context: ChannelHandlerContext?
    private var framing = Framing.length(0)
    /// Written and not sent.
    private var pending = ByteBuffer()

    /// Bodies and chunks up to this are copied behind what comes before them; larger ones are written by themselves.
    private static let maximumCopied = 16 * 1024

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// The head waits for what comes behind it.
    /// - Parameter isLast: the connection closes after this answer.
    func head(_ status: HTTPResponse.Status, _ fields: HTTPFields, date: String, isLast: Bool, framing: Framing) {
        self.framing = framing
        pending.reserveCapacity(512)
        pending.writeStaticString("HTTP/1.1 ")
        pending.writeString(String(status.code))
        pending.writeStaticString(" ")
        pending.writeString(status.reasonPhrase)
        pending.writeStaticString("\r\n")
        // Names are tokens and values have no line breaks: `HTTPFields` takes no others.
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
        // An answer that has no content by its status must not announce any (RFC 9110 section 8.6).
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

    /// Part of the body, sent at once.
    func body(_ bytes: ByteBuffer) {
        append(bytes)
        flush()
    }

    /// The last part of the body, possibly empty.
    func end(_ bytes: ByteBuffer) {
        append(bytes)
        if case .chunked = framing { pending.writeStaticString("0\r\n\r\n") }
        flush()
    }

    /// Calls back when everything that was sent is with the system, or never will be.
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
