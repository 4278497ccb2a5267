import NIOCore
import RouterCore
import Testing

/// What a body may make the gateway keep.
@Suite struct WireBoundsTests {
    private func rejection(_ text: String, _ endpoint: Endpoint = .chat) -> RequestEnvelope.Rejection? {
        do {
            _ = try RequestEnvelope(body: ByteBuffer(string: text), endpoint: endpoint)
            return nil
        } catch { return error }
    }

    private func members(_ count: Int) -> String { String(repeating: "\"a\":1,", count: count) }

    @Test func `audit 13: members at the top level are bounded, in every dialect`() {
        let most = RequestEnvelope.maximumMembers
        #expect(most == 1_024)
        for endpoint in [Endpoint.chat, .responses, .messages, .embeddings, .completions] {
            #expect(rejection("{\(members(most - 1))\"model\":\"m\"}", endpoint) == nil)
            let found = rejection("{\(members(most))\"model\":\"m\"}", endpoint)
            #expect(found?.message.contains("1024") == true, "\(endpoint): \(String(describing: found))")
        }
        #expect(throws: RequestEnvelope.Rejection.self) {
            try RequestEnvelope(gemini: ByteBuffer(string: "{\(members(most))\"contents\":[]}"), model: "m")
        }
        let config = "{\"generationConfig\":{\(members(most))\"b\":1}}"
        #expect(throws: RequestEnvelope.Rejection.self) {
            try RequestEnvelope(gemini: ByteBuffer(string: config), model: "m")
        }
        // What comes behind the last one that is allowed is not looked at any more.
        #expect(rejection("{\(members(most + 1)) this is no JSON")?.message.contains("1024") == true)
    }

    @Test(arguments: ["[", "{\"a\":"]) func `audit 13: depth is bounded, and the refusal names the limit`(
        open: String
    ) throws {
        let close = open == "[" ? "]" : "}"
        func nested(_ levels: Int) -> String {
            String(repeating: open, count: levels) + "1" + String(repeating: close, count: levels)
        }
        // The body itself is the first level.
        let most = JSONScanner.maximumDepth - 1
        #expect(JSONScanner.maximumDepth == 128)
        #expect(rejection("{\"model\":\"m\",\"x\":\(nested(most))}") == nil)
        let found = rejection("{\"model\":\"m\",\"x\":\(nested(most + 1))}")
        #expect(found?.message.contains("128") == true, "\(String(describing: found))")
        #expect(
            rejection("{\"model\":\"m\",\"x\":" + String(repeating: open, count: 1_000_000))?.message.contains("128")
                == true)
        // Trees too.
        #expect(try JSONValue(parsing: ByteBuffer(string: nested(128))).text == nested(128))
        #expect(throws: JSONScanError(.tooDeep, at: 128 * open.utf8.count)) {
            try JSONValue(parsing: ByteBuffer(string: nested(129)))
        }
    }

    @Test(arguments: ["user", "session_id", "prompt_cache_key", "model", "service_tier"])
    func `texts that are kept beside the body are bounded`(name: String) {
        let long = String(repeating: "x", count: 100_000)
        let model = name == "model" ? "" : "\"model\":\"m\","
        #expect(rejection("{\(model)\"\(name)\":\"\(long)\"}")?.param == name)
    }

    @Test func `the client's wishes are read into a tree only where they are small`() {
        let many = (0..<20_000).map { "\"v\($0)\"" }.joined(separator: ",")
        #expect(rejection("{\"model\":\"m\",\"provider\":{\"order\":[\(many)]}}")?.param == "provider")
        #expect(rejection("{\"model\":\"m\",\"provider\":{\"order\":[\"a\"]}}") == nil)
    }

    @Test func `a text to be spoken is bounded`() {
        let long = String(repeating: "x", count: 1_100_000)
        #expect(rejection("{\"model\":\"m\",\"input\":\"\(long)\"}", .speech)?.param == "input")
    }
}
