import Foundation
import NIOCore
import RouterCore
import Testing

@testable import Simulator

/// The simulator's own arithmetic and script; its wire is tested by everything that talks to it (EndToEndTests).
@Suite struct SimulatorTests {
    private func answer(_ body: JSONValue, _ controls: String = "ok", endpoint: Endpoint = .chat) throws -> EchoAnswer {
        EchoAnswer(request: body, model: "m", endpoint: endpoint, controls: try Controls(parsing: controls))
    }

    @Test func `it repeats the last message and counts words`() throws {
        let body: JSONValue = ["messages": [["role": "system", "content": "be kind"], ["role": "user", "content": "one two  three"]]]
        let answer = try answer(body)
        #expect(answer.text == "one two  three" && answer.pieces.count == 3 && answer.promptTokens == 8)
        #expect(
            try self.answer(["messages": [["role": "user", "content": "a b c"]], "max_tokens": .number("2")]).finishReason == "length")
    }

    @Test func `schemas are filled`() throws {
        let schema = try JSONValue(
            parsing: ByteBuffer(
                string:
                    #"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"array","items":{"type":"integer"}},"c":{"enum":["x","y"]}}}"#
            ))
        #expect(EchoAnswer.example(schema).text == #"{"a":"text","b":[1],"c":"x"}"#)
    }

    @Test func `unknown controls are named`() {
        #expect(throws: Controls.Unknown.self) { try Controls(parsing: "status=500,nonsense=1") }
    }

    @Test func `scripts are consumed in order, per key, and the last may repeat`() {
        let script = Script()
        script.add(model: "m", key: "k1", steps: ["status=429", "ok"])
        script.add(model: "*", key: "k2", steps: ["status=500"], repeatsLast: true)
        #expect(script.take(model: "m", key: "k1") == "status=429")
        #expect(script.take(model: "m", key: "k1") == "ok")
        #expect(script.take(model: "m", key: "k1") == nil)
        #expect(script.take(model: "m", key: "k2") == "status=500" && script.take(model: "z", key: "k2") == "status=500")
    }

    @Test func `its list of models has prices and can be another`() {
        let listed = ListedModels()
        let first = listed.answer["data"]?.arrayValue?.first
        #expect(first?["id"]?.stringValue == "demo/echo" && first?["pricing"]?["prompt"]?.stringValue == "0.00000015")
        listed.set(["data": []])
        #expect(listed.answer["data"]?.arrayValue?.isEmpty == true)
        listed.set(nil)
        #expect(listed.answer["data"]?.arrayValue?.count == 3)
    }

    @Test func `base64 floats are little-endian`() {
        #expect(Base64.floats([1, -2]) == "AACAPwAAAMA=")
        #expect(Data(base64Encoded: Base64.floats([0.5]))?.count == 4)
    }

    @Test func `gzip is valid`() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).gz")
        defer { try? FileManager.default.removeItem(at: file) }
        let text = String(repeating: "hello ", count: 30_000)
        try Data(Gzip.stored(ByteBuffer(string: text)).readableBytesView).write(to: file)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/gzip")
        process.arguments = ["-t", file.path]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }
}
