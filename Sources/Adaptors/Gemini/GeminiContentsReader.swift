import RouterCore

/// Reads `contents`. Functions' answers find their calls by id, or where there are none by name and order; and what a client kept of a
/// stream as it came, one content for each piece, becomes one message.
struct GeminiContentsReader {
    var messages: [Conversation.Message] = []
    private var openCalls: [(id: String, name: String)] = []
    /// Each answer is looked for among them.
    private static let maximumOpenCalls = 1_000
    private var callCount = 0
    /// Messages with thoughts of another vendor, whose words are in the signature.
    private var withOwnThoughts: Set<Int> = []

    /// All of it, without thoughts that are there twice.
    var finished: [Conversation.Message] {
        var result = messages
        for index in withOwnThoughts {
            result[index].parts.removeAll { part in
                guard case .thinking(let thinking) = part else { return false }
                return thinking.signature == nil && thinking.redacted == nil
            }
        }
        return result
    }

    mutating func append(_ given: Fields) throws(UpstreamFailure) {
        var fields = given
        let role = try fields.text("role") ?? "user"
        let parts = try fields.array("parts") ?? []
        let path = fields.path("parts")
        try fields.done()
        switch role {
        case "model": for (index, part) in parts.enumerated() { try appendModel(Fields(google: part, at: "\(path)[\(index)]")) }
        case "user", "function", "tool":
            var results: [Conversation.Part] = []
            var rest: [Conversation.Part] = []
            for (index, part) in parts.enumerated() {
                var part = try Fields(google: part, at: "\(path)[\(index)]")
                if var response = try part.google("functionResponse") {
                    results.append(.toolResult(try result(&response)))
                    try response.done()
                } else if let read = try Self.part(&part) {
                    rest.append(read)
                }
                // Clients that send back a whole turn of theirs.
                part.skip("thought", when: false)
                try part.done()
            }
            if !results.isEmpty { messages.append(Conversation.Message(role: .tool, parts: results)) }
            if !rest.isEmpty { messages.append(Conversation.Message(role: .user, parts: rest)) }
        default: throw .malformedField(fields.path("role"), "must be user or model")
        }
    }

    /// The parts of a system instruction.
    static func plainParts(_ content: inout Fields) throws(UpstreamFailure) -> [Conversation.Part] {
        let path = content.path("parts")
        var parts: [Conversation.Part] = []
        for (index, element) in (try content.array("parts") ?? []).enumerated() {
            var fields = try Fields(google: element, at: "\(path)[\(index)]")
            if let part = try part(&fields) { parts.append(part) }
            try fields.done()
        }
        return parts
    }

    // MARK: The model's

    private mutating func appendModel(_ given: Fields) throws(UpstreamFailure) {
        var fields = given
        let isThought = try fields.flag("thought") ?? false
        let signature = try fields.text("thoughtSignature")
        if messages.last?.role != .assistant { messages.append(Conversation.Message(role: .assistant, parts: [])) }
        let last = messages.count - 1
        let own = signature.flatMap(GeminiSignature.thoughts)
        if own != nil { withOwnThoughts.insert(last) }
        let google = own == nil ? signature.map { Thinking.geminiMark + $0 } : nil
        if isThought {
            let text = try fields.text("text") ?? ""
            add(Thinking(text, signature: google), &messages[last].parts)
            messages[last].parts += (own ?? []).map { .thinking($0) }
            return try fields.done()
        }
        messages[last].parts += (own ?? []).map { .thinking($0) }
        if let google { messages[last].parts.append(.thinking(Thinking(signature: google))) }
        if var call = try fields.google("functionCall") {
            let name = try call.requiredText("name")
            let id = try call.text("id") ?? "call_\(callCount)"
            callCount += 1
            guard openCalls.count < Self.maximumOpenCalls else {
                throw .malformedField(
                    given.path("functionCall"), "more than \(Self.maximumOpenCalls) function calls wait for their answers")
            }
            openCalls.append((id, name))
            let arguments = (call.take("args") ?? .object([])).text
            messages[last].parts.append(.toolCall(ToolCall(id: id, name: name, arguments: arguments)))
            try call.done()
        } else if let part = try Self.part(&fields) {
            // Pieces of one text.
            if case .text(let new, _) = part, case .text(var whole, _)? = messages[last].parts.last {
                // Taken out first, so that nothing is copied: there may be very many pieces.
                messages[last].parts.removeLast()
                whole += new
                messages[last].parts.append(.text(whole, cache: nil))
            } else {
                messages[last].parts.append(part)
            }
        }
        try fields.done()
    }

