import NIOCore
import RouterCore

/// Writes an answer as OpenAI's Responses for a client
/// (https://platform.openai.com/docs/api-reference/responses-streaming).
///
/// The last event of a stream repeats the whole answer, so this writer keeps its texts; ``heldBytes`` bounds them.
struct ResponsesAnswerWriter: AnswerEventWriter {
    let context: DialectContext
    private(set) var heldBytes = 0
    private var logprobBytes = 0
    private var answer = Answer()
    private var items: [Item] = []
    private var tools: [Int: Int] = [:]
    private var sequence = 0
    private var finish: FinishReason?
    /// Characters of all texts so far.
    private var length = 0

    /// About what an item takes up besides its texts.
    private static let itemBytes = 256

    init(context: DialectContext) { self.context = context }

    // MARK: Items

    /// One item of `output`.
    private struct Item {
        enum Kind: Hashable { case message, refusal, reasoning, call, custom, shell, image }
        var kind: Kind
        var id: String
        var text = ""
        /// Only for a call.
        var callID = ""
        var name = ""
        var namespace: String?
        /// Only for reasoning.
        var encrypted: String?
        var logprobs: [JSONValue] = []
        /// Only for a message: where its text begins in all text of the answer, how long it is, and what it cites.
        var start = 0
        var length = 0
        var annotations: [JSONValue] = []
        var isOpen = true

        /// Makes it a call of a tool, under the name that the client gave it.
        mutating func call(_ id: String, _ tool: ResponsesTools.Name) {
            kind =
                switch tool.kind {
                case .function: .call
                case .custom: .custom
                case .localShell: .shell
                }
            callID = id
            name = tool.name
            namespace = tool.namespace
        }

        /// - Returns: the annotation, which is now the last of this text's; nil when it is about other words.
        mutating func annotate(_ citation: Citation) -> JSONValue? {
            guard kind == .message, citation.range.lowerBound >= start, citation.range.lowerBound <= start + length else { return nil }
            let annotation = CitationShape.responses(citation, from: start)
            annotations.append(annotation)
            return annotation
        }

        var part: JSONValue {
            kind == .refusal
                ? ["type": "refusal", "refusal": .string(text)]
                : ["type": "output_text", "text": .string(text), "annotations": .array(annotations), "logprobs": .array(logprobs)]
        }

        func json(isNew: Bool = false) -> JSONValue {
            var object = ObjectBuilder()
            object.add("id", .string(id))
            switch kind {
            case .message, .refusal:
                object.add("type", "message")
                object.add("status", isNew ? "in_progress" : "completed")
                object.add("role", "assistant")
                object.add("content", isNew ? [] : [part])
            case .reasoning:
                object.add("type", "reasoning")
                object.add("summary", isNew || text.isEmpty ? [] : [["type": "summary_text", "text": .string(text)]])
                object.add("encrypted_content", text: encrypted)
            case .image:
                object.add("type", "image_generation_call")
                object.add("status", isNew ? "in_progress" : "completed")
                object.add("result", isNew ? .null : .string(text))
            case .custom:
                object.add("type", "custom_tool_call")
                object.add("status", isNew ? "in_progress" : "completed")
                object.add("call_id", .string(callID))
                object.add("namespace", text: namespace)
                object.add("name", .string(name))
                object.add("input", .string(isNew ? "" : ResponsesTools.inputText(text)))
            case .shell:
                object.add("type", "local_shell_call")
                object.add("status", isNew ? "in_progress" : "completed")
                object.add("call_id", .string(callID))
                object.add("action", ResponsesTools.action(isNew ? "{}" : text))
            case .call:
                object.add("type", "function_call")
                object.add("status", isNew ? "in_progress" : "completed")
                object.add("call_id", .string(callID))
                object.add("namespace", text: namespace)
                object.add("name", .string(name))
                object.add("arguments", .string(isNew ? "" : (text.isEmpty ? "{}" : text)))
            }
            return object.value
        }
    }

    private func itemID(_ kind: Item.Kind, _ index: Int) -> String {
        let prefix =
            switch kind {
            case .message, .refusal: "msg"
            case .reasoning: "rs"
            case .call: "fc"
            case .custom: "ctc"
            case .shell: "lsh"
            case .image: "ig"
            }
        return "\(prefix)_\(answer.id)_\(index)"
    }

    // MARK: Whole

