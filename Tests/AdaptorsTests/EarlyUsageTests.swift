import NIOCore
import RouterCore
import Testing

/// What a stream that ends early has delivered beyond the vendor's last figures.
@Suite struct EarlyUsageTests {
    private static func decoder(_ family: AdaptorID) throws -> any StreamDecoder {
        let spec = Fixture.spec(family)
        return try Fixture.provider(spec).streamDecoder(for: Fixture.call(#"{"model":"pub","stream":true,"messages":[]}"#, spec: spec))
    }

    private static func progress(_ family: AdaptorID, _ events: [String]) throws -> AnswerProgress {
        var decoder = try decoder(family)
        var out = ByteBuffer()
        for event in events { try decoder.push(ByteBuffer(string: "data: \(event)\n\n"), into: &out) }
        return decoder.progress
    }

    private static let words = "one two three four five six seven eight nine ten"
    private static let messageStart =
        #"{"type":"message_start","message":{"id":"m","model":"up","usage":{"input_tokens":9,"output_tokens":1}}}"#
    private static let blockStart = #"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#
    private static let blockText = #"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\#(words)"}}"#

    @Test func `Anthropic's figures of the beginning do not cover what follows`() throws {
        let progress = try Self.progress(.anthropic, [Self.messageStart, Self.blockStart, Self.blockText])
        #expect(progress.usage?.output == 1 && progress.usage?.uncachedInput == 9)
        // The one token of the beginning is the first of what came.
        #expect(progress.tokensSinceUsage(by: nil) == progress.estimatedOutputTokens - 1)
        #expect(progress.estimatedOutputTokens >= 9)
    }

    @Test func `cumulative figures cover what stands before them`() throws {
        let end = #"{"type":"message_delta","delta":{},"usage":{"output_tokens":12}}"#
        let covered = try Self.progress(.anthropic, [Self.messageStart, Self.blockStart, Self.blockText, end])
        #expect(covered.usage?.output == 12 && covered.tokensSinceUsage(by: nil) == 0)
        let more = try Self.progress(.anthropic, [Self.messageStart, Self.blockStart, Self.blockText, end, Self.blockText])
        #expect(more.tokensSinceUsage(by: nil) == more.estimatedOutputTokens / 2)
    }

    @Test(arguments: [AdaptorID.openai, .gemini]) func `figures in every chunk cover the chunk that they stand in`(family: AdaptorID) throws
    {
        let chunks = (1...4).map { number in
            family == .openai
                ? #"{"choices":[{"index":0,"delta":{"content":"\#(Self.words)"}}],"usage":{"prompt_tokens":9,"completion_tokens":\#(number * 5)}}"#
                : #"{"candidates":[{"content":{"parts":[{"text":"\#(Self.words)"}]}}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":\#(number * 5)}}"#
        }
        let progress = try Self.progress(family, chunks)
        #expect(progress.usage?.output == 20 && progress.tokensSinceUsage(by: nil) == 0)
    }

    @Test func `figures that tell nothing of the answer cover nothing of it`() throws {
        let gemini =
            #"{"candidates":[{"content":{"parts":[{"text":"\#(Self.words)"}]}}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}"#
        let prompt = try Self.progress(.gemini, [gemini, gemini, gemini])
        #expect(prompt.usage?.output == 0 && prompt.tokensSinceUsage(by: nil) == prompt.estimatedOutputTokens)
        let zero = #"{"choices":[{"index":0,"delta":{"content":"\#(Self.words)"}}],"usage":{"prompt_tokens":9,"completion_tokens":0}}"#
        let openai = try Self.progress(.openai, [zero, zero])
        #expect(openai.usage?.output == 0 && openai.tokensSinceUsage(by: nil) == openai.estimatedOutputTokens)
        let still = #"{"type":"message_delta","delta":{},"usage":{"input_tokens":9}}"#
        let stale = try Self.progress(.anthropic, [Self.messageStart, Self.blockStart, Self.blockText, still])
        #expect(stale.tokensSinceUsage(by: nil) == stale.estimatedOutputTokens - 1)
    }

    @Test func `hidden thoughts of the beginning are none of the words that follow`() throws {
        let chunk = { (text: String, thoughts: Int) in
            #"{"candidates":[{"content":{"parts":[{"text":"\#(text)"}]}}],"usageMetadata":{"promptTokenCount":9,"thoughtsTokenCount":\#(thoughts)}}"#
        }
        let progress = try Self.progress(.gemini, [chunk("", 500), chunk(Self.words, 500)])
        #expect(progress.usage?.reasoning == 500 && progress.tokensSinceUsage(by: nil) == progress.estimatedOutputTokens)
    }

    @Test func `without figures there is nothing that they could miss`() throws {
        let progress = try Self.progress(.openai, [#"{"choices":[{"index":0,"delta":{"content":"\#(Self.words)"}}]}"#])
        #expect(progress.usage == nil && progress.tokensSinceUsage(by: nil) == 0)
    }
}
