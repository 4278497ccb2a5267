import Gateway
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import RouterCore
import Testing

@testable import Server

/// Answers that are sent compressed, and those that never are.
@Suite(.serialized, .timeLimit(.minutes(10))) struct PackedAnswersTests {
    private static func request(_ accepted: String?) -> Request {
        var head = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/api/models")
        head.headerFields[.acceptEncoding] = accepted
        return Request(head: head, body: .init(buffer: ByteBuffer()))
    }

    private static func response(_ text: String, _ headers: HTTPFields = [:], status: HTTPResponse.Status = .ok) -> Response {
        Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    private static let long = String(repeating: "{\"model\":\"gpt\"},", count: 500)

    @Test func `only what is long, good and wanted so is compressed`() async throws {
        let packed = try await PackedAnswers.pack(Self.response(Self.long, [.eTag: "\"a\""]), for: Self.request("br, gzip"))
        #expect(packed.headers[.contentEncoding] == "gzip" && packed.headers[.vary] == "Accept-Encoding")
        #expect(packed.headers[.eTag] == "W/\"a\"")
        #expect((packed.body.contentLength ?? .max) < Self.long.utf8.count / 10)
        let plain = try await PackedAnswers.pack(Self.response(Self.long), for: Self.request(nil))
        #expect(plain.headers[.contentEncoding] == nil && plain.headers[.vary] == "Accept-Encoding")
        #expect(plain.body.contentLength == Self.long.utf8.count)
        for refused in ["gzip;q=0", "br", "identity"] {
            #expect(try await PackedAnswers.pack(Self.response(Self.long), for: Self.request(refused)).headers[.contentEncoding] == nil)
        }
        let short = try await PackedAnswers.pack(Self.response("{}"), for: Self.request("gzip"))
        #expect(short.headers[.contentEncoding] == nil && short.body.contentLength == 2)
        let wrong = try await PackedAnswers.pack(Self.response(Self.long, status: .notFound), for: Self.request("gzip"))
        #expect(wrong.headers[.contentEncoding] == nil)
        let stream = Response(status: .ok, body: ResponseBody { writer in try await writer.finish(nil) })
        #expect(try await PackedAnswers.pack(stream, for: Self.request("gzip")).body.contentLength == nil)
    }

    @Test func `what has a secret in it is never compressed`() {
        let routes = GatewayRoutes.all.filter { PackedAnswers.covers($0) }
        #expect(Set(routes.map(\.path)) == PackedAnswers.paths, "each is a route")
        for route in routes {
            #expect(route.method == .get && route.path.hasPrefix("/api/") && !RequestArea.isOfModels(route.path), "\(route.path)")
            for word in ["token", "key", "secret", "login", "session", "self/sessions", "config", "playground", "/channel"] {
                #expect(!route.path.contains(word), "\(route.path)")
            }
        }
    }

    @Test func `a list of the management area comes compressed, and keys come as they are`() async throws {
        try await TestGateway.with { _, client in
            for name in 0..<10 {
                let made = try await client.call(
                    .post, "/api/token", token: TestGateway.adminToken, body: "{\"name\":\"key number \(name) with a long name\"}")
                #expect(made.status == 200)
            }
            let headers: HTTPFields = [.authorization: "Bearer \(TestGateway.adminToken)", .acceptEncoding: "gzip"]
            let document = try await client.execute(uri: "/api/openapi.json", method: .get, headers: headers) { $0 }
            #expect(document.headers[.contentEncoding] == "gzip" && document.headers[.vary] == "Accept-Encoding")
            #expect(Array(document.body.readableBytesView.prefix(2)) == [0x1F, 0x8B])
            let plain = try await client.execute(uri: "/api/openapi.json", method: .get) { $0 }
            #expect(plain.headers[.contentEncoding] == nil && plain.body.readableBytes > 5 * document.body.readableBytes)
            let again = try await client.execute(
                uri: "/api/openapi.json", method: .get, headers: [.ifNoneMatch: document.headers[.eTag] ?? "", .acceptEncoding: "gzip"]
            ) { $0 }
            #expect(again.status == .notModified)
            let keys = try await client.execute(uri: "/api/token?page_size=50", method: .get, headers: headers) { $0 }
            #expect(keys.headers[.contentEncoding] == nil && keys.body.readableBytes > PackedAnswers.leastBytes)
        }
    }

    @Test func `a kept answer is that of the present prices`() async throws {
        try await TestGateway.with { _, client in
            func list(_ headers: HTTPFields = [:]) async throws -> (headers: HTTPFields, bytes: ByteBuffer) {
                try await client.execute(uri: "/api/models/pricing", method: .get, headers: headers) { ($0.headers, $0.body) }
            }
            for number in 0..<5 {
                let body = #"{"model_name":"kept-\#(number)","pricing_input":"0.000001","pricing_output":"0.000002"}"#
                #expect(try await client.call(.put, "/api/models/pricing", token: TestGateway.adminToken, body: body).status == 200)
                let plain = try await list()
                #expect(String(buffer: plain.bytes).contains("kept-\(number)") && plain.headers[.contentEncoding] == nil)
                #expect(try await list().bytes == plain.bytes)
            }
            let plain = try await list()
            let packed = try await list([.acceptEncoding: "gzip"])
            #expect(packed.headers[.contentEncoding] == "gzip" && packed.headers[.vary] == "Accept-Encoding")
            #expect(packed.bytes.readableBytes < plain.bytes.readableBytes / 2)
            #expect(try await list().bytes == plain.bytes, "each client has the form that it accepts")
        }
    }
}