    func body(_ answer: Answer) -> JSONValue {
        var copy = self
        copy.answer = answer
        copy.answer.id = context.id(answer.id)
        let choice = answer.choices.first ?? Answer.Choice()
        var position = 0
        for part in choice.parts {
            var item = Item(kind: .message, id: "")
            switch part {
            case .text(let text, _):
                let length = text.unicodeScalars.count
                defer { position += length }
                // Texts in a row are one message, as they are in a stream.
                if let last = copy.items.indices.last, copy.items[last].kind == .message {
                    copy.items[last].text += text
                    copy.items[last].length += length
                    continue
                }
                item.text = text
                item.start = position
                item.length = length
            case .refusal(let text):
                item.kind = .refusal
                item.text = text
            case .thinking(let thinking):
                item.kind = .reasoning
                item.text = thinking.text
                item.encrypted = ResponsesReasoning.encrypted(thinking)
            case .image(let media, _, _):
                item.kind = .image
                item.text = Self.base64(media)
            case .toolCall(let call):
                item.call(call.id, context.tools.names[call.name] ?? .init(name: call.name))
                item.text = call.arguments
            default: continue
            }
            if item.kind == .message { item.logprobs = choice.logprobs?["content"]?.arrayValue ?? [] }
            item.id = copy.itemID(item.kind, copy.items.count)
            copy.items.append(item)
        }
        for citation in choice.citations {
            guard let index = copy.items.lastIndex(where: { $0.kind == .message && $0.start <= citation.range.lowerBound }) else {
                continue
            }
            _ = copy.items[index].annotate(citation)
        }
        copy.finish = choice.finish
        return copy.response(status: copy.status)
    }

    /// The result of an `image_generation_call` is base64; where the vendor gave an address, it stands in its place.
    private static func base64(_ media: Conversation.Media) -> String {
        switch media {
        case .base64(_, let data): data
        case .url(let url), .file(let url): url
        }
    }

    private var status: String { finish == .length || finish == .contentFilter ? "incomplete" : "completed" }

    private func response(status: String) -> JSONValue {
        var details = JSONValue.null
        if status == "incomplete" { details = ["reason": finish == .length ? "max_output_tokens" : "content_filter"] }
        let isRunning = status == "in_progress"
        let response: JSONValue = [
            "id": .string(answer.id.hasPrefix("resp_") ? answer.id : "resp_" + answer.id), "object": "response",
            "created_at": .integer(answer.created ?? context.startedAt), "status": .string(status), "error": .null,
            "incomplete_details": details, "instructions": .null, "metadata": [:], "model": .string(context.shown(answer.model)),
            "output": .array(isRunning ? [] : items.map { $0.json() }), "parallel_tool_calls": true,
            "previous_response_id": .optional(context.kept?.previousResponseID), "store": .boolean(context.kept != nil),
            "temperature": .null, "tool_choice": "auto", "tools": [], "top_p": .null,
            "usage": isRunning ? .null : answer.usage.map { UsageShape.responses($0, context.quote) } ?? .null,
        ]
        guard let id = context.kept?.conversationID else { return response }
        return ResponseItems.setting([.init("conversation", ["id": .string(id)])], in: response)
    }

    // MARK: Stream

    mutating func write(_ event: AnswerEvent, into out: inout ByteBuffer) {
        switch event.kind {
        case .start(let id, let model, let created):
            answer = Answer(id: context.id(id), model: model, created: created)
            emit("response.created", [.init("response", response(status: "in_progress"))], &out)
            emit("response.in_progress", [.init("response", response(status: "in_progress"))], &out)
        case .text(let text): append(text, .message, &out)
        case .refusal(let text): append(text, .refusal, &out)
        case .thinking(let text): append(text, .reasoning, &out)
        case .signature(let text):
            if current(.reasoning) == nil { begin(Item(kind: .reasoning, id: ""), &out) }
            items[items.count - 1].encrypted = text
            heldBytes += text.utf8.count
            closeAll(&out)
        case .redactedThinking(let data):
            var item = Item(kind: .reasoning, id: "")
            item.encrypted = ResponsesReasoning.encrypted(Thinking(redacted: data))
            heldBytes += data.utf8.count
            begin(item, &out)
            closeAll(&out)
        case .image(let media):
            let text = Self.base64(media)
            begin(Item(kind: .image, id: "", text: text), &out)
            heldBytes += text.utf8.count
            closeAll(&out)
        case .toolBegin(let index, let id, let name):
            var item = Item(kind: .call, id: "")
            item.call(id, context.tools.names[name] ?? .init(name: name))
            heldBytes += id.utf8.count + name.utf8.count
            begin(item, &out)
            tools[index] = items.count - 1
        case .toolArguments(let index, let text):
            guard let position = tools[index] else { return }
            items[position].text += text
            heldBytes += text.utf8.count
            // The text of a custom tool's input, or the shell's action, is known when its JSON is complete.
            if items[position].kind != .call { return }
            emit("response.function_call_arguments.delta", at(position) + [.init("delta", .string(text))], &out)
        case .logprobs(let value):
            guard let position = current(.message) else { return }
            // They are many times what the words are. Nobody misses the answer for their sake.
            logprobBytes += value.text.utf8.count
            guard logprobBytes <= FamilyStreamDecoder.maximumEventBytes else { return }
            items[position].logprobs += value["content"]?.arrayValue ?? []
        case .citation(let citation): annotate(citation, &out)
        case .finish(let reason, _): finish = reason
        case .usage(let usage): answer.usage = usage
        case .end: break
        }
    }

