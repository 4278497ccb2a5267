import NIOCore
import NIOHTTP1
import RouterCore

/// Performs one ``StreamPlan`` on the connection's event loop, and waits when the client is slow. Holds the billing row until the end.
final class StreamRun {
    private let steps: [StreamPlan.Step]
    private var position = 0
    private var row: BillingRow
    private let controls: Controls
    private let simulator: Simulator
    private let context: ChannelHandlerContext
    private var isWaiting = false
    private var isOver = false
    var onEnd: () -> Void = {}

    init(steps: [StreamPlan.Step], row: BillingRow, controls: Controls, simulator: Simulator, context: ChannelHandlerContext) {
        self.steps = steps
        self.row = row
        self.controls = controls
        self.simulator = simulator
        self.context = context
    }

    func resume() {
        guard !isWaiting, !isOver else { return }
        while position < steps.count, !isOver, !isWaiting {
            guard context.channel.isWritable else {
                context.flush()
                return
            }
            let step = steps[position]
            position += 1
            perform(step)
        }
        if !isOver { context.flush() }
    }

    private func perform(_ step: StreamPlan.Step) {
        switch step {
        case .send(let bytes, let tokens):
            row.completionTokens += tokens
            write(bytes)
        case .usageSent: row.usageSent = true
        case .thought(let tokens):
            row.completionTokens += tokens
            row.reasoningTokens += tokens
        case .pause(let duration): pause(duration)
        case .reset:
            context.flush()
            end(controls.fault ?? "reset")
            SimulatorHandler.reset(context)
        case .close:
            context.flush()
            end(controls.fault ?? "close")
            context.close(promise: nil)
        case .stall:
            // Until the client disconnects.
            isWaiting = true
            context.flush()
        case .end:
            if let override = controls.count("completion_tokens") { row.completionTokens = override + controls.thinkTokens }
            end(controls.fault ?? "completed")
            context.writeAndFlush(NIOAny(HTTPServerResponsePart.end(nil)), promise: nil)
        }
    }

    private func pause(_ duration: Duration) {
        isWaiting = true
        context.flush()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: TimeAmount(duration)) {
            bound.value.isWaiting = false
            bound.value.resume()
        }
    }

    /// One event; cut into single bytes or inside UTF-8 characters when asked to.
    private func write(_ bytes: ByteBuffer) {
        guard let size = splitSize else {
            context.write(NIOAny(HTTPServerResponsePart.body(.byteBuffer(bytes))), promise: nil)
            return
        }
        var rest = bytes
        while rest.readableBytes > 0, let piece = rest.readSlice(length: min(size, rest.readableBytes)) {
            context.writeAndFlush(NIOAny(HTTPServerResponsePart.body(.byteBuffer(piece))), promise: nil)
        }
    }

    private var splitSize: Int? {
        guard let text = controls.text("split") else { return nil }
        // 2 is shorter than every character that this splits, so no character stays whole.
        return text == "utf8" ? 2 : max(1, Int(text) ?? 1)
    }

    func clientLeft() {
        guard !isOver else { return }
        simulator.clientGone()
        // A vendor that continues to generate without a client, and bills it.
        if controls.has("bills_whole") {
            for case .send(_, let tokens) in steps[position...] { row.completionTokens += tokens }
            for case .thought(let tokens) in steps[position...] {
                row.completionTokens += tokens
                row.reasoningTokens += tokens
            }
        }
        end("client_gone")
    }

    private func end(_ outcome: String) {
        guard !isOver else { return }
        isOver = true
        row.outcome = outcome
        simulator.record.append(row)
        onEnd()
    }
}

/// A ready-made answer for benchmarks: no parsing, and no allocation except the buffers' headers.
enum FastAnswer {
    private static let whole = ByteBuffer(
        string: """
            {"id":"chatcmpl-fast","object":"chat.completion","created":1700000000,"model":"fast","choices":[{"index":0,\
            "message":{"role":"assistant","content":"\(String(repeating: "The quick brown fox jumps over the lazy dog. ", count: 20))"},\
            "finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":200,"total_tokens":400}}
            """)

    private static let stream: ByteBuffer = {
        var text = ""
        for _ in 0..<50 {
            text +=
                "data: {\"id\":\"chatcmpl-fast\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"fast\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"The quick brown fox. \"},\"finish_reason\":null}]}\n\n"
        }
        text +=
            "data: {\"id\":\"chatcmpl-fast\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"fast\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        text +=
            "data: {\"id\":\"chatcmpl-fast\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"fast\",\"choices\":[],\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":200,\"total_tokens\":400}}\n\ndata: [DONE]\n\n"
        return ByteBuffer(string: text)
    }()

    /// A plain search for `"stream":true`, with or without a space; JSON is not parsed here.
    static func asksForStream(_ body: ByteBuffer) -> Bool {
        contains("\"stream\":true", body) || contains("\"stream\": true", body)
    }

    private static func contains(_ text: StaticString, _ body: ByteBuffer) -> Bool {
        let bytes = body.readableBytesUInt8Span
        let wanted = text.utf8Start
        let length = text.utf8CodeUnitCount
        guard bytes.count >= length else { return false }
        for start in 0...(bytes.count - length) {
            var matched = 0
            while matched < length, bytes[start + matched] == wanted[matched] { matched += 1 }
            if matched == length { return true }
        }
        return false
    }

    static func body(isStream: Bool) -> ByteBuffer { isStream ? stream : whole }

    static func headers(_ body: ByteBuffer) -> [(String, String)] {
        [("Content-Type", asksForStream(body) ? "text/event-stream" : "application/json")]
    }
}

/// A valid gzip stream without compression: sufficient to test whether the other side decodes it.
enum Gzip {
    static func stored(_ bytes: ByteBuffer) -> ByteBuffer {
        var out = ByteBuffer(bytes: [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])
        var rest = bytes
        repeat {
            let size = min(rest.readableBytes, 65_535)
            out.writeInteger(UInt8(size == rest.readableBytes ? 1 : 0))
            out.writeInteger(UInt16(size), endianness: .little)
            out.writeInteger(~UInt16(size), endianness: .little)
            if let slice = rest.readSlice(length: size) { out.writeImmutableBuffer(slice) }
        } while rest.readableBytes > 0
        out.writeInteger(crc(bytes), endianness: .little)
        out.writeInteger(UInt32(truncatingIfNeeded: bytes.readableBytes), endianness: .little)
        return out
    }

    private static func crc(_ bytes: ByteBuffer) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in bytes.readableBytesView {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        return ~crc
    }
}