    private func add(_ thinking: Thinking, _ parts: inout [Conversation.Part]) {
        if case .thinking(var before)? = parts.last, before.signature == nil, before.redacted == nil {
            parts.removeLast()
            before.text += thinking.text
            before.signature = thinking.signature
            parts.append(.thinking(before))
        } else if !thinking.text.isEmpty || thinking.signature != nil {
            parts.append(.thinking(thinking))
        }
    }

    // MARK: Functions' answers

    private mutating func result(_ fields: inout Fields) throws(UpstreamFailure) -> ToolResult {
        let name = try fields.requiredText("name")
        let id = try fields.text("id")
        guard let index = openCalls.firstIndex(where: { $0.id == id }) ?? openCalls.firstIndex(where: { $0.name == name }) else {
            throw .malformedField(fields.path("name"), "'\(name)' answers no function call of this conversation")
        }
        let call = openCalls.remove(at: index)
        fields.skip("scheduling")
        fields.skip("willContinue", when: false)
        var (parts, isError) = Self.response(fields.take("response") ?? .object([]))
        let path = fields.path("parts")
        for (place, element) in (try fields.array("parts") ?? []).enumerated() {
            var inner = try Fields(google: element, at: "\(path)[\(place)]")
            if let part = try Self.part(&inner) { parts.append(part) }
            try inner.done()
        }
        return ToolResult(id: call.id, parts: parts, isError: isError)
    }

    /// `output` and `error` are Google's own names for what a function gives, and `result` is what its SDK writes.
    private static func response(_ value: JSONValue) -> ([Conversation.Part], Bool) {
        guard case .object(let members) = value, members.count == 1, ["output", "result", "error"].contains(members[0].name) else {
            return ([.text(value.text, cache: nil)], false)
        }
        let inner = members[0].value
        return ([.text(inner.stringValue ?? inner.text, cache: nil)], members[0].name == "error")
    }

    // MARK: Parts

    /// nil: nothing that says anything.
    static func part(_ fields: inout Fields) throws(UpstreamFailure) -> Conversation.Part? {
        if let text = try fields.text("text") { return text.isEmpty ? nil : .text(text, cache: nil) }
        if var data = try fields.google("inlineData") {
            let type = try data.requiredText("mimeType")
            let path = data.path("mimeType")
            let part = try media(
                type, .base64(type: type, data: Base64.standard(try data.requiredText("data"))), name: try data.text("displayName"), path)
            try data.done()
            return part
        }
        guard var file = try fields.google("fileData") else { return nil }
        let uri = try file.requiredText("fileUri")
        guard uri.hasPrefix("https://") || uri.hasPrefix("http://"), !uri.contains("://generativelanguage.googleapis.com/") else {
            throw .inexpressible(file.path("fileUri"), "is in a store that only Google can read")
        }
        let path = file.path("mimeType")
        let type = try file.text("mimeType") ?? DataURL.type(ofURL: uri) ?? ""
        let part = try media(type, .url(uri), name: try file.text("displayName"), path)
        try file.done()
        return part
    }

    private static func media(
        _ type: String, _ media: Conversation.Media, name: String?, _ path: String
    ) throws(UpstreamFailure) -> Conversation.Part {
        let essence = type.prefix { $0 != ";" }.lowercased()
        if essence.hasPrefix("image/") { return .image(media, detail: nil, cache: nil) }
        if essence == "application/pdf" { return .document(media, name: name, cache: nil) }
        guard case .base64(_, let data) = media else {
            throw .inexpressible(path, "'\(type)' cannot be given by its URL to this model's vendor")
        }
        if essence.hasPrefix("audio/") {
            let words = ["mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"]
            let word = String(essence.dropFirst("audio/".count))
            return .audio(data: data, format: words[word] ?? word)
        }
        // A document that is text is text everywhere.
        if essence.hasPrefix("text/"), let bytes = Base64.decode(data) {
            let text = String(decoding: bytes, as: UTF8.self)
            return .text(name.map { "\($0)\n\n\(text)" } ?? text, cache: nil)
        }
        throw .inexpressible(path, "'\(type)' cannot be expressed in the protocol of this model's vendor")
    }
}
