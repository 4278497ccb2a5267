public import NIOCore

/// Google's generateContent (https://ai.google.dev/api/generate-content). Its parser accepts two spellings of every name
/// (`maxOutputTokens`, `max_output_tokens`), so both are looked for. A request with both is refused, because it is unknown which one the
/// vendor obeys, and the hold relies on that bound.
extension RequestEnvelope {
    /// - Parameters:
    ///   - model: the model in the path.
    ///   - streamsArray: whether a stream is requested as one JSON array.
    /// - Throws: ``Rejection``.
    public init(
        gemini body: ByteBuffer, model: String, isStream: Bool = false, streamsArray: Bool = false
    ) throws(Rejection) {
        self.body = body
        endpoint = .gemini
        let bytes = body.readableBytesUInt8Span
        members = try Self.topLevel(bytes)
        for member in members where member.keyHasEscapes {
            let name = JSONText.string(bytes, content: member.key)
            throw Rejection("field '\(name)' must be written without escapes", param: name)
        }
        if let problem = ModelName.problem(model) { throw Rejection("the model in the path \(problem)", param: "model") }
        self.model = model
        self.isStream = isStream
        self.streamsArray = isStream && streamsArray
        if let config = try generationConfig(bytes) {
            if let member = try Self.one(config.members, bytes, "maxOutputTokens", or: "max_output_tokens") {
                maxOutputTokens = try integer(member, bytes, "generationConfig.maxOutputTokens", atLeast: 0)
            }
            if let member = try Self.one(config.members, bytes, "candidateCount", or: "candidate_count") {
                choices = try integer(member, bytes, "generationConfig.candidateCount", atLeast: 1)
            }
        }
        prompt = PromptEstimate(bytes)
    }

    private func generationConfig(_ bytes: Span<UInt8>) throws(Rejection) -> (member: JSONMember, members: [JSONMember])? {
        guard let member = try Self.one(members, bytes, "generationConfig", or: "generation_config") else { return nil }
        guard member.kind == .object, var cursor = try? JSONObjectCursor(bytes, at: member.value.lowerBound) else {
            throw Rejection("'generationConfig' must be an object", param: "generationConfig")
        }
        var inner: [JSONMember] = []
        while let next = try? cursor.next(bytes) {
            guard inner.count < Self.maximumMembers else {
                throw Rejection(
                    "'generationConfig' has more than the \(Self.maximumMembers) fields that are allowed", param: "generationConfig")
            }
            inner.append(next)
        }
        return (member, inner)
    }

    /// The only member with one of these two names that is not null.
    private static func one(
        _ members: [JSONMember], _ bytes: Span<UInt8>, _ name: StaticString, or other: StaticString
    ) throws(Rejection) -> JSONMember? {
        var found: JSONMember?
        for member in members where JSONText.isKey(member, name, bytes) || JSONText.isKey(member, other, bytes) {
            guard found == nil else { throw Rejection("field '\(name)' is given twice", param: "\(name)") }
            found = member
        }
        return found?.kind == .null ? nil : found
    }

    func limitingGeminiOutput(to tokens: Int64) throws(Rejection) -> RequestEnvelope {
        let bytes = body.readableBytesUInt8Span
        var splice = BodySplice()
        if let config = try generationConfig(bytes) {
            let given = config.members.filter {
                JSONText.isKey($0, "maxOutputTokens", bytes) || JSONText.isKey($0, "max_output_tokens", bytes)
            }
            for member in given { splice.replace(member.value, with: String(tokens)) }
            if given.isEmpty {
                splice.insert(
                    "\"maxOutputTokens\":\(tokens)\(config.members.isEmpty ? "" : ",")", at: config.member.value.lowerBound + 1)
            }
        } else {
            // Inserting beside a member that is null would give the name twice.
            let null = members.first {
                JSONText.isKey($0, "generationConfig", bytes) || JSONText.isKey($0, "generation_config", bytes)
            }
            let object = "{\"maxOutputTokens\":\(tokens)}"
            if let null {
                splice.replace(null.value, with: object)
            } else {
                var brace = 0
                JSONScanner.skipWhitespace(bytes, &brace)
                splice.insert("\"generationConfig\":\(object)\(members.isEmpty ? "" : ",")", at: brace + 1)
            }
        }
        return try RequestEnvelope(gemini: splice.applied(to: body), model: model, isStream: isStream, streamsArray: streamsArray)
    }
}
