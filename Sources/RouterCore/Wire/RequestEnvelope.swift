public import NIOCore

/// A client's request, unchanged, with the byte ranges of the few top-level fields that the gateway acts on. Everything else stays bytes:
/// unknown fields and the text of numbers survive because they are never decoded.
public struct RequestEnvelope: Sendable {
    /// The reason why a body is refused. The client gets a 400 with `param`.
    public struct Rejection: Error, Sendable, Hashable {
        public var message: String
        public var param: String?
        public init(_ message: String, param: String? = nil) {
            self.message = message
            self.param = param
        }
    }

    /// The original bytes; ranges below count from the reader index.
    public let body: ByteBuffer
    public let endpoint: Endpoint
    /// All top-level members in order, for splicing.
    public let members: [JSONMember]
    /// The model asked for.
    public internal(set) var model = ""
    public internal(set) var isStream = false
    /// Whether a stream is requested as one JSON array instead of server-sent events (Gemini without `alt=sse`).
    public internal(set) var streamsArray = false
    /// Whether the client asked for usage in the stream (`stream_options.include_usage`, or OpenRouter's `usage.include`).
    public private(set) var wantsStreamUsage = false
    /// `max_completion_tokens`, or else `max_tokens`; `max_output_tokens` in the Responses dialect, `maxOutputTokens` in Gemini's.
    public internal(set) var maxOutputTokens: Int64?
    /// Number of answers that are generated: `n`, or `candidateCount` in Gemini's dialect, at least 1. For completions the larger of `n`
    /// and `best_of`, per prompt.
    public internal(set) var choices: Int64 = 1
    public private(set) var user: String?
    /// OpenRouter's fallback list.
    public private(set) var fallbackModels: [String] = []
    /// `session_id` and `prompt_cache_key`, which keep a conversation on one channel.
    public private(set) var sessionID: String?
    public private(set) var promptCacheKey: String?
    /// `service_tier`: the requested service tier.
    public private(set) var serviceTier: String?
    /// OpenRouter's `provider` preferences, undecoded.
    public private(set) var providerPreferences: Range<Int>?
    /// The estimated size of the prompt.
    public internal(set) var prompt = PromptEstimate()
    /// Names of fields that were left out before a channel was chosen.
    public var droppedFields: [String] = []
    /// Further parts of image, audio, moderation and rerank requests.
    public internal(set) var media = MediaRequest()

    /// Scans the body once. - Throws: ``Rejection``.
    public init(body: ByteBuffer, endpoint: Endpoint) throws(Rejection) {
        self.body = body
        self.endpoint = endpoint
        let bytes = body.readableBytesUInt8Span
        members = try Self.topLevel(bytes)
        var seenModel = false
        for member in members {
            if JSONText.isKey(member, "model", bytes) {
                guard !seenModel else { throw Rejection("field 'model' is given twice", param: "model") }
                seenModel = true
            }
            try read(member, bytes)
        }
        guard seenModel else { throw Rejection("you must provide a model parameter", param: "model") }
        prompt = PromptEstimate(bytes)
        try endpoint.operation.read(&self, bytes)
    }

    /// Bodies up to this size (bytes) are counted with a vocabulary: about two milliseconds of work.
    private static let exactBytes = 262_144

    /// Tokens of the prompt: counted with the vocabulary if there is one and the body is not too large, otherwise estimated.
    public func promptTokens(by vocabulary: BPEVocabulary?) -> Int64 {
        guard let vocabulary, body.readableBytes <= Self.exactBytes else { return prompt.tokens }
        return PromptEstimate(body.readableBytesUInt8Span, vocabulary).tokens
    }

    /// The client's `provider` object; nil when it sent none. - Throws: ``Rejection`` when it cannot be read.
    public func preferences() throws(Rejection) -> JSONValue? {
        guard let range = providerPreferences, let slice = body.getSlice(at: body.readerIndex + range.lowerBound, length: range.count)
        else { return nil }
        do throws(JSONScanError) {
            return try JSONValue(parsing: slice)
        } catch {
            throw Rejection("'provider' cannot be read: \(error)", param: "provider")
        }
    }

    /// The beginning of the conversation, which stays the same from turn to turn: a hash of the first two messages, or of the first bytes
    /// of a prompt. nil when there is nothing to hash.
    public var openingWords: AffinityKey? {
        let bytes = body.readableBytesUInt8Span
        guard let member = member("messages") ?? member("contents") ?? member("prompt") ?? member("input") else { return nil }
        var end = min(member.value.upperBound, member.value.lowerBound + 4_096)
        if member.kind == .array, var cursor = try? JSONArrayCursor(bytes, at: member.value.lowerBound) {
            var count = 0
            while count < 2, let element = try? cursor.next(bytes) {
                end = element.range.upperBound
                count += 1
            }
        }
        return AffinityKey(bytes: bytes.extracting(member.value.lowerBound..<min(end, member.value.lowerBound + 65_536)))
    }

