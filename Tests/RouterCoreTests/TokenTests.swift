import NIOCore
import RouterCore
import Testing

@Suite struct TokenTests {
    private func tokens(_ text: String) -> Int64 {
        var counter = TextTokens()
        counter.add(Array(text.utf8).span)
        return counter.tokens
    }

    private func estimate(_ json: String) -> PromptEstimate { PromptEstimate(Array(json.utf8).span) }

    /// 15 % is beyond the errors of 95 of 100 samples of 1 KB in `docs/token-counting.md`.
    @Test(arguments: TokenSample.all) func `texts count about what a real tokenizer makes of them`(sample: TokenSample) {
        let ours = tokens(sample.text)
        #expect(abs(ours - sample.tokens) * 100 <= sample.tokens * 15, "\(ours) for \(sample.tokens)")
    }

    @Test(arguments: TokenSample.all) func `a text cut at any byte counts the same`(sample: TokenSample) {
        let bytes = Array(sample.text.utf8)
        var whole = TextTokens()
        whole.add(bytes.span)
        for cut in 0...bytes.count {
            var parts = TextTokens()
            parts.add(Array(bytes[..<cut]).span)
            parts.add(Array(bytes[cut...]).span)
            #expect(parts == whole)
        }
        var single = TextTokens()
        for byte in bytes { single.add([byte].span) }
        #expect(single == whole)
    }

    @Test(arguments: TokenSample.all) func `escapes count as what they stand for`(sample: TokenSample) {
        var plain = TextTokens()
        plain.add(Array(sample.text.utf8).span)
        let short = Array(JSONValue.string(sample.text).text.utf8)
        var escaped = TextTokens()
        escaped.add(jsonString: short.span, 1..<short.count - 1)
        #expect(escaped == plain)
        // Every code unit as \uXXXX.
        let long = Array(
            sample.text.utf16.map { unit in
                let hex = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            }.joined().utf8)
        var units = TextTokens()
        units.add(jsonString: long.span, 0..<long.count)
        #expect(units.tokens == plain.tokens)
        #expect(units.asciiBytes == plain.asciiBytes && units.otherCharacters == plain.otherCharacters)
    }

