import Foundation
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// One thing that a client can say, in each dialect that can say it.
private struct Feature {
    var name: String
    /// Members of a request beside `model` (and `max_tokens`); nil: the dialect has no words for it.
    var chat: String?
    var responses: String?
    var messages: String?
    var gemini: String?

    func body(_ dialect: Endpoint) -> String? {
        func with(_ head: String, _ rest: String, _ content: String, _ key: String) -> String {
            "{\(head),\(rest)\(rest.contains("\"\(key)\":") ? "" : ",\"\(key)\":\(content)")}"
        }
        let turn = #"[{"role":"user","content":"x"}]"#
        switch dialect {
        case .messages: return messages.map { with(#""model":"m","max_tokens":5000"#, $0, turn, "messages") }
        case .gemini: return gemini.map { with(#""labels":{}"#, $0, #"[{"role":"user","parts":[{"text":"x"}]}]"#, "contents") }
        case .responses: return responses.map { with(#""model":"m""#, $0, #""x""#, "input") }
        default: return chat.map { with(#""model":"m""#, $0, turn, "messages") }
        }
    }
}

private func chat(_ part: String) -> String { #""messages":[{"role":"user","content":[\#(part)]}]"# }
private func input(_ part: String) -> String { #""input":[{"role":"user","content":[\#(part)]}]"# }
private func contents(_ part: String) -> String { #""contents":[{"role":"user","parts":[\#(part)]}]"# }
private func config(_ setting: String) -> String { #""generationConfig":{\#(setting)}"# }
private let geminiTool = #""tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT"}}]}]"#
private let chatTool = #""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#
private let inputTool = #""tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]"#
private let messageTool = #""tools":[{"name":"f","input_schema":{"type":"object"}}]"#
private let schema = #"{"type":"object","properties":{}}"#

private let features: [Feature] = [
    Feature(
        name: "system message", chat: #""messages":[{"role":"system","content":"s"},{"role":"user","content":"x"}]"#,
        responses: #""instructions":"s""#, messages: #""system":"s""#, gemini: #""systemInstruction":{"parts":[{"text":"s"}]}"#),
    Feature(
        name: "developer message", chat: #""messages":[{"role":"developer","content":"s"},{"role":"user","content":"x"}]"#,
        responses: #""input":[{"role":"developer","content":"s"},{"role":"user","content":"x"}]"#),
    Feature(
        name: "image, base64", chat: chat(#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}"#),
        responses: input(#"{"type":"input_image","image_url":"data:image/png;base64,AA"}"#),
        messages: chat(#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}}"#),
        gemini: contents(#"{"inlineData":{"mimeType":"image/png","data":"AA"}}"#)),
    Feature(
        name: "image, URL", chat: chat(#"{"type":"image_url","image_url":{"url":"https://a.test/b.png"}}"#),
        responses: input(#"{"type":"input_image","image_url":"https://a.test/b.png"}"#),
        messages: chat(#"{"type":"image","source":{"type":"url","url":"https://a.test/b.png"}}"#),
        gemini: contents(#"{"fileData":{"mimeType":"image/png","fileUri":"https://a.test/b.png"}}"#)),
    Feature(
        name: "PDF, base64", chat: chat(#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AA"}}"#),
        responses: input(#"{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AA"}"#),
        messages: chat(#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA"}}"#),
        gemini: contents(#"{"inlineData":{"mimeType":"application/pdf","data":"AA"}}"#)),
    Feature(
        name: "PDF, URL", responses: input(#"{"type":"input_file","file_url":"https://a.test/b.pdf"}"#),
        messages: chat(#"{"type":"document","source":{"type":"url","url":"https://a.test/b.pdf"}}"#),
        gemini: contents(#"{"fileData":{"mimeType":"application/pdf","fileUri":"https://a.test/b.pdf"}}"#)),
    Feature(
        name: "text document", messages: chat(#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"t"}}"#),
        gemini: contents(#"{"inlineData":{"mimeType":"text/plain","data":"dA=="}}"#)),
    Feature(
        name: "audio", chat: chat(#"{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#),
        responses: input(#"{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#),
        gemini: contents(#"{"inlineData":{"mimeType":"audio/wav","data":"AA"}}"#)),
    Feature(name: "video", gemini: contents(#"{"inlineData":{"mimeType":"video/mp4","data":"AA"}}"#)),
    Feature(name: "tools", chat: chatTool, responses: inputTool, messages: messageTool, gemini: geminiTool),
    Feature(
        name: "tool choice by name", chat: chatTool + #","tool_choice":{"type":"function","function":{"name":"f"}}"#,
        responses: inputTool + #","tool_choice":{"type":"function","name":"f"}"#,
        messages: messageTool + #","tool_choice":{"type":"tool","name":"f"}"#,
        gemini: geminiTool + #","toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}}"#),
    Feature(
        name: "no tool call", chat: chatTool + #","tool_choice":"none""#, responses: inputTool + #","tool_choice":"none""#,
        messages: messageTool + #","tool_choice":{"type":"none"}"#,
        gemini: geminiTool + #","toolConfig":{"functionCallingConfig":{"mode":"NONE"}}"#),
    Feature(
        name: "one tool call at a time", chat: chatTool + #","parallel_tool_calls":false"#,
        responses: inputTool + #","parallel_tool_calls":false"#,
        messages: messageTool + #","tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#),
    Feature(
        name: "reasoning effort", chat: #""max_tokens":5000,"reasoning_effort":"low""#,
        responses: #""max_output_tokens":5000,"reasoning":{"effort":"low"}"#, messages: #""output_config":{"effort":"low"}"#,
        gemini: config(#""maxOutputTokens":5000,"thinkingConfig":{"thinkingLevel":"LOW"}"#)),
    Feature(
        name: "thinking budget", chat: #""max_tokens":5000,"reasoning":{"max_tokens":2000}"#,
        messages: #""thinking":{"type":"enabled","budget_tokens":2000}"#,
        gemini: config(#""maxOutputTokens":5000,"thinkingConfig":{"thinkingBudget":2000}"#)),
    Feature(
        name: "JSON schema",
        chat: #""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":\#(schema)}}"#,
        responses: #""text":{"format":{"type":"json_schema","name":"n","schema":\#(schema)}}"#,
        messages: #""output_config":{"format":{"type":"json_schema","schema":\#(schema)}}"#,
        gemini: config(#""responseMimeType":"application/json","responseJsonSchema":\#(schema)"#)),
    Feature(
        name: "JSON object", chat: #""response_format":{"type":"json_object"}"#, responses: #""text":{"format":{"type":"json_object"}}"#,
        gemini: config(#""responseMimeType":"application/json""#)),
    Feature(
        name: "max tokens", chat: #""max_tokens":5"#, responses: #""max_output_tokens":5"#, messages: #""stop_sequences":[]"#,
        gemini: config(#""maxOutputTokens":5"#)),
    Feature(
        name: "temperature", chat: #""temperature":0.5"#, responses: #""temperature":0.5"#, messages: #""temperature":0.5"#,
        gemini: config(#""temperature":0.5"#)),
    Feature(name: "top_p", chat: #""top_p":0.5"#, responses: #""top_p":0.5"#, messages: #""top_p":0.5"#, gemini: config(#""topP":0.5"#)),
    Feature(name: "top_k", messages: #""top_k":5"#, gemini: config(#""topK":5"#)),
    Feature(
        name: "stop sequences", chat: #""stop":["a"]"#, messages: #""stop_sequences":["a"]"#, gemini: config(#""stopSequences":["a"]"#)),
    Feature(name: "n", chat: #""n":2"#, gemini: config(#""candidateCount":2"#)),
    Feature(name: "seed", chat: #""seed":1"#, gemini: config(#""seed":1"#)),
    Feature(
        name: "logprobs", chat: #""logprobs":true"#, responses: #""include":["message.output_text.logprobs"]"#,
        gemini: config(#""responseLogprobs":true"#)),
    Feature(
        name: "penalties", chat: #""frequency_penalty":0.5,"presence_penalty":0.5"#,
        gemini: config(#""frequencyPenalty":0.5,"presencePenalty":0.5"#)),
    Feature(name: "end user", chat: #""user":"u""#, responses: #""user":"u""#, messages: #""metadata":{"user_id":"u"}"#),
    Feature(name: "logit_bias", chat: #""logit_bias":{"1":5}"#),
    Feature(
        name: "vendor's own tools", responses: #""tools":[{"type":"web_search"}]"#,
        messages: #""tools":[{"type":"web_search_20250305","name":"web_search"}]"#, gemini: #""tools":[{"googleSearch":{}}]"#),
    Feature(name: "filters", gemini: #""safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_LOW_AND_ABOVE"}]"#),
    Feature(name: "filters off", gemini: #""safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]"#),
    Feature(name: "kept context", gemini: #""cachedContent":"cachedContents/1""#),
    Feature(
        name: "pictures in the answer", chat: #""modalities":["text","image"]"#, gemini: config(#""responseModalities":["TEXT","IMAGE"]"#)),
]

/// docs/dialects.md: what a request can say through which dialect to which family, found out by trying. `UPDATE_GOLDEN=1` writes it.
@Suite struct DialectTable {
    private static let families = Matrix.families + [.bedrock]

    private static let notes = """

        ## What Google's clients should know

        - `google-genai` takes the gateway's address as `http_options={"base_url": …}`. The key goes as `x-goog-api-key`, `?key=` or bearer.
        - `:generateContent`, `:streamGenerateContent` (server-sent events with `alt=sse`, else one JSON array) and `:countTokens` (the gateway's own
          count), `:embedContent` and `:batchEmbedContents` (from whoever serves OpenAI's embeddings) under `/v1` and `/v1beta`; names of models may
          hold slashes and colons. No files, caches or batches of generations.
        - To `gemini` the body stays as it is. The last event of a stream waits until the books are closed.
        - From other families, a function call comes whole and with an id; a response to one without an id is found by its name and order. Thoughts are
          shown only with `includeThoughts`; what their vendor signed travels as `thoughtSignature` on the part behind them and comes back from it,
          whether the client keeps the thoughts or not. To Gemini itself a foreign signature becomes `skip_thought_signature_validator`.
        - `safetySettings` pass where they switch filters off, and are refused elsewhere.

        ## Citations

        Sources on the web are kept between all dialects, whole and streamed (`CitationTests`): `annotations` of type `url_citation` in chat and Responses,
        `citations` of type `web_search_result_location` on cut blocks of text in Messages, `groundingMetadata` in Gemini's. They are read from those, from
        Anthropic's `search_result_location`, Gemini's `citationMetadata`, Cohere's `citations` and Bedrock's `citationsContent`, where the source
        has an `http(s)` URL.

        Dropped where dialects differ, because the other has no words for it: citations of documents that the client gave itself (Anthropic's characters,
        pages and content blocks, OpenAI's files, sources of Cohere, Bedrock and Gemini without a URL), confidence, searches and suggestions, and
        more than 1,000 citations of one answer. Anthropic's `encrypted_index` is empty. In a stream of Messages a citation comes behind the words and is
        said of the whole block of text; all others keep the exact place. What an earlier answer cited is not sent to a vendor again.

        """

    private func mark(_ feature: Feature, _ dialect: Endpoint, _ family: AdaptorID) throws -> String {
        guard let body = feature.body(dialect) else { return "" }
        let call = try Fixture.call(body, spec: Fixture.spec(family), endpoint: dialect)
        let refusal = failure { () throws(UpstreamFailure) in _ = try Fixture.provider(call.channel.provider).request(for: call) }
        guard let refusal else {
            guard feature.name == "end user" else { return "✓" }
            return String(buffer: try Fixture.provider(call.channel.provider).request(for: call).body ?? ByteBuffer()).contains("\"u\"")
                ? "✓" : "·"
        }
        // A refusal must be about the vendor, not about this table.
        #expect(refusal.retry == .otherChannel, "\(feature.name) \(dialect): \(refusal.detail)")
        return "–"
    }

    @Test func `the table in the documentation is what the code does`() throws {
        var text = """
            # Dialects and families

            Generated by `DialectTableTests` (`UPDATE_GOLDEN=1`); do not edit. Clients speak Chat Completions, Responses, Messages or Gemini's generateContent;
            the columns are the families that serve them. ✓ = sent; – = refused with 400 that names the field, unless another channel can say it or the provider
            file's `request.drop` names the top-level field; · = a hint that changes nothing in the answer, left out because the vendor has no field for
            it (so are cache marks, `prompt_cache_key`, `metadata` and what a function declaration says of its `response`). `chat` to `openai`,
            `messages` to `anthropic`, `gemini` to `gemini`, and `responses` where the provider file lists that endpoint pass through byte for byte. `azure-openai` is like `openai`.

            What only steers the upkeep of the vendor that the client has in mind is left out of converted requests, named in the header `X-Dropped-Fields`:
            `context_management`, `thinking.display` and what a tool says of its loading and callers in Messages; `client_metadata`, `text.verbosity` and a
            namespace's description in Responses; tools that only a vendor can run, unless `tool_choice` demands one. With `routing.conversion: strict` these are
            refused too. In Responses, tools of a namespace go on as functions under joined names and custom tools as functions with one argument, and calls come
            back in the client's form.

            """
        for dialect in Matrix.dialects {
            text +=
                "\n## \(dialect.rawValue)\n\n| | \(Self.families.map(\.rawValue).joined(separator: " | ")) |\n|---|---|---|---|---|---|\n"
            for feature in features where feature.body(dialect) != nil {
                let marks = try Self.families.map { try mark(feature, dialect, $0) }
                text += "| \(feature.name) | \(marks.joined(separator: " | ")) |\n"
            }
        }
        text += Self.notes
        let file = Golden.folder.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("docs/dialects.md")
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" { try text.write(to: file, atomically: true, encoding: .utf8) }
        // A reduced checkout has no docs.
        if let written = try? String(contentsOf: file, encoding: .utf8) { #expect(written == text) }
    }
}
