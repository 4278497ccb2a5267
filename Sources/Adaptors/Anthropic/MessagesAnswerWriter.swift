import NIOCore
import RouterCore

/// Writes an answer as Anthropic's Messages for a client.
///
/// Blocks of a stream follow each other: a new one closes the one before. Vendors of other families tell the usage behind the finish
/// reason, so `message_delta`, which has both, waits for the end.
struct MessagesAnswerWriter: AnswerEventWriter {
    let context: DialectContext

    private enum Block: Hashable { case text, thinking, tool(Int) }
    private var open: Block?
    private var count = 0
    private var toolBlocks: [Int: Int] = [:]
    private var textBlock: Int?
    private var usage: Usage?
    private var finish: FinishReason?
    private var stopSequence: String?

    init(context: DialectContext) { self.context = context }

    // MARK: Whole

    func body(_ answer: Answer) -> JSONValue {
        let choice = answer.choices.first ?? Answer.Choice()
        var content: [JSONValue] = []
        var position = 0
        for part in choice.parts {
            switch part {
            case .text(let text, _):
                let range = position..<position + text.unicodeScalars.count
                content +=
                    choice.citations.isEmpty
                    ? [["type": "text", "text": .string(text)]] : Self.blocks(text, range, citing: choice.citations)
                position = range.upperBound
            case .refusal(let text): content.append(["type": "text", "text": .string(text)])
            case .thinking(let thinking):
                if let data = thinking.redacted {
                    content.append(["type": "redacted_thinking", "data": .string(data)])
                } else {
                    content.append([
                        "type": "thinking", "thinking": .string(thinking.text), "signature": .string(thinking.signature ?? ""),
                    ])
                }
            case .toolCall(let call):
                content.append([
                    "type": "tool_use", "id": .string(call.id), "name": .string(call.name), "input": call.value ?? .object([]),
                ])
            case .image(let media, _, _): content.append(["type": "text", "text": .string(Self.words(media))])
            default: break
            }
        }
        return [
            "id": .string(Self.id(context.id(answer.id))), "type": "message", "role": "assistant",
            "model": .string(context.shown(answer.model)),
            "content": .array(content),
            "stop_reason": .optional(reason(choice.finish, choice.stopSequence, hasRefusal: Self.hasRefusal(choice))),
            "stop_sequence": .optional(choice.stopSequence), "usage": UsageShape.messages(answer.usage),
        ]
    }

    /// Citations hold for a whole block here, so the text is cut where one begins or ends.
    private static func blocks(_ text: String, _ range: Range<Int>, citing citations: [Citation]) -> [JSONValue] {
        let near = citations.filter { $0.range.overlaps(range) }
        let inside = near.flatMap { [$0.range.lowerBound, $0.range.upperBound] }.filter { range.contains($0) }
        let cuts = Set(inside + [range.lowerBound, range.upperBound]).sorted()
        return zip(cuts, cuts.dropFirst()).map { start, end in
            let words = text.scalars(start - range.lowerBound..<end - range.lowerBound)
            let sources = near.filter { $0.range.lowerBound <= start && $0.range.upperBound >= end }
            var block = ObjectBuilder()
            block.add("type", "text")
            block.add("text", .string(words))
            if !sources.isEmpty { block.add("citations", .array(sources.map { CitationShape.messages($0, words: words) })) }
            return block.value
        }
    }

    /// Messages has no pictures in an answer: the client is told where it is, or that it is not there.
    private static func words(_ media: Conversation.Media) -> String {
        switch media {
        case .url(let url), .file(let url): url
        case .base64(let type, let data): "[\(type) of \(data.utf8.count / 4 * 3) bytes, which this format cannot carry]"
        }
    }

    private static func hasRefusal(_ choice: Answer.Choice) -> Bool {
        choice.parts.contains { if case .refusal = $0 { true } else { false } }
    }

    private func reason(_ finish: FinishReason?, _ sequence: String?, hasRefusal: Bool) -> String? {
        finish.map { ($0 == .stop && hasRefusal ? .refusal : $0).messages(stopSequence: sequence) }
    }

    /// Anthropic's ids begin with `msg_`, and some clients look.
    static func id(_ id: String) -> String { id.hasPrefix("msg_") ? id : "msg_" + id }