    /// The same request with a limit on the tokens of its answer.
    public func limitingOutput(to tokens: Int64) throws(Rejection) -> RequestEnvelope {
        try endpoint.dialect.request.limitingOutput(of: self, to: tokens)
    }

    /// The member of this name; of several, the last one, as in most JSON parsers.
    public func member(_ name: StaticString) -> JSONMember? {
        let bytes = body.readableBytesUInt8Span
        return members.last { JSONText.isKey($0, name, bytes) }
    }

    /// Maximum number of members of a body. A real request has a few dozen; each takes twenty times as much memory as bytes on the wire.
    public static let maximumMembers = 1_024
    /// Maximum size in bytes, as written, of a string that is kept apart from the body (`user`, `session_id` and similar).
    static let maximumText = 8_192
    /// Maximum size in bytes of the `provider` object, which is read into a tree before any money is held for the request.
    static let maximumPreferences = 65_536

    static func topLevel(_ bytes: Span<UInt8>) throws(Rejection) -> [JSONMember] {
        var members: [JSONMember] = []
        members.reserveCapacity(8)
        do throws(JSONScanError) {
            var position = 0
            JSONScanner.skipWhitespace(bytes, &position)
            var cursor = try JSONObjectCursor(bytes, at: position)
            while members.count <= maximumMembers, let member = try cursor.next(bytes) { members.append(member) }
            guard members.count <= maximumMembers else { throw JSONScanError(.tooManyValues, at: cursor.position) }
            position = cursor.position
            JSONScanner.skipWhitespace(bytes, &position)
            guard position == bytes.count else { throw JSONScanError(.trailingBytes, at: position) }
        } catch {
            if bytes.isEmpty { throw Rejection("the request body is empty; a JSON object is expected") }
            if error.problem == .tooManyValues {
                throw Rejection("the request body has more fields at its top level than the \(maximumMembers) that are allowed")
            }
            throw Rejection("the request body is not a valid JSON object: \(error)")
        }
        return members
    }

    private mutating func read(_ member: JSONMember, _ bytes: Span<UInt8>) throws(Rejection) {
        guard !member.keyHasEscapes else { return try readDecoded(member, bytes) }
        // The length of the key rules out almost every unknown field without comparing bytes.
        switch member.key.count {
        case 5 where JSONText.isKey(member, "model", bytes): try readModel(member, bytes)
        case 6 where JSONText.isKey(member, "stream", bytes):
            try once(.stream, "stream")
            isStream = try boolean(member, bytes, "stream") ?? false
        case 14 where JSONText.isKey(member, "stream_options", bytes):
            if try flag("include_usage", inside: member, bytes, "stream_options") { wantsStreamUsage = true }
        case 5 where JSONText.isKey(member, "usage", bytes) && member.kind == .object:
            if try flag("include", inside: member, bytes, "usage") { wantsStreamUsage = true }
        // A limit under another dialect's name has no effect at the vendor, so it must not lower the hold.
        case 10 where JSONText.isKey(member, "max_tokens", bytes) && outputBounds.contains(.maxTokens):
            try once(.maxTokens, "max_tokens")
            if member.kind != .null { bound(try integer(member, bytes, "max_tokens", atLeast: 0)) }
        case 21 where JSONText.isKey(member, "max_completion_tokens", bytes) && outputBounds.contains(.maxCompletionTokens):
            try once(.maxCompletionTokens, "max_completion_tokens")
            if member.kind != .null { bound(try integer(member, bytes, "max_completion_tokens", atLeast: 0)) }
        case 17 where JSONText.isKey(member, "max_output_tokens", bytes) && outputBounds.contains(.maxOutputTokens):
            try once(.maxOutputTokens, "max_output_tokens")
            if member.kind != .null { bound(try integer(member, bytes, "max_output_tokens", atLeast: 0)) }
        case 1 where JSONText.isKey(member, "n", bytes):
            try once(.choices, "n")
            if member.kind != .null { choices = try integer(member, bytes, "n", atLeast: 1) }
        case 4 where JSONText.isKey(member, "user", bytes): user = try text(member, bytes, "user")
        case 6 where JSONText.isKey(member, "models", bytes): try readModels(member, bytes)
        case 10 where JSONText.isKey(member, "session_id", bytes):
            sessionID = try text(member, bytes, "session_id")
        case 12 where JSONText.isKey(member, "service_tier", bytes):
            serviceTier = try text(member, bytes, "service_tier")
            if let serviceTier, !ServiceTier.isName(serviceTier) {
                throw Rejection("'service_tier' must be a word of at most 64 letters, digits, '-', '_' or '.'", param: "service_tier")
            }
        case 16 where JSONText.isKey(member, "prompt_cache_key", bytes):
            promptCacheKey = try text(member, bytes, "prompt_cache_key")
        case 8 where JSONText.isKey(member, "provider", bytes) && member.kind == .object:
            guard member.value.count <= Self.maximumPreferences else {
                throw Rejection("'provider' must have at most \(Self.maximumPreferences) bytes", param: "provider")
            }
            providerPreferences = member.value
        default: try refuseDisguised(member, bytes)
        }
    }

