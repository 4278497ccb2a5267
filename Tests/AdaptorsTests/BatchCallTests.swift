import HTTPTypes
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// Where the calls about files and batches go.
@Suite struct BatchCallTests {
    private func channel(_ family: AdaptorID, _ batches: BatchSupport?) -> RouterCore.Channel {
        var spec = ProviderSpec(name: "v", family: family, baseURL: "https://vendor.example/v1", batches: batches)
        if family == .azureOpenAI { spec.auth = .header(name: "api-key", prefix: "") }
        return RouterCore.Channel(id: 1, name: "c", provider: spec, keys: [Secret("the-key")], models: [])
    }

    private func call(_ call: BatchCall, _ family: AdaptorID = .openai, _ batches: BatchSupport? = BatchSupport()) -> UpstreamRequest? {
        let channel = channel(family, batches)
        return AdaptorRegistry.provider(for: channel.provider)?.call(call, channel: channel, key: channel.keys.first)
    }

    @Test func `each call has its method, path and key`() throws {
        let calls: [(BatchCall, String)] = [
            (.file(id: "file-1"), "GET https://vendor.example/v1/files/file-1"),
            (.content(id: "file-1"), "GET https://vendor.example/v1/files/file-1/content"),
            (.deleteFile(id: "file-1"), "DELETE https://vendor.example/v1/files/file-1"),
            (.batch(id: "batch_1"), "GET https://vendor.example/v1/batches/batch_1"),
            (.cancel(id: "batch_1"), "POST https://vendor.example/v1/batches/batch_1/cancel"),
            (.create(body: ByteBuffer(string: "{}")), "POST https://vendor.example/v1/batches"),
            (.list(after: nil), "GET https://vendor.example/v1/batches?limit=100"),
            (.list(after: "batch_1"), "GET https://vendor.example/v1/batches?limit=100&after=batch_1"),
            (.upload(form: ByteBuffer(string: "x"), boundary: "b"), "POST https://vendor.example/v1/files"),
        ]
        for (batch, expected) in calls {
            let request = try #require(call(batch))
            #expect("\(request.method) \(request.url)" == expected)
            #expect(request.headers[.authorization] == "Bearer the-key")
        }
        #expect(call(.upload(form: ByteBuffer(string: "x"), boundary: "b"))?.headers[.contentType] == "multipart/form-data; boundary=b")
    }

    @Test func `Azure's version stays behind the path`() throws {
        let request = try #require(call(.content(id: "file-1"), .azureOpenAI))
        #expect(request.url == "https://vendor.example/v1/openai/files/file-1/content?api-version=2024-10-21")
        #expect(
            call(.list(after: nil), .azureOpenAI)?.url == "https://vendor.example/v1/openai/batches?api-version=2024-10-21&limit=100")
        let own = BatchSupport(files: "/f?v=2", batches: "/b")
        #expect(call(.file(id: "x"), .azureOpenAI, own)?.url == "https://vendor.example/v1/f/x?v=2")
    }

    @Test func `an id that is not fit for a URL makes no call, and a vendor without batches has none`() {
        for id in ["", "../files", "a/b", "a?b", "a b", "ä"] {
            #expect(call(.file(id: id)) == nil && call(.cancel(id: id)) == nil && call(.list(after: id)) == nil, "\(id)")
        }
        #expect(call(.file(id: "x"), .openai, nil) == nil)
        #expect(call(.file(id: "x"), .anthropic) == nil)
    }

    @Test func `a batch may call what both the family and the file serve, without conversion`() throws {
        func urls(_ spec: ProviderSpec) -> [Endpoint: String] { AdaptorRegistry.provider(for: spec)?.batchURLs ?? [:] }
        var spec = channel(.openai, BatchSupport()).provider
        #expect(
            urls(spec) == [.chat: "/v1/chat/completions", .completions: "/v1/completions", .embeddings: "/v1/embeddings"],
            "Responses would be converted")
        spec.endpoints[.responses] = .some(nil)
        #expect(urls(spec)[.responses] == "/v1/responses")
        spec.batches = BatchSupport(urls: [.chat: "/chat", .images: "/images"])
        #expect(urls(spec) == [.chat: "/chat"])
        spec.batches = nil
        #expect(urls(spec).isEmpty)
    }
}
