/// An estimate of the size of a prompt before the vendor has counted it, and an upper bound.
///
/// One pass over a JSON body of any dialect. The text of the strings is counted by ``TextTokens``; roles, types and ids of messages are not
/// counted as text but as a flat figure per message; names inside tools and the arguments of tools are text. Images count a flat figure
/// each, and their base64 data (`data:image/…` or the `data` of a vendor's own form) is not counted as text.
public struct PromptEstimate: Sendable, Hashable {
    /// Estimated tokens, images included.
    public var tokens: Int64 = 0
    public var images: Int64 = 0
    /// No byte-level tokenizer makes more tokens than bytes. Valid for text, images and audio only: strict admission uses ``StrictBound``.
    public var upperBound: Int64 = 0
    /// Files, documents and conversations that the request refers to by a URL or an id, so that their length is unknown.
    public var references: Int64 = 0
    /// Images that the request refers to by a URL.
    public var linkedImages: Int64 = 0
    /// Whether there is a tool that the client does not run itself, or one that cannot be classified here.
    public var hasForeignTools = false

    /// Estimated tokens of one image: a 1024×1024 image in OpenAI's high-detail scheme counts 765, a large one 1,105.
    public static let tokensPerImage: Int64 = 1_105
    /// Tokens around a message besides its text: OpenAI documents three and the role.
    public static let tokensPerMessage: Int64 = 4
    /// Tokens that prime the answer, once per request.
    public static let tokensPerRequest: Int64 = 3
    /// Base64 bytes of a PDF or of audio per token: a page of 2,000 tokens in 100 KB, or a second of audio with 10 to 20 tokens.
    static let fileBytesPerToken: Int64 = 48
    /// Tokens assumed for a reference where the model's context length is unknown.
    static let tokensPerReference: Int64 = 200_000

    public init() {}

    /// Walks the strings of a validated JSON body. Other bytes give an arbitrary figure, within the bound.
    public init(_ bytes: Span<UInt8>) { self.init(bytes, PromptWalk(TextTokens())) }

    /// The same, with the tokens of a vocabulary, for figures that are charged: slower, but exact where the vendor's tokenizer uses this
    /// vocabulary.
    public init(_ bytes: Span<UInt8>, _ vocabulary: BPEVocabulary) { self.init(bytes, PromptWalk(VocabularyCount(vocabulary))) }

    private init(_ bytes: Span<UInt8>, _ start: PromptWalk<some PromptCounter>) {
        var walk = start
        walk.run(bytes)
        // Everything that is left out of the bound as image data counts as one image, whether or not it was announced as one.
        images = max(walk.images, walk.imageData)
        references = walk.references
        linkedImages = walk.linkedImages
        hasForeignTools = walk.hasForeignTools
        upperBound = Int64(bytes.count - walk.imageBytes) + images * Self.tokensPerImage * 8
        let text = walk.text.tokens
        let frame = walk.messages * Self.tokensPerMessage + (text > 0 ? Self.tokensPerRequest : 0)
        let files = walk.fileBytes / Self.fileBytesPerToken
        let all = text + frame + walk.names + walk.clientTokens + files + images * Self.tokensPerImage
        tokens = min(upperBound, all)
    }

    /// The prompt tokens that a hold assumes: references count at their worst, because the client chooses them.
    /// - Parameter contextLength: the largest number of tokens that the model reads; nil = unknown.
    public func expectedTokens(contextLength: Int64?) -> Int64 {
        let known = tokens + linkedImages * (StrictBound.tokensPerImage - Self.tokensPerImage)
        guard references > 0 else { return known }
        let (worst, overflowed) = references.multipliedReportingOverflow(by: Self.tokensPerReference)
        let all = known.addingReportingOverflow(overflowed ? .max : worst)
        let sum = all.overflow ? Int64.max : all.partialValue
        return max(known, contextLength.map { min($0, sum) } ?? sum)
    }

