import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// Pictures in an answer, from OpenRouter's form and Gemini's into the dialects of clients.
@Suite struct AnswerImageTests {
    private static let routerBody =
        #"{"id":"gen-1","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Here:","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}},{"type":"image_url","image_url":{"url":"https://pictures.test/a.webp?x=1"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#
    private static let geminiBody =
        #"{"responseId":"g1","modelVersion":"m","candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"a draft","thought":true},{"inlineData":{"mimeType":"image/png","data":"RFJBRlQ="},"thought":true},{"text":"Here:"},{"inlineData":{"mimeType":"image/png","data":"QUJD"},"thoughtSignature":"c2ln"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":5}}"#

    private func body(_ dialect: Endpoint) -> String {
        switch dialect {
        case .gemini: #"{"contents":[{"role":"user","parts":[{"text":"draw"}]}]}"#
        case .responses: #"{"model":"pub","input":"draw"}"#
        case .messages: #"{"model":"pub","max_tokens":50,"messages":[{"role":"user","content":"draw"}]}"#
        default: #"{"model":"pub","messages":[{"role":"user","content":"draw"}]}"#
        }
    }

    private func whole(_ answer: String, from family: AdaptorID, to dialect: Endpoint) throws -> JSONValue {
        let spec = Fixture.spec(family)
        let call = try Fixture.call(body(dialect), spec: spec, endpoint: dialect)
        let decoded = try Fixture.provider(spec).decode(ByteBuffer(string: answer), for: call)
        #expect(decoded.progress.hasContent && decoded.progress.usage?.output == 5)
        return try JSONValue(parsing: decoded.body)
    }

    @Test func `Google's clients get the pictures of OpenRouter as parts`() throws {
        let parts = try whole(Self.routerBody, from: .openrouter, to: .gemini)["candidates"]?.arrayValue?.first?["content"]?["parts"]
        #expect(
            parts?.text
                == #"[{"text":"Here:"},{"inlineData":{"mimeType":"image/png","data":"QUJD"}},{"fileData":{"mimeType":"image/webp","fileUri":"https://pictures.test/a.webp?x=1"}}]"#
        )
        let same = try whole(Self.routerBody, from: .openai, to: .gemini)["candidates"]?.arrayValue?.first?["content"]?["parts"]
        #expect(same == parts)
    }

    @Test func `chat clients get Gemini's pictures as OpenRouter writes them, without drafts`() throws {
        let message = try whole(Self.geminiBody, from: .gemini, to: .chat)["choices"]?.arrayValue?.first?["message"]
        #expect(message?["content"] == "Here:" && message?["reasoning_content"] == "a draft")
        #expect(message?["images"]?.text == #"[{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"},"index":0}]"#)
    }

    @Test func `Responses clients get a call that made a picture, Messages clients are told of it`() throws {
        let output = try whole(Self.geminiBody, from: .gemini, to: .responses)["output"]?.arrayValue ?? []
        #expect(
            output.last?["type"] == "image_generation_call" && output.last?["result"] == "QUJD" && output.last?["status"] == "completed")
        let content = try whole(Self.routerBody, from: .openrouter, to: .messages)["content"]?.arrayValue ?? []
        #expect(
            content.map { $0["text"]?.stringValue } == [
                "Here:", "[image/png of 3 bytes, which this format cannot carry]", "https://pictures.test/a.webp?x=1",
            ])
    }

    private func stream(_ events: [String], from family: AdaptorID, to dialect: Endpoint) throws -> StreamOutcome {
        let spec = Fixture.spec(family)
        let text = body(dialect)
        let isInPath = dialect == .gemini
        let request = isInPath ? text : "{\"stream\":true," + text.dropFirst()
        let call = try Fixture.call(request, spec: spec, endpoint: dialect)
        return StreamOutcome(events.map { "data: \($0)\n\n" }.joined(), call: call)
    }

    private static let routerEvents = [
        #"{"id":"gen-1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        #"{"id":"gen-1","model":"m","choices":[{"index":0,"delta":{"content":"","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"},"index":0}]}}]}"#,
        #"{"id":"gen-1","model":"m","choices":[{"index":0,"delta":{"content":"Here."}}]}"#,
        #"{"id":"gen-1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        #"{"id":"gen-1","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#, "[DONE]",
    ]
    private static let geminiEvents = [
        #"{"responseId":"g1","modelVersion":"m","candidates":[{"index":0,"content":{"role":"model","parts":[{"inlineData":{"mimeType":"image/png","data":"QUJD"}}]}}]}"#,
        #"{"responseId":"g1","modelVersion":"m","candidates":[{"index":0,"content":{"role":"model","parts":[{"inlineData":{"mimeType":"image/jpeg","data":"REVG"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":5}}"#,
    ]

    @Test func `streamed pictures come whole in one event`() throws {
        let google = try stream(Self.routerEvents, from: .openrouter, to: .gemini)
        #expect(google.failure == nil && google.progress.isDone && google.progress.hasContent)
        #expect(google.out.contains(#"{"parts":[{"inlineData":{"mimeType":"image/png","data":"QUJD"}}],"role":"model"}"#), "\(google)")
        let chat = try stream(Self.geminiEvents, from: .gemini, to: .chat)
        #expect(chat.failure == nil && chat.progress.isDone)
        #expect(chat.out.contains(#""delta":{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"},"index":0}]}"#))
        #expect(chat.out.contains(#""url":"data:image/jpeg;base64,REVG"},"index":1}"#), "\(chat)")
        let responses = try stream(Self.routerEvents, from: .openrouter, to: .responses)
        #expect(responses.out.contains(#""type":"image_generation_call","status":"completed","result":"QUJD""#), "\(responses)")
        #expect(responses.trailer.contains(#""type":"image_generation_call","status":"completed","result":"QUJD""#), "\(responses)")
        let messages = try stream(Self.routerEvents, from: .openrouter, to: .messages)
        #expect(messages.out.contains("[image/png of 3 bytes, which this format cannot carry]") && messages.failure == nil, "\(messages)")
    }

    /// A model that edits its own picture needs it back.
    @Test func `pictures that a client gives back reach the vendor where its format has them`() throws {
        let turn =
            #"{"model":"pub","messages":[{"role":"user","content":"draw"},{"role":"assistant","content":"Here:","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"},"index":0}]},{"role":"user","content":"a hat"}]}"#
        func sent(_ body: String, _ endpoint: Endpoint, to family: AdaptorID) throws -> JSONValue {
            let spec = Fixture.spec(family)
            let call = try Fixture.call(body, spec: spec, endpoint: endpoint, model: "pub", upstream: "up")
            return try JSONValue(parsing: try #require(try Fixture.provider(spec).request(for: call).body))
        }
        let contents = try sent(turn, .chat, to: .gemini)["contents"]?.arrayValue ?? []
        #expect(contents.count == 3)
        #expect(contents[1].text == #"{"role":"model","parts":[{"text":"Here:"},{"inlineData":{"mimeType":"image/png","data":"QUJD"}}]}"#)
        let google =
            #"{"contents":[{"role":"user","parts":[{"text":"draw"}]},{"role":"model","parts":[{"inlineData":{"mimeType":"image/png","data":"QUJD"}}]},{"role":"user","parts":[{"text":"a hat"}]}]}"#
        let messages = try sent(google, .gemini, to: .openrouter)["messages"]?.arrayValue ?? []
        #expect(
            messages[1]["images"]?.text == #"[{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"},"index":0}]"#,
            "\(messages)")
    }
}