    @Test func `nothing is no token and anything is at least one`() {
        #expect(tokens("") == 0)
        for text in ["a", " ", "\n", "7", ".", "é", "你", "🙂", "\u{200B}", "…"] { #expect(tokens(text) >= 1) }
        #expect(estimate("").tokens == 0)
        #expect(estimate("{}").tokens == 0)
    }

    @Test func `digits are in threes and rules of one mark cost next to nothing`() {
        #expect(tokens("123456789") == 3)
        #expect(tokens("1234567890") == 4)
        #expect(tokens(String(repeating: "=", count: 60)) <= 3)
        #expect(tokens(String(repeating: " ", count: 60)) == 1)
    }

    @Test func `sizes without text count by the old rule`() {
        var counter = TextTokens()
        counter.add(asciiBytes: 400, otherCharacters: 20)
        #expect(counter.tokens == 120 && counter.asciiBytes == 400 && counter.otherCharacters == 20)
        var progress = AnswerProgress()
        progress.deliveredASCII += 400
        progress.deliveredOther += 20
        #expect(progress.estimatedOutputTokens == 120)
    }

    @Test func `the bound holds for any bytes`() {
        var rng = SplitMix64(seed: 11)
        let picture = #"{"image_url":{"url":"data:image/png;base64,AAAA"}}"#
        let seed = Array(#"{"model":"m","tools":[{"name":"f"}],"messages":[{"role":"user","content":[\#(picture)]}]}"#.utf8)
        for round in 0..<20_000 {
            var bytes = round % 2 == 0 ? seed : (0..<rng.below(200)).map { _ in UInt8(truncatingIfNeeded: rng.next()) }
            if round % 2 == 0 {
                for _ in 0..<(1 + rng.below(4)) { bytes[Int(rng.below(UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: rng.next()) }
                bytes.removeLast(Int(rng.below(UInt64(bytes.count))))
            }
            let estimate = PromptEstimate(bytes.span)
            #expect(estimate.tokens >= 0 && estimate.tokens <= estimate.upperBound && estimate.images >= 0)
            if estimate.images == 0, !String(decoding: bytes, as: UTF8.self).contains("data:image/") {
                #expect(estimate.upperBound == Int64(bytes.count))
            }
        }
    }
}

@Suite struct PromptEstimateTests {
    private func estimate(_ json: String) -> PromptEstimate { PromptEstimate(Array(json.utf8).span) }

    @Test func `messages count their text and a flat frame`() {
        let one = estimate(#"{"model":"gpt-5","messages":[{"role":"user","content":"Hello there"}],"temperature":0.75}"#)
        #expect(one.tokens == 2 + 4 + 3)
        let two = estimate(#"{"messages":[{"role":"user","content":"Hello there"},{"role":"assistant","content":"Hello there"}]}"#)
        #expect(two.tokens == 2 * (2 + 4) + 3)
        let parts = estimate(#"{"messages":[{"role":"user","content":[{"type":"text","text":"Hello there"}]}]}"#)
        #expect(parts.tokens == one.tokens)
        let spaced = estimate("{ \"model\" : \"gpt-5\",\n  \"messages\" : [ { \"role\" : \"user\", \"content\" : \"Hello there\" } ] }")
        #expect(spaced.tokens == one.tokens)
    }

    @Test func `settings and ids are no text`() {
        let bare = estimate(#"{"messages":[{"role":"tool","content":"Hello there"}]}"#)
        let full = estimate(
            #"{"model":"some/long-model-name","user":"somebody","metadata":{"a":{"b":["many words here"]},"c":"more words"},"#
                + #""stop":["one","two"],"messages":[{"role":"tool","tool_call_id":"call_abcdefghijklmnop","content":"Hello there"}]}"#)
        #expect(full.tokens == bare.tokens)
    }

    @Test func `prompts in every dialect are text`() {
        let words = "The quick brown fox jumps over the lazy dog"
        for body in [
            #"{"prompt":"\#(words)"}"#, #"{"input":"\#(words)"}"#, #"{"input":["\#(words)"]}"#, #"{"system":"\#(words)"}"#,
            #"{"instructions":"\#(words)"}"#, #"{"contents":[{"role":"user","parts":[{"text":"\#(words)"}]}]}"#,
            #"{"system":[{"type":"text","text":"\#(words)"}]}"#, #"{"query":"\#(words)","documents":[]}"#,
            #"{"input":[{"role":"user","content":[{"type":"input_text","text":"\#(words)"}]}]}"#,
        ] {
            #expect((10...18).contains(estimate(body).tokens), "\(body)")
        }
    }

    @Test func `prompts of token numbers count each number`() {
        #expect(estimate(#"{"model":"m","prompt":[15339,1917,11],"max_tokens":16}"#).tokens == 3)
        #expect(estimate(#"{"input":[[1,2,3],[4, 5]],"dimensions":256}"#).tokens == 5)
        #expect(estimate(#"{"logit_bias":{"50256":-100},"n":3}"#).tokens == 0)
    }

    @Test func `tools and their arguments are text with their names`() {
        let bare = estimate(#"{"messages":[{"role":"user","content":"x"}]}"#).tokens
        let tools = estimate(
            #"{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"get_weather","#
                + #""description":"The weather of a city","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]}"#)
        #expect((20...60).contains(tools.tokens - bare))
        let use = estimate(
            #"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","#
                + #""input":{"city":"Paris","n":123}}]}]}"#)
        #expect(use.tokens >= 4 + 3 + 5)
    }

    @Test func `images count by the piece in every dialect`() {
        let data = "iVBOR" + String(repeating: "QUJD", count: 50_000)
        for body in [
            #"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,\#(data)"}}]}]}"#,
            #"{"input":[{"content":[{"type":"input_image","image_url":"data:image/png;base64,\#(data)"}]}]}"#,
            #"{"messages":[{"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"\#(data)"}}]}]}"#,
            #"{"contents":[{"parts":[{"inline_data":{"mime_type":"image/png","data":"\#(data)"}}]}]}"#,
            #"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"\#(data)"}}]}]}"#,
            #"{"messages":[{"content":[{"type":"file","file":{"file_data":"data:image/png;base64,\#(data)"}}]}]}"#,
            #"{"messages":[{"content":[{"type":"image","source":{"type":"url","url":"https://example.com/picture.png"}}]}]}"#,
        ] {
            let found = estimate(body)
            #expect(found.images == 1 && found.tokens < 1_200 && found.upperBound < 9_500, "\(body.prefix(80))")
        }
    }

    @Test func `text that only looks like data is text`() {
        let words = String(repeating: "many words in a row ", count: 50)
        for body in [
            #"{"messages":[{"role":"user","content":"data:\#(words)"}]}"#,
            #"{"messages":[{"role":"user","content":"data:image/png;base64,\#(words)"}]}"#,
            #"{"tools":[{"function":{"parameters":{"url":"data:image/png;base64,\#(words)"}}}]}"#,
            #"{"messages":[{"content":[{"type":"tool_use","input":{"source":{"data":"iVBOR\#(words)"}}}]}]}"#,
            #"{"messages":[{"content":[{"type":"document","source":{"type":"text","data":"\#(words)"}}]}]}"#,
        ] {
            let found = estimate(body)
            #expect(found.tokens >= 240 && found.upperBound == Int64(body.utf8.count), "\(body.prefix(60))")
        }
    }

    @Test func `files count by their size and bound by it`() {
        let data = String(repeating: "QUJD", count: 12_000)
        let body = #"{"messages":[{"content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,\#(data)"}}]}]}"#
        #expect((900...1_100).contains(estimate(body).tokens))
        #expect(estimate(body).upperBound == Int64(body.utf8.count))
    }
}