    /// The estimate for text of which only the size is known: a quarter token per ASCII byte, one per other character.
    public static func tokens(asciiBytes: Int64, otherCharacters: Int64) -> Int64 { (asciiBytes + 3) / 4 + otherCharacters }
}

/// Counts the text of a prompt.
private protocol PromptCounter {
    mutating func add(jsonString bytes: Span<UInt8>, _ range: Range<Int>)
    mutating func endPiece()
    var tokens: Int64 { get }
}

extension TextTokens: PromptCounter {}

private struct VocabularyCount: PromptCounter {
    private let vocabulary: BPEVocabulary
    private(set) var tokens: Int64 = 0

    init(_ vocabulary: BPEVocabulary) { self.vocabulary = vocabulary }

    mutating func add(jsonString bytes: Span<UInt8>, _ range: Range<Int>) {
        let text = Array(JSONText.string(bytes, content: range).utf8)
        tokens += vocabulary.tokens(text.span)
    }

    mutating func endPiece() {}
}

/// The pass itself: the position of a string in the body decides whether it counts as text.
private struct PromptWalk<Counter: PromptCounter> {
    var text: Counter
    var messages: Int64 = 0
    /// Tokens around the names inside tools: a colon, quotes, or the vendor's own notation.
    var names: Int64 = 0
    /// Numbers in a prompt that is given as an array of tokens.
    var clientTokens: Int64 = 0
    var images: Int64 = 0
    /// Base64 that is left out of the bound: the number of images and of their bytes.
    var imageData: Int64 = 0
    var imageBytes = 0
    var fileBytes: Int64 = 0
    var references: Int64 = 0
    var linkedImages: Int64 = 0
    var hasForeignTools = false

    private var depth = 0
    /// The depth of an object or array whose names and values are all text, or of one in which nothing is text; 0 = neither.
    private var textDepth = 0
    private var silentDepth = 0
    /// The depth of a prompt array in which numbers are tokens from the client's own tokenizer.
    private var promptDepth = 0
    private var key = Key.other
    /// Whether this is the `data` of Gemini's inline data, which no member announces as an image.
    private var isInline = false
    /// Data whose type has not been seen yet, and its depth: it is an image if its object says so.
    private var data: (range: Range<Int>, depth: Int)?
    /// The depth of the object that declares its data to be an image; 0 = there is none.
    private var imageTypeDepth = 0
    /// The same for text.
    private var textTypeDepth = 0
    /// The depth of an object that holds the URL of an image, or of the content part around it.
    private var imageLinkDepth = 0
    /// The depth of the array of tools; 0 = not inside one.
    private var toolsDepth = 0
    private var isTools = false

    init(_ text: Counter) { self.text = text }

    private enum Key {
        case other
        /// The value is not text: a role, a type, an id, a model's name, a setting.
        case plain
        case role, type, imageURL, url, data, inline
        /// The media type of data.
        case media
        /// The value refers to something that is stored with the vendor.
        case reference
        /// Everything inside is text: tools and their arguments.
        case open
        /// The prompt itself: text, or tokens as numbers.
        case prompt
    }

