import Adaptors
import HTTPTypes
import NIOCore
import RouterCore
import Testing

@Suite struct ResponseItemsTests {
    private func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: ByteBuffer(string: text)) }

    @Test func `input is listed as items with ids`() throws {
        let text = ResponseItems.listed("hello", base: "b")
        #expect(
            text == [
                try json(
                    #"{"id":"msg_b_0","type":"message","role":"user","content":[{"type":"input_text","text":"hello"}],"status":"completed"}"#
                )
            ])
        let input = try json(
            """
            [{"role":"assistant","content":"before"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
             {"type":"function_call_output","call_id":"c","output":"1"},{"id":"msg_own","type":"message","role":"user","content":[]}]
            """)
        let items = ResponseItems.listed(input, base: "b")
        #expect(items.map { $0["id"]?.stringValue } == ["msg_b_0", "fc_b_1", "fco_b_2", "msg_own"])
        #expect(items[0]["content"]?.arrayValue?.first?["type"] == "output_text")
        #expect(ResponseItems.listed(nil, base: "b").isEmpty)
    }

    @Test func `the ids of the gateway's items tell their response`() {
        #expect(ResponseItems.response(ofItem: "msg_01a2-7485_0") == "resp_01a2-7485")
        #expect(ResponseItems.response(ofItem: "msg_01a2-7485_in_12") == "resp_01a2-7485")
        #expect(ResponseItems.response(ofItem: "msg_68af") == nil && ResponseItems.response(ofItem: "") == nil)
    }

    @Test func `items are sent again without the ids that only the gateway knows`() throws {
        let items =
            try json(
                """
                [{"id":"msg_1","type":"message","role":"user","status":"completed","content":[]},
                 {"id":"rs_1","type":"reasoning","summary":[]},
                 {"id":"rs_2","type":"reasoning","summary":[],"encrypted_content":"x"},
                 {"id":"ws_1","type":"web_search_call","status":"completed"}]
                """
            ).arrayValue ?? []
        let resent = ResponseItems.resent(items)
        #expect(
            try JSONValue.array(resent)
                == json(
                    """
                    [{"type":"message","role":"user","content":[]},{"type":"reasoning","summary":[],"encrypted_content":"x"},
                     {"id":"ws_1","type":"web_search_call","status":"completed"}]
                    """))
    }

    @Test func `the response is found in the last event of a stream`() throws {
        let event = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\"}}\n\n"
        #expect(ResponseItems.response(inEvent: ByteBuffer(string: event)) == ["id": "resp_1"])
        let cut = event.replacing("response.completed\"", with: "response.incomplete\"").replacing("\n", with: "\r\n")
        #expect(ResponseItems.response(inEvent: ByteBuffer(string: cut)) == ["id": "resp_1"])
        for other in ["data: {\"type\":\"response.created\",\"response\":{}}\n\n", "data: [DONE]\n\n", ""] {
            #expect(ResponseItems.response(inEvent: ByteBuffer(string: other)) == nil)
        }
    }

    // MARK: Vendors

    private func request(_ json: String, keeps: Bool, isKept: Bool = false) throws -> JSONValue {
        var spec = Fixture.spec(endpoints: [.chat: nil, .responses: nil], request: RequestRules(drop: ["store"]))
        spec.keepsResponses = keeps
        if !keeps { spec.request = RequestRules() }
        var call = try Fixture.call(json, spec: spec, endpoint: .responses)
        if isKept { call.kept = KeptAnswer() }
        return try JSONValue(parsing: #require(Fixture.provider(spec).request(for: call).body))
    }

    @Test func `only a vendor that keeps responses is asked to`() throws {
        let stored = #"{"model":"m","input":"x","store":true}"#
        #expect(try request(stored, keeps: true)["store"] == true)
        #expect(try request(stored, keeps: false)["store"] == false)
        let silent = #"{"model":"m","input":"x"}"#
        #expect(try request(silent, keeps: true)["store"] == nil)
        #expect(try request(silent, keeps: false)["store"] == nil)
        // A file that drops the field from chat must not turn this into the default.
        #expect(try request(#"{"model":"m","input":"x","store":false}"#, keeps: true)["store"] == false)
        // The gateway keeps it although the vendor could.
        #expect(try request(stored, keeps: true, isKept: true)["store"] == false)
        #expect(try request(silent, keeps: true, isKept: true)["store"] == false)
        #expect(try request(silent, keeps: false, isKept: true)["store"] == nil)
    }

    @Test func `a kept response is asked for where it is`() throws {
        func url(_ call: ResponseCall, id: String = "resp_1", path: String? = nil, keeps: Bool = true) -> UpstreamRequest? {
            var spec = Fixture.spec(endpoints: [.chat: nil, .responses: path])
            spec.keepsResponses = keeps
            return Fixture.provider(spec).call(.response(id: id, call), baseURL: "https://h/v1", key: Secret("k"))
        }
        let got = try #require(url(.retrieve(query: "include[]=x")))
        #expect(got.method == .get && got.url == "https://h/v1/responses/resp_1?include[]=x" && got.headers[.authorization] == "Bearer k")
        #expect(url(.inputItems(query: ""))?.url == "https://h/v1/responses/resp_1/input_items")
        let deleted = try #require(url(.delete, path: "/openai/v1/responses?api-version=preview"))
        #expect(deleted.method == .delete && deleted.url == "https://h/v1/openai/v1/responses/resp_1?api-version=preview")
        let cancelled = try #require(url(.cancel))
        #expect(cancelled.method == .post && cancelled.url == "https://h/v1/responses/resp_1/cancel")
        #expect(url(.delete, keeps: false) == nil)
        for id in ["", "../models", "a/b", "a?b"] { #expect(url(.delete, id: id) == nil) }
    }

    @Test func `an answer that the gateway keeps has the gateway's id`() throws {
        var call = try Fixture.call(#"{"model":"m","input":"x"}"#, endpoint: .responses)
        call.answerID = "our-id"
        let answer =
            #"{"id":"theirs","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"y"},"finish_reason":"stop"}]}"#
        func response() throws -> JSONValue {
            try JSONValue(parsing: Fixture.provider(call.channel.provider).decode(ByteBuffer(string: answer), for: call).body)
        }
        #expect(try response()["id"] == "resp_theirs")
        #expect(try response()["store"] == false)
        call.kept = KeptAnswer(previousResponseID: "resp_0", conversationID: "conv_0")
        #expect(try response()["id"] == "resp_our-id")
        #expect(try response()["store"] == true)
        #expect(try response()["previous_response_id"] == "resp_0")
        #expect(try response()["conversation"] == ["id": "conv_0"])
    }
}
