import NIOCore
import NIOHTTP1
import RouterCore

extension SimulatorHandler {
    /// Answers an image, audio, moderation or rerank request.
    func media(_ context: ChannelHandlerContext, _ exchange: Exchange, _ answer: MediaAnswer) {
        let controls = exchange.shapes.controls
        var row = exchange.row
        row.isStream = answer.isStream
        row.outcome = controls.fault ?? "completed"
        answer.bill(&row)
        guard !answer.isStream || controls.has("no_stream"), let (type, body) = answer.whole() else {
            return streamMedia(context, exchange, answer, row)
        }
        simulator.record.append(row)
        guard controls.has("cut_body") else {
            return send(context, exchange.head, .ok, body, [("Content-Type", type)])
        }
        // Sends half of the announced length, then closes the connection.
        let headers = HTTPHeaders([("Content-Type", type), ("Content-Length", String(body.readableBytes))])
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: exchange.head.version, status: .ok, headers: headers))), promise: nil)
        let half = body.getSlice(at: body.readerIndex, length: body.readableBytes / 2) ?? body
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(half)))).whenComplete { _ in channel.close(promise: nil) }
    }

    private func streamMedia(_ context: ChannelHandlerContext, _ exchange: Exchange, _ answer: MediaAnswer, _ row: BillingRow) {
        let type = answer.endpoint == .speech && !answer.isStream ? "audio/mpeg" : "text/event-stream"
        let headers = HTTPHeaders([("Content-Type", type), ("Transfer-Encoding", "chunked")])
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponseHead(version: exchange.head.version, status: .ok, headers: headers))), promise: nil)
        start(StreamRun(steps: answer.steps(), row: row, controls: exchange.shapes.controls, simulator: simulator, context: context))
    }
}