    // MARK: Stream

    private var hasRefusal = false

    mutating func write(_ event: AnswerEvent, into out: inout ByteBuffer) {
        switch event.kind {
        case .start(let id, let model, _):
            let message: JSONValue = [
                "id": .string(Self.id(context.id(id))), "type": "message", "role": "assistant", "model": .string(context.shown(model)),
                "content": [], "stop_reason": .null, "stop_sequence": .null, "usage": UsageShape.messages(usage),
            ]
            emit("message_start", [.init("message", message)], &out)
        case .text(let text): delta(.text, ["type": "text_delta", "text": .string(text)], &out)
        case .refusal(let text):
            hasRefusal = true
            delta(.text, ["type": "text_delta", "text": .string(text)], &out)
        case .thinking(let text): delta(.thinking, ["type": "thinking_delta", "thinking": .string(text)], &out)
        case .signature(let signature):
            delta(.thinking, ["type": "signature_delta", "signature": .string(signature)], &out)
            close(&out)
        case .redactedThinking(let data):
            begin(["type": "redacted_thinking", "data": .string(data)], &out)
            open = .thinking
            close(&out)
        case .image(let media):
            // A block of its own: citations count the words of the others.
            close(&out)
            begin(["type": "text", "text": ""], &out)
            open = .text
            let delta: JSONValue = ["type": "text_delta", "text": .string(Self.words(media))]
            emit("content_block_delta", [.init("index", .integer(count - 1)), .init("delta", delta)], &out)
            close(&out)
        case .toolBegin(let index, let id, let name):
            begin(["type": "tool_use", "id": .string(id), "name": .string(name), "input": [:]], &out)
            open = .tool(index)
            toolBlocks[index] = count - 1
        case .toolArguments(let index, let text):
            delta(.tool(index), ["type": "input_json_delta", "partial_json": .string(text)], &out)
        case .finish(let reason, let sequence):
            finish = reason
            stopSequence = sequence
        case .usage(let usage): self.usage = usage
        case .citation(let citation):
            // The words have gone out: it is said of the block that holds them, even behind its end.
            guard let textBlock else { return }
            let delta: JSONValue = ["type": "citations_delta", "citation": CitationShape.messages(citation)]
            emit("content_block_delta", [.init("index", .integer(textBlock)), .init("delta", delta)], &out)
        case .logprobs, .end: break
        }
    }

    mutating func end(into out: inout ByteBuffer) -> ByteBuffer {
        close(&out)
        let delta: JSONValue = [
            "stop_reason": .optional(reason(finish, stopSequence, hasRefusal: hasRefusal)), "stop_sequence": .optional(stopSequence),
        ]
        emit("message_delta", [.init("delta", delta), .init("usage", UsageShape.messages(usage))], &out)
        var trailer = ByteBuffer()
        emit("message_stop", [], &trailer)
        return trailer
    }

    private mutating func delta(_ block: Block, _ delta: JSONValue, _ out: inout ByteBuffer) {
        var index = count - 1
        if case .tool(let tool) = block, let known = toolBlocks[tool] {
            // Also behind the end of its block, where a vendor mixes its calls: the index says where it belongs.
            index = known
        } else if open != block {
            begin(block == .thinking ? ["type": "thinking", "thinking": "", "signature": ""] : ["type": "text", "text": ""], &out)
            open = block
            index = count - 1
        }
        if block == .text { textBlock = index }
        emit("content_block_delta", [.init("index", .integer(index)), .init("delta", delta)], &out)
    }

    private mutating func begin(_ block: JSONValue, _ out: inout ByteBuffer) {
        close(&out)
        emit("content_block_start", [.init("index", .integer(count)), .init("content_block", block)], &out)
        count += 1
    }

    private mutating func close(_ out: inout ByteBuffer) {
        guard open != nil else { return }
        open = nil
        emit("content_block_stop", [.init("index", .integer(count - 1))], &out)
    }

    private func emit(_ type: String, _ members: [JSONValue.Member], _ out: inout ByteBuffer) {
        SSEWriter.write(.object([.init("type", .string(type))] + members), event: type, into: &out)
    }
}
