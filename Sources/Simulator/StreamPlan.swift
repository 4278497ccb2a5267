import NIOCore
import RouterCore

/// A streamed answer as a list of steps, worked out beforehand; the handler only carries them out.
struct StreamPlan: Sendable {
    enum Step: Sendable {
        /// Bytes, and how many completion tokens they carry.
        case send(ByteBuffer, tokens: Int64)
        case pause(Duration)
        case usageSent
        /// RST.
        case reset
        /// FIN without the end of the chunked body.
        case close
        /// Nothing more, for ever.
        case stall
        /// The orderly end of the body.
        case end
    }

    private(set) var steps: [Step] = []

    init(shapes: Shapes, wantsUsage: Bool, defaultPace: Duration) {
        var builder = Builder(shapes: shapes, wantsUsage: wantsUsage, defaultPace: defaultPace)
        builder.build()
        steps = builder.steps
    }

    /// A stream of another family, with the same faults.
    init(family shapes: FamilyShapes, defaultPace: Duration) {
        let controls = shapes.controls
        let events = shapes.events()
        let pace = controls.duration("pace") ?? defaultPace
        steps = events.head.map { .send($0, tokens: 0) }
        for (number, piece) in events.pieces.enumerated() {
            let faults: [(String, Step)] = [("reset_after", .reset), ("close_after", .close), ("end_after", .end), ("stall_after", .stall)]
            if let fault = faults.first(where: { controls.number($0.0) == number }) {
                steps.append(fault.1)
                return
            }
            if controls.number("error_event_after") == number {
                let error = shapes.error(529)
                let name = error["type"] == "error" ? "event: error\n" : ""
                steps += [.send(ByteBuffer(string: "\(name)data: \(error.text)\n\n"), tokens: 0), .end]
                return
            }
            if number > 0, pace > .zero { steps.append(.pause(pace)) }
            steps.append(.send(piece, tokens: 1))
        }
        for event in events.tail { steps.append(.send(event, tokens: 0)) }
        if !controls.has("no_usage") { steps.append(.usageSent) }
        steps.append(.end)
    }

}

/// Works a stream of the OpenAI family out.
private struct Builder {
    private(set) var steps: [StreamPlan.Step] = []
    private let shapes: Shapes
    private let controls: Controls
    private let wantsUsage: Bool
    private let pace: Duration
    private var contentChunks = 0
    private var tokens: Int64 = 0

    init(shapes: Shapes, wantsUsage: Bool, defaultPace: Duration) {
        self.shapes = shapes
        controls = shapes.controls
        // OpenRouter sends it always.
        self.wantsUsage = (wantsUsage || shapes.isOpenRouter) && !shapes.controls.has("no_usage")
        pace = shapes.controls.duration("pace") ?? defaultPace
    }

    mutating func build() {
        if shapes.isOpenRouter { comment("OPENROUTER PROCESSING") }
        if let delay = controls.duration("first_content") {
            var rest = delay
            while rest > .zero {
                steps.append(.pause(min(rest, .milliseconds(100))))
                comment("still working")
                rest -= .milliseconds(100)
            }
        }
        if shapes.endpoint == .chat {
            for index in 0..<shapes.answer.choices {
                event(shapes.chunk(delta: ["role": "assistant", "content": ""], index: index))
            }
        }
        for thought in shapes.answer.reasoning {
            guard content(shapes.chunk(delta: ["reasoning": .string(thought)], usage: runningUsage)) else { return }
        }
        for (number, piece) in shapes.answer.pieces.enumerated() {
            for index in 0..<shapes.answer.choices {
                let chunk = shapes.pieceChunk(piece, number: number, index: index, usage: runningUsage)
                guard content(chunk) else { return }
            }
        }
        finish()
    }

    /// Cumulative usage including the chunk that is being built.
    private var runningUsage: JSONValue? {
        controls.has("usage_in_every_chunk") ? shapes.usage(completion: tokens + 1) : nil
    }

    private mutating func finish() {
        let usage = controls.has("usage_with_content") && wantsUsage ? shapes.usage(completion: tokens) : nil
        for index in 0..<shapes.answer.choices where !controls.has("no_finish") {
            event(shapes.chunk(delta: nil, index: index, finish: shapes.answer.finishReason, usage: index == 0 ? usage : nil))
        }
        if wantsUsage, usage == nil, !controls.has("usage_in_every_chunk") { event(shapes.usageChunk(completion: tokens)) }
        if wantsUsage || controls.has("usage_in_every_chunk") { steps.append(.usageSent) }
        if !controls.has("no_done") { line("[DONE]") }
        if controls.has("after_done") { event(shapes.chunk(delta: ["content": "after the end"])) }
        steps.append(.end)
    }

    /// One content chunk; false when a fault ends the stream here.
    private mutating func content(_ chunk: JSONValue) -> Bool {
        if let stop = faultStep() {
            steps.append(contentsOf: stop)
            return false
        }
        if controls.number("malformed_after") == contentChunks { line("{\"id\": \"broken") }
        if contentChunks > 0, pace > .zero { steps.append(.pause(pace)) }
        for number in 0..<(controls.number("comments") ?? 0) { comment("comment \(number)") }
        event(chunk, tokens: 1)
        contentChunks += 1
        tokens += 1
        return true
    }

    private func faultStep() -> [StreamPlan.Step]? {
        if controls.number("reset_after") == contentChunks { return [.reset] }
        if controls.number("close_after") == contentChunks { return [.close] }
        if controls.number("end_after") == contentChunks { return [.end] }
        if controls.number("stall_after") == contentChunks { return [.stall] }
        for (name, withChoices) in [("error_event_after", true), ("error_event_empty_choices_after", false)]
        where controls.number(name) == contentChunks {
            return [.send(Self.frame(shapes.errorChunk(withChoices: withChoices).text, controls), tokens: 0), .end]
        }
        return nil
    }

    private mutating func event(_ json: JSONValue, tokens: Int64 = 0) {
        var text = json.text
        if controls.has("multiline") {
            // White space between members may hold a line break; one such place is enough to make two data lines.
            text = text.replacingFirst(",\"object\"", with: ",\n\"object\"")
        }
        steps.append(.send(Self.frame(text, controls), tokens: tokens))
    }

    private mutating func line(_ text: String) { steps.append(.send(Self.frame(text, controls), tokens: 0)) }

    private mutating func comment(_ text: String) {
        let end = controls.has("crlf") ? "\r\n" : "\n"
        steps.append(.send(ByteBuffer(string: ": \(text)\(end)\(end)"), tokens: 0))
    }

    private static func frame(_ text: String, _ controls: Controls) -> ByteBuffer {
        let end = controls.has("crlf") ? "\r\n" : "\n"
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return ByteBuffer(string: lines.map { "data: \($0)" }.joined(separator: end) + end + end)
    }
}

extension String {
    fileprivate func replacingFirst(_ text: String, with other: String) -> String {
        let target = Array(text)
        let all = Array(self)
        guard all.count >= target.count else { return self }
        for start in 0...(all.count - target.count) where Array(all[start..<start + target.count]) == target {
            return String(all[..<start]) + other + String(all[(start + target.count)...])
        }
        return self
    }
}