    mutating func end(into out: inout ByteBuffer) -> ByteBuffer {
        closeAll(&out)
        var trailer = ByteBuffer()
        emit("response.\(status)", [.init("response", response(status: status))], &trailer)
        return trailer
    }

    private mutating func annotate(_ citation: Citation, _ out: inout ByteBuffer) {
        guard let position = items.lastIndex(where: { $0.kind == .message && $0.start <= citation.range.lowerBound }),
            let annotation = items[position].annotate(citation)
        else { return }
        heldBytes += citation.url.utf8.count + (citation.title ?? "").utf8.count
        emit(
            "response.output_text.annotation.added",
            at(position) + [
                .init("content_index", .integer(0)), .init("annotation_index", .integer(items[position].annotations.count - 1)),
                .init("annotation", annotation),
            ], &out)
    }

    private func current(_ kind: Item.Kind) -> Int? {
        guard let last = items.indices.last, items[last].isOpen, items[last].kind == kind else { return nil }
        return last
    }

    private func at(_ position: Int) -> [JSONValue.Member] {
        [.init("item_id", .string(items[position].id)), .init("output_index", .integer(position))]
    }

    private mutating func append(_ text: String, _ kind: Item.Kind, _ out: inout ByteBuffer) {
        if current(kind) == nil { begin(Item(kind: kind, id: ""), &out) }
        let position = items.count - 1
        if kind == .reasoning, items[position].text.isEmpty {
            emit(
                "response.reasoning_summary_part.added",
                at(position) + [
                    .init("summary_index", .integer(0)), .init("part", ["type": "summary_text", "text": ""]),
                ], &out)
        }
        items[position].text += text
        heldBytes += text.utf8.count
        if kind == .message {
            let count = text.unicodeScalars.count
            items[position].length += count
            length += count
        }
        switch kind {
        case .reasoning:
            emit(
                "response.reasoning_summary_text.delta",
                at(position) + [
                    .init("summary_index", .integer(0)), .init("delta", .string(text)),
                ], &out)
        case .refusal:
            emit("response.refusal.delta", at(position) + [.init("content_index", .integer(0)), .init("delta", .string(text))], &out)
        default:
            emit(
                "response.output_text.delta",
                at(position) + [
                    .init("content_index", .integer(0)), .init("delta", .string(text)), .init("logprobs", []),
                ], &out)
        }
    }

    private mutating func begin(_ new: Item, _ out: inout ByteBuffer) {
        closeAll(&out)
        var item = new
        item.id = itemID(new.kind, items.count)
        item.start = length
        items.append(item)
        heldBytes += Self.itemBytes
        emit("response.output_item.added", [.init("output_index", .integer(items.count - 1)), .init("item", item.json(isNew: true))], &out)
        if item.kind == .message || item.kind == .refusal {
            emit(
                "response.content_part.added",
                at(items.count - 1) + [
                    .init("content_index", .integer(0)), .init("part", item.part),
                ], &out)
        }
    }

    private mutating func closeAll(_ out: inout ByteBuffer) {
        guard let position = items.indices.last, items[position].isOpen else { return }
        items[position].isOpen = false
        let item = items[position]
        let place = at(position)
        switch item.kind {
        case .message:
            emit(
                "response.output_text.done",
                place + [
                    .init("content_index", .integer(0)), .init("text", .string(item.text)), .init("logprobs", .array(item.logprobs)),
                ], &out)
        case .refusal:
            emit("response.refusal.done", place + [.init("content_index", .integer(0)), .init("refusal", .string(item.text))], &out)
        case .reasoning where !item.text.isEmpty:
            emit(
                "response.reasoning_summary_text.done",
                place + [
                    .init("summary_index", .integer(0)), .init("text", .string(item.text)),
                ], &out)
            emit(
                "response.reasoning_summary_part.done",
                place + [
                    .init("summary_index", .integer(0)), .init("part", ["type": "summary_text", "text": .string(item.text)]),
                ], &out)
        case .reasoning, .shell, .image: break
        case .custom:
            let input = JSONValue.string(ResponsesTools.inputText(item.text))
            emit("response.custom_tool_call_input.delta", place + [.init("delta", input)], &out)
            emit("response.custom_tool_call_input.done", place + [.init("input", input)], &out)
        case .call:
            emit(
                "response.function_call_arguments.done",
                place + [
                    .init("name", .string(item.name)), .init("arguments", .string(item.text.isEmpty ? "{}" : item.text)),
                ], &out)
        }
        if item.kind == .message || item.kind == .refusal {
            emit("response.content_part.done", place + [.init("content_index", .integer(0)), .init("part", item.part)], &out)
        }
        emit("response.output_item.done", [.init("output_index", .integer(position)), .init("item", item.json())], &out)
    }

    private mutating func emit(_ type: String, _ members: [JSONValue.Member], _ out: inout ByteBuffer) {
        let event = JSONValue.object([.init("type", .string(type)), .init("sequence_number", .integer(sequence))] + members)
        sequence += 1
        SSEWriter.write(event, event: type, into: &out)
    }
}
