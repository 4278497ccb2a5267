import NIOCore
import Testing

@testable import Adaptors

/// Answers for OpenRouter's clients.
@Suite struct OpenRouterAnswerTests {
    @Test(arguments: [
        (#"{"id":"a","model":"m"}"#, #"{"system_fingerprint":null,"id":"a","model":"m"}"#),
        (#"{"id":"a","system_fingerprint":"fp"}"#, #"{"id":"a","system_fingerprint":"fp"}"#),
        (#"{"id":"a","system_fingerprint":null}"#, #"{"id":"a","system_fingerprint":null}"#),
        (#"{"x":{"system_fingerprint":"inner"}}"#, #"{"system_fingerprint":null,"x":{"system_fingerprint":"inner"}}"#),
        (" { } ", #" {"system_fingerprint":null } "#), ("{}", #"{"system_fingerprint":null}"#), ("[1]", "[1]"), ("", ""), ("no", "no"),
    ])
    func `a chat answer has a fingerprint, known or not`(_ body: String, _ expected: String) {
        #expect(String(buffer: OpenRouterAnswer.completed(ByteBuffer(string: body))) == expected)
        // Bytes before the readable ones are none of the answer.
        var moved = ByteBuffer(string: "{{" + body)
        moved.moveReaderIndex(forwardBy: 2)
        #expect(String(buffer: OpenRouterAnswer.completed(moved)) == expected)
    }
}