    /// Names that the price or the route depends on.
    private static let ours: Set<String> = [
        "model", "stream", "stream_options", "usage", "max_tokens", "max_completion_tokens", "n", "user", "models", "session_id",
        "prompt_cache_key",
        "provider", "max_output_tokens", "service_tier",
    ]
    /// More such names, which are looked up where they are needed.
    private static let more: Set<String> = [
        "messages", "input", "prompt", "best_of", "tools", "tool_choice", "plugins", "web_search_options", "search_parameters",
        "enable_search", "speed", "inference_geo", "container", "documents", "query", "size", "quality", "resolution", "partial_images",
        "response_format", "stream_format", "store", "previous_response_id", "conversation", "background",
    ]

    /// Maximum length of a spelling of these names: twelve bytes per letter, as two escapes.
    private static let longestDisguise = 512

    /// Vendors written in Go match names regardless of case, and the last one counts (encoding/json): a request with `Model` beside `model`
    /// would be served as one model and charged as the other.
    private func refuseDisguised(_ member: JSONMember, _ bytes: Span<UInt8>) throws(Rejection) {
        let isPlain = member.key.allSatisfy { bytes[$0] < 0x80 && !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(bytes[$0]) }
        if isPlain || member.key.count > Self.longestDisguise { return }
        // Upper-cased first: some letters beyond ASCII become an ASCII letter only that way.
        let name = JSONText.string(bytes, content: member.key).uppercased().lowercased()
        if Self.ours.contains(name) || Self.more.contains(name) {
            throw Rejection("field '\(name)' must be written in small letters", param: name)
        }
    }

    /// Fields that the price depends on. If one is given twice, the vendor might use the other occurrence.
    private struct Given: OptionSet {
        let rawValue: UInt8
        static let stream = Given(rawValue: 1)
        static let maxTokens = Given(rawValue: 2)
        static let maxCompletionTokens = Given(rawValue: 4)
        static let maxOutputTokens = Given(rawValue: 8)
        static let choices = Given(rawValue: 16)
    }
    private var given: Given = []

    private mutating func once(_ field: Given, _ name: String) throws(Rejection) {
        guard given.insert(field).inserted else { throw Rejection("field '\(name)' is given twice", param: name) }
    }

    /// When the request has two limits under two names, the vendor may know only one of them, so the larger one counts.
    private mutating func bound(_ tokens: Int64) { maxOutputTokens = max(maxOutputTokens ?? 0, tokens) }

    private var outputBounds: OutputBounds { endpoint.dialect.request.outputBounds }

    /// Handles a key written with escapes: legal JSON, never sent by real clients, and a way to hide a field from the gateway but not from
    /// the vendor. Refused when it spells one of the names that the gateway acts on.
    private func readDecoded(_ member: JSONMember, _ bytes: Span<UInt8>) throws(Rejection) {
        guard member.key.count <= Self.longestDisguise else { return }
        let name = JSONText.string(bytes, content: member.key)
        let folded = name.uppercased().lowercased()
        if Self.ours.contains(folded) || Self.more.contains(folded) {
            throw Rejection("field '\(name)' must be written without escapes", param: name)
        }
    }

    private mutating func readModel(_ member: JSONMember, _ bytes: Span<UInt8>) throws(Rejection) {
        guard member.kind == .string else { throw Rejection("'model' must be a string", param: "model") }
        guard member.value.count <= Self.maximumText else {
            throw Rejection("'model' \(ModelName.tooLong)", param: "model")
        }
        model = JSONText.string(bytes, value: member.value)
        if let problem = ModelName.problem(model) { throw Rejection("'model' \(problem)", param: "model") }
    }

