import NIOCore
import RouterCore
import Testing

@Suite struct GeminiEnvelope {
    private func envelope(_ json: String, model: String = "m") throws(RequestEnvelope.Rejection) -> RequestEnvelope {
        try RequestEnvelope(gemini: ByteBuffer(string: json), model: model, isStream: true)
    }

    @Test func `model and streaming are the path's, limits the body's`() throws {
        let given = try envelope(
            #"{"model":"other","stream":false,"max_tokens":1,"contents":[{"role":"user","parts":[{"text":"hello"}]}],"generationConfig":{"maxOutputTokens":7,"candidateCount":2}}"#,
            model: "a/b:free")
        #expect(given.model == "a/b:free" && given.isStream && given.endpoint == .gemini && given.delivery == .events)
        #expect(given.maxOutputTokens == 7 && given.choices == 2 && given.prompt.tokens > 0 && given.openingWords != nil)
        let snake = try envelope(#"{"generation_config":{"max_output_tokens":7,"candidate_count":2}}"#)
        #expect(snake.maxOutputTokens == 7 && snake.choices == 2)
        #expect(try envelope(#"{"generationConfig":null}"#).maxOutputTokens == nil)
    }

    /// Whatever the vendor makes of two, the bound that the hold counts on must be the one that holds.
    @Test(
        arguments: [
            (#"{"generationConfig":{},"generation_config":{}}"#, "generationConfig"), (#"{"generationConfig":[]}"#, "generationConfig"),
            (#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}}"#, "maxOutputTokens"),
            (#"{"generationConfig":{"maxOutputTokens":1,"max\u004futputTokens":9}}"#, "maxOutputTokens"),
            (#"{"generationConfig":{"maxOutputTokens":"1"}}"#, "generationConfig.maxOutputTokens"),
            (#"{"generationConfig":{"candidateCount":0}}"#, "generationConfig.candidateCount"), ("[]", nil), ("", nil),
        ] as [(String, String?)]) func `what cannot be held to is refused`(json: String, param: String?)
    {
        do throws(RequestEnvelope.Rejection) {
            _ = try envelope(json)
            Issue.record("accepted")
        } catch {
            #expect(error.param == param)
        }
    }

    @Test func `names of models are checked`() {
        for name in ["", "a b", "a\n"] {
            #expect(throws: RequestEnvelope.Rejection.self) { _ = try envelope("{}", model: name) }
        }
    }

    @Test(arguments: [
        ("{}", #"{"generationConfig":{"maxOutputTokens":5}}"#), (#" {"a":1}"#, #" {"generationConfig":{"maxOutputTokens":5},"a":1}"#),
        (#"{"generationConfig":{}}"#, #"{"generationConfig":{"maxOutputTokens":5}}"#),
        (#"{"generation_config":{"a":1}}"#, #"{"generation_config":{"maxOutputTokens":5,"a":1}}"#),
        (#"{"generationConfig":null}"#, #"{"generationConfig":{"maxOutputTokens":5}}"#),
        (#"{"generationConfig":{"max_output_tokens":900}}"#, #"{"generationConfig":{"max_output_tokens":5}}"#),
        (#"{"generationConfig":{"maxOutputTokens":null}}"#, #"{"generationConfig":{"maxOutputTokens":5}}"#),
    ]) func `a bound is put where the vendor reads it`(given: String, wanted: String) throws {
        let bounded = try envelope(given).limitingOutput(to: 5)
        #expect(String(buffer: bounded.body) == wanted)
        #expect(bounded.maxOutputTokens == 5 && bounded.isStream && bounded.model == "m")
    }

    /// Pictures count as pictures in both alphabets of base64, and settings are no text.
    @Test func `what the prompt counts`() throws {
        let data = String(repeating: "A", count: 4_000)
        for head in ["iVBOR", "/9j/", "_9j_"] {
            let picture = try envelope(#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"\#(head)\#(data)"}}]}]}"#)
            #expect(picture.prompt.images == 1 && picture.prompt.tokens < 1_200, "\(head)")
        }
        let plain = try envelope(#"{"contents":[{"parts":[{"text":"hello"}]}]}"#).prompt.tokens
        let settings =
            #"{"contents":[{"parts":[{"text":"hello"}]}],"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}],"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}}"#
        #expect(try envelope(settings).prompt.tokens == plain)
    }
}