    mutating func run(_ bytes: Span<UInt8>) {
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""): string(bytes, &index)
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                // A stored prompt of the Responses dialect is an object; the prompts of other dialects are not.
                if key == .reference || key == .prompt && bytes[index] == UInt8(ascii: "{") { references += 1 }
                if key == .imageURL { imageLinkDepth = depth }
                if isTools {
                    toolsDepth = depth
                    isTools = false
                }
                if textDepth == 0, silentDepth == 0, promptDepth == 0 || key != .prompt {
                    switch key {
                    case .open: textDepth = depth
                    case .plain: silentDepth = depth
                    case .prompt: promptDepth = depth
                    default: break
                    }
                }
                // The key of an array applies to its elements only where they are strings.
                if bytes[index] == UInt8(ascii: "{") || key == .open { key = .other }
                index += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if textDepth == depth { textDepth = 0 }
                if silentDepth == depth { silentDepth = 0 }
                if promptDepth == depth { promptDepth = 0 }
                if toolsDepth == depth { toolsDepth = 0 }
                close(bytes)
                depth -= 1
                key = .other
                index += 1
            case UInt8(ascii: "0")...UInt8(ascii: "9") where textDepth > 0 || promptDepth > 0:
                let start = index
                while index < bytes.count, bytes[index] &- UInt8(ascii: "0") < 10 { index += 1 }
                if textDepth > 0 { text.add(jsonString: bytes, start..<index) } else { clientTokens += 1 }
            default: index += 1
            }
        }
    }

    private mutating func string(_ bytes: Span<UInt8>, _ index: inout Int) {
        let start = index + 1
        index = start
        while true {
            EightBytes.skipUnquoted(bytes, &index)
            guard index < bytes.count, bytes[index] != UInt8(ascii: "\"") else { break }
            // Skips the byte after a backslash, so that \" does not end the string.
            index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        let content = start..<min(index, bytes.count)
        index = min(index + 1, bytes.count)
        var after = index
        JSONScanner.skipWhitespace(bytes, &after)
        if after < bytes.count, bytes[after] == UInt8(ascii: ":") {
            index = after + 1
            name(bytes, content)
        } else {
            value(bytes, content)
        }
    }

    /// Ends an object or array, and decides about data in it whose type was not known yet.
    private mutating func close(_ bytes: Span<UInt8>) {
        if let data, data.depth == depth { settleData(bytes, data.range) }
        if imageTypeDepth >= depth { imageTypeDepth = 0 }
        if textTypeDepth >= depth { textTypeDepth = 0 }
        if imageLinkDepth >= depth { imageLinkDepth = 0 }
    }

    private mutating func settleData(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        if imageTypeDepth == depth {
            imageData += 1
            imageBytes += range.count
            if isInline { images += 1 }
        } else if textTypeDepth == depth {
            add(bytes, range)
        } else {
            file(bytes, range)
        }
        data = nil
        isInline = false
    }

    /// Reads the name or the type of a tool: tools that only the vendor can run cost extra.
    private mutating func toolMember(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        switch range.count {
        case 4 where JSONScanner.equals(bytes, range, "type"): key = .type
        // Google's tools are identified by their member names.
        case 20 where JSONScanner.equals(bytes, range, "functionDeclarations"): break
        case 21 where JSONScanner.equals(bytes, range, "function_declarations"): break
        default: if !Self.isClientTool(bytes, range) { hasForeignTools = true }
        }
    }

    /// Types of tools that clients run, in the dialects that have types.
    private static func isClientTool(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        func isOne(_ names: StaticString...) -> Bool { names.contains { JSONScanner.equals(bytes, range, $0) } }
        switch range.count {
        case 4: return isOne("name")
        case 6: return isOne("strict")
        case 8: return isOne("function")
        case 10: return isOne("parameters")
        case 11: return isOne("description")
        case 12: return isOne("input_schema")
        case 13: return isOne("cache_control")
        default: return false
        }
    }

    private mutating func name(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        if textDepth > 0 {
            key = .other
            names += 1
            if toolsDepth > 0, depth == toolsDepth + 1, !hasForeignTools { toolMember(bytes, range) }
            return add(bytes, range)
        }
        if silentDepth > 0 { return }
        key = Self.key(bytes, range, isTop: depth == 1)
        if depth == 1, key == .open, JSONScanner.equals(bytes, range, "tools") { isTools = true }
        if key == .imageURL { images += 1 }
        if key == .role { messages += 1 }
        if key == .inline { isInline = true }
    }

    private mutating func value(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        if silentDepth > 0 { return }
        guard textDepth == 0 else {
            if key == .type, !JSONScanner.equals(bytes, range, "function"), !JSONScanner.equals(bytes, range, "custom") {
                hasForeignTools = true
            }
            return add(bytes, range)
        }
        switch key {
        case .plain, .role: break
        case .type:
            if JSONScanner.equals(bytes, range, "image") {
                images += 1
                imageLinkDepth = depth
            }
        case .media:
            if Self.hasPrefix("image/", bytes, range) { imageTypeDepth = depth }
            if Self.hasPrefix("text/", bytes, range) { textTypeDepth = depth }
        case .reference: if !range.isEmpty { references += 1 }
        case .imageURL: link(bytes, range, isImage: true)
        case .url: link(bytes, range, isImage: imageLinkDepth > 0)
        case .data:
            if let data, data.depth == depth { settleData(bytes, data.range) }
            data = (range, depth)
        case .other, .open, .prompt, .inline: add(bytes, range)
        }
    }

    private mutating func add(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        text.add(jsonString: bytes, range)
        text.endPiece()
    }

    private mutating func link(_ bytes: Span<UInt8>, _ range: Range<Int>, isImage: Bool) {
        if Self.hasPrefix("data:image/", bytes, range) {
            imageData += 1
            imageBytes += range.count
        } else if Self.hasPrefix("data:", bytes, range) {
            file(bytes, range)
        } else if isImage {
            linkedImages += 1
        } else if !range.isEmpty {
            references += 1
        }
    }

    private mutating func file(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        // A short value, or one with spaces, is text after all, although its name suggested data.
        let sample = range.lowerBound..<min(range.upperBound, range.lowerBound + 256)
        for index in sample where bytes[index] == 0x20 || bytes[index] == UInt8(ascii: "\\") { return add(bytes, range) }
        if range.count < 256 { add(bytes, range) } else { fileBytes += Int64(range.count) }
    }

    private static func hasPrefix(_ text: StaticString, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        range.count >= text.utf8CodeUnitCount
            && JSONScanner.equals(bytes, range.lowerBound..<range.lowerBound + text.utf8CodeUnitCount, text)
    }

    private static func key(_ bytes: Span<UInt8>, _ range: Range<Int>, isTop: Bool) -> Key {
        func isOne(_ names: StaticString...) -> Bool { names.contains { JSONScanner.equals(bytes, range, $0) } }
        switch range.count {
        case 2: return isOne("id") ? .plain : .other
        case 3: return isOne("url", "uri") ? .url : .other
        case 4:
            if isOne("role") { return .role }
            if isOne("type") { return .type }
            if isOne("args") { return .open }
            return isOne("data") ? .data : isTop && isOne("user", "stop") ? .plain : .other
        case 5:
            if isOne("tools", "input") { return isTop && isOne("input") ? .prompt : .open }
            return isTop && isOne("model") ? .plain : .other
        case 6:
            if isTop && isOne("prompt") { return .prompt }
            return isOne("format", "detail") ? .plain : isOne("schema") ? .open : .other
        case 7:
            if isOne("file_id") { return .reference }
            return isOne("call_id") || (isTop && isOne("user_id")) ? .plain : isOne("fileUri") ? .url : .other
        default: return longKey(bytes, range, isTop: isTop)
        }
    }

    private static func longKey(_ bytes: Span<UInt8>, _ range: Range<Int>, isTop: Bool) -> Key {
        func isOne(_ names: StaticString...) -> Bool { names.contains { JSONScanner.equals(bytes, range, $0) } }
        if isOne("image_url") { return .imageURL }
        if isOne("file_data", "file_url", "file_uri") { return .url }
        if isOne("inline_data", "inlineData") { return .inline }
        if isOne("media_type", "mime_type", "mimeType") { return .media }
        if isTop, isOne("previous_response_id", "conversation", "cachedContent", "cached_content", "container") { return .reference }
        if isOne(
            "functions", "response", "parameters", "input_schema", "responseSchema", "response_schema", "responseJsonSchema",
            "response_json_schema")
        {
            return .open
        }
        if isOne(
            "tool_call_id", "tool_use_id", "signature", "thoughtSignature", "encrypted_content", "annotations")
        {
            return .plain
        }
        return isTop
            && isOne(
                "metadata", "service_tier", "session_id", "prompt_cache_key", "tool_choice", "safetySettings", "safety_settings",
                "toolConfig", "tool_config")
            ? .plain : .other
    }
}
