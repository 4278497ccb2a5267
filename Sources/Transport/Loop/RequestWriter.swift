import HTTPTypes
import NIOCore
import RouterCore

/// Writes a request as one buffer. It is placed before the response decoder, so that its output passes no other handler except TLS: the
/// general encoder, its header validation and the decoder's inspection of each part cost more than all the work done here.
final class RequestWriter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var context: ChannelHandlerContext?

    /// Bodies up to this size (bytes) are copied after the head; larger ones are written separately.
    private static let maximumCopied = 16 * 1024

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// - Parameter promise: succeeded when the last byte has been handed to the kernel.
    func send(_ request: UpstreamRequest, _ target: UpstreamTarget, promise: EventLoopPromise<Void>?) {
        guard let context else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        let body = request.body ?? (request.method == .post ? ByteBuffer() : nil)
        let copied = body.map { $0.readableBytes <= Self.maximumCopied ? $0.readableBytes : 0 } ?? 0
        var bytes = context.channel.allocator.buffer(capacity: 1_024 + copied)
        Self.head(request, target, length: body?.readableBytes, into: &bytes)
        if copied > 0, let body { bytes.writeImmutableBuffer(body) }
        guard let body, body.readableBytes > copied else {
            context.writeAndFlush(wrapOutboundOut(bytes), promise: promise)
            return
        }
        context.write(wrapOutboundOut(bytes), promise: nil)
        context.writeAndFlush(wrapOutboundOut(body), promise: promise)
    }

    /// Cannot write unintended line breaks: ``Transfer`` has refused them in the URL and in the values, and field names are tokens.
    private static func head(_ request: UpstreamRequest, _ target: UpstreamTarget, length: Int?, into bytes: inout ByteBuffer) {
        bytes.writeString(request.method.rawValue)
        bytes.writeStaticString(" ")
        bytes.writeString(target.uri)
        bytes.writeStaticString(" HTTP/1.1\r\nHost: ")
        bytes.writeString(target.hostHeader)
        bytes.writeStaticString("\r\n")
        var hasAccept = false
        var hasEncoding = false
        for field in request.headers {
            if field.name == .accept { hasAccept = true } else if field.name == .acceptEncoding { hasEncoding = true }
            bytes.writeString(field.name.rawName)
            bytes.writeStaticString(": ")
            bytes.writeString(field.value)
            bytes.writeStaticString("\r\n")
        }
        if !hasAccept { bytes.writeStaticString("Accept: */*\r\n") }
        if !hasEncoding { bytes.writeStaticString("Accept-Encoding: identity\r\n") }
        if let length {
            bytes.writeStaticString("Content-Length: ")
            bytes.writeString(String(length))
            bytes.writeStaticString("\r\n")
        }
        bytes.writeStaticString("\r\n")
    }
}
