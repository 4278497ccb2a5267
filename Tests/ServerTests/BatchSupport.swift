import HTTPTypes
import HummingbirdTesting
import RouterCore
import Testing

@testable import Server

extension TestGateway {
    private static let lines = (1...3).map { number in
        #"{"custom_id":"line-\#(number)","method":"POST","url":"/v1/chat/completions","#
            + #""body":{"model":"demo/echo","max_tokens":50,"messages":[{"role":"user","content":"one two three"}]}}"#
    }

    /// Uploads a file of three lines for the demo channel.
    static func file(_ client: any TestClientProtocol, key: String = rootKey) async throws -> String {
        let form =
            "--xyz\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xyz\r\n"
            + "Content-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n\(lines.joined(separator: "\n"))\r\n--xyz--\r\n"
        let answer = try await client.call(
            .post, "/v1/files", token: key, body: form, headers: [.contentType: "multipart/form-data; boundary=xyz"])
        return try #require(answer.json["id"]?.stringValue, "\(answer.json.text)")
    }

    /// Starts a batch. - Returns: the ids of its file and of itself.
    static func batch(
        _ client: any TestClientProtocol, file: String? = nil, key: String = rootKey
    ) async throws -> (file: String, batch: String) {
        let input: String
        if let file { input = file } else { input = try await self.file(client, key: key) }
        let answer = try await client.call(
            .post, "/v1/batches", token: key,
            body: #"{"input_file_id":"\#(input)","endpoint":"/v1/chat/completions","completion_window":"24h"}"#)
        return (input, try #require(answer.json["id"]?.stringValue, "\(answer.json.text)"))
    }
}