    private mutating func readModels(_ member: JSONMember, _ bytes: Span<UInt8>) throws(Rejection) {
        guard member.kind != .null else { return }
        guard member.kind == .array else { throw Rejection("'models' must be an array of strings", param: "models") }
        var names: [String] = []
        var failed = false
        do throws(JSONScanError) {
            var cursor = try JSONArrayCursor(bytes, at: member.value.lowerBound)
            while let element = try cursor.next(bytes) {
                failed = failed || element.kind != .string || names.count >= 16 || element.range.count > Self.maximumText
                if !failed { names.append(JSONText.string(bytes, value: element.range)) }
            }
        } catch { failed = true }
        guard !failed, !names.contains(where: { ModelName.problem($0) != nil }) else {
            throw Rejection("'models' must be an array of at most 16 model names", param: "models")
        }
        fallbackModels = names
    }

    private func boolean(
        _ member: JSONMember, _ bytes: Span<UInt8>, _ name: String
    ) throws(Rejection) -> Bool? {
        switch member.kind {
        case .boolean: return bytes[member.value.lowerBound] == UInt8(ascii: "t")
        case .null: return nil
        default: throw Rejection("'\(name)' must be a boolean", param: name)
        }
    }

    private func text(_ member: JSONMember, _ bytes: Span<UInt8>, _ name: String) throws(Rejection) -> String? {
        switch member.kind {
        case .string:
            guard member.value.count <= Self.maximumText else {
                throw Rejection("'\(name)' must have at most \(Self.maximumText - 2) bytes", param: name)
            }
            return JSONText.string(bytes, value: member.value)
        case .null: return nil
        default: throw Rejection("'\(name)' must be a string", param: name)
        }
    }

    func integer(
        _ member: JSONMember, _ bytes: Span<UInt8>, _ name: String, atLeast minimum: Int64
    ) throws(Rejection) -> Int64 {
        guard member.kind == .number, let value = JSONText.integer(bytes, member.value),
            value >= minimum, value <= 1_000_000_000
        else { throw Rejection("'\(name)' must be a whole number from \(minimum) to 1000000000", param: name) }
        return value
    }

    private func flag(
        _ key: StaticString, inside member: JSONMember, _ bytes: Span<UInt8>, _ name: String
    ) throws(Rejection) -> Bool {
        if member.kind == .null { return false }
        guard member.kind == .object else { throw Rejection("'\(name)' must be an object", param: name) }
        guard let inner = JSONPath.member(key, of: member.value.lowerBound, bytes) else { return false }
        return try boolean(inner, bytes, "\(name).\(key)") ?? false
    }
}

/// Decides which model names are usable: they reach URLs, logs and SQL parameters.
public enum ModelName {
    static let tooLong = "must have at most 256 bytes"

    /// The problem with a name, as the end of a sentence; nil for a valid name.
    public static func problem(_ name: String) -> String? {
        if name.isEmpty { return "must not be empty" }
        if name.utf8.count > 256 { return tooLong }
        if name.utf8.contains(where: { $0 < 0x21 || $0 == 0x7F }) { return "must not contain spaces or control characters" }
        return nil
    }

    /// A stricter check, for families that put the name into a URL path.
    public static func isSafeInPath(_ name: String) -> Bool {
        problem(name) == nil && !name.contains("..")
            && !name.utf8.contains { [UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: "%"), UInt8(ascii: "\\")].contains($0) }
            && !name.hasPrefix("/") && !name.hasSuffix("/") && !name.contains("//")
    }
}

/// Finds members inside validated objects.
public enum JSONPath {
    /// The last member of this name in the object that starts at `offset`; nil when there is no such member or no object.
    public static func member(_ name: StaticString, of offset: Int, _ bytes: Span<UInt8>) -> JSONMember? {
        guard var cursor = try? JSONObjectCursor(bytes, at: offset) else { return nil }
        var found: JSONMember?
        while let member = try? cursor.next(bytes) {
            if JSONText.isKey(member, name, bytes) { found = member }
        }
        return found
    }

    /// Follows dotted names (`usage.prompt_cache_hit_tokens`) from the object at `offset`.
    public static func member(path: String, of offset: Int, _ bytes: Span<UInt8>) -> JSONMember? {
        var start = offset
        var result: JSONMember?
        for part in path.split(separator: ".") {
            guard var cursor = try? JSONObjectCursor(bytes, at: start) else { return nil }
            var found: JSONMember?
            while let member = try? cursor.next(bytes) {
                if JSONText.string(bytes, content: member.key) == part { found = member }
            }
            guard let found else { return nil }
            result = found
            start = found.value.lowerBound
        }
        return result
    }
}
