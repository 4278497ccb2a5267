import NIOCore
import RouterCore

/// A streamed answer as a list of steps, computed beforehand; the handler only performs them.
struct StreamPlan: Sendable {
    enum Step: Sendable {
        /// Sends bytes that carry this number of completion tokens.
        case send(ByteBuffer, tokens: Int64)
        case pause(Duration)
        /// Hidden reasoning tokens: billed, but in no byte of the answer.
        case thought(Int64)
        case usageSent
        /// RST.
        case reset
        /// FIN without the end of the chunked body.
        case close
        /// Sends nothing more, without end.
        case stall
        /// The orderly end of the body.
        case end
    }

    private(set) var steps: [Step] = []

    /// `think_tokens` evenly over the duration of `think`: a client that disconnects before the answer begins is billed for the elapsed
    /// part.
    static func thinking(_ controls: Controls) -> [Step] {
        let tokens = controls.thinkTokens
        guard tokens > 0 else { return [] }
        guard let time = controls.duration("think"), time > .zero else { return [.thought(tokens)] }
        let slices = min(tokens, 40)
        return (0..<slices).flatMap { slice -> [Step] in
            [.pause(time / Int(slices)), .thought(tokens * (slice + 1) / slices - tokens * slice / slices)]
        }
    }

    init(steps: [Step]) { self.steps = steps }

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
        steps = events.head.map { .send($0, tokens: 0) } + Self.thinking(controls)
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
            // Gemini sends the whole call of a tool at once.
            let isWholeCall = shapes.family == .gemini && shapes.tool != nil && number == events.pieces.count - 1
            steps.append(.send(piece, tokens: isWholeCall ? Int64(shapes.answer.pieces.count) : 1))
        }
        for event in events.tail { steps.append(.send(event, tokens: 0)) }
        if !controls.has("no_usage") { steps.append(.usageSent) }
        steps.append(.end)
    }

}

/// Builds a stream of the OpenAI family.
private struct Builder {
    private(set) var steps: [StreamPlan.Step] = []
    private let shapes: Shapes
    private let controls: Controls
    private let wantsUsage: Bool
    private let pace: Duration
    private var contentChunks = 0
    private var tokens: Int64 = 0
    /// The faults of this stream, each with the number of the content chunk at which it ends the stream.
    private let faults: [(name: String, number: Int)]
    /// Cache for repeated text: a stream of thousands of chunks must not block the event loop.
    private var frames: [String: ByteBuffer] = [:]

    init(shapes: Shapes, wantsUsage: Bool, defaultPace: Duration) {
        self.shapes = shapes
        controls = shapes.controls
        // OpenRouter always sends it.
        self.wantsUsage = (wantsUsage || shapes.isOpenRouter) && !shapes.controls.has("no_usage")
        pace = shapes.controls.duration("pace") ?? defaultPace
        faults = [
            "reset_after", "close_after", "end_after", "stall_after", "error_event_after", "error_event_empty_choices_after",
        ].compactMap { name in shapes.controls.number(name).map { (name, $0) } }
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
        steps += StreamPlan.thinking(controls)
        for thought in shapes.answer.reasoning {
            let chunk = shapes.chunk(delta: ["reasoning": .string(thought)], usage: runningUsage)
            guard content(Self.frame(text(of: chunk), controls)) else { return }
        }
        for index in 0..<shapes.answer.choices {
            if let picture = shapes.pictureChunk(index: index) { event(picture) }
        }
        for (number, piece) in shapes.answer.pieces.enumerated() {
            for index in 0..<shapes.answer.choices {
                guard content(frame(of: piece, number: number, index: index)) else { return }
            }
        }
        finish()
    }

    private mutating func frame(of piece: String, number: Int, index: Int) -> ByteBuffer {
        let usage = runningUsage
        var repeats = usage == nil
        if case .tool = shapes.answer.content { repeats = false }
        let key = "\(index) \(piece)"
        if repeats, let known = frames[key] { return known }
        let made = Self.frame(text(of: shapes.pieceChunk(piece, number: number, index: index, usage: usage)), controls)
        if repeats { frames[key] = made }
        return made
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
        if let delay = controls.duration("linger") { steps.append(.pause(delay)) }
        steps.append(.end)
    }

    /// One content chunk; false when a fault ends the stream here.
    private mutating func content(_ frame: ByteBuffer) -> Bool {
        if let stop = faultStep() {
            steps.append(contentsOf: stop)
            return false
        }
        if controls.number("malformed_after") == contentChunks { line("{\"id\": \"broken") }
        if contentChunks > 0, pace > .zero { steps.append(.pause(pace)) }
        for number in 0..<(controls.number("comments") ?? 0) { comment("comment \(number)") }
        steps.append(.send(frame, tokens: 1))
        contentChunks += 1
        tokens += 1
        return true
    }

    private func faultStep() -> [StreamPlan.Step]? {
        switch faults.first(where: { $0.number == contentChunks })?.name {
        case nil: nil
        case "reset_after": [.reset]
        case "close_after": [.close]
        case "end_after": [.end]
        case "stall_after": [.stall]
        case let name:
            [
                .send(Self.frame(shapes.errorChunk(withChoices: name == "error_event_after").text, controls), tokens: 0), .end,
            ]
        }
    }

    private mutating func event(_ json: JSONValue) { steps.append(.send(Self.frame(text(of: json), controls), tokens: 0)) }

    private func text(of json: JSONValue) -> String {
        // White space between members may contain a line break; one such place is enough for two data lines.
        controls.has("multiline") ? json.text.replacingFirst(",\"object\"", with: ",\n\"object\"") : json.text
    }

    private mutating func line(_ text: String) { steps.append(.send(Self.frame(text, controls), tokens: 0)) }

    private mutating func comment(_ text: String) {
        let end = Self.lineEnd(controls)
        steps.append(.send(ByteBuffer(string: ": \(text)\(end)\(end)"), tokens: 0))
    }

    private static func lineEnd(_ controls: Controls) -> String { controls.has("crlf") ? "\r\n" : controls.has("cr") ? "\r" : "\n" }

    private static func frame(_ text: String, _ controls: Controls) -> ByteBuffer {
        let end = lineEnd(controls)
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
