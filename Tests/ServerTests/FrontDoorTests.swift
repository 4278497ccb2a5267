import Config
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import NIOPosix
import RouterCore
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server

/// A client that says exactly these bytes, so that what HTTP allows and what it forbids can be sent.
final class RawClient: Sendable {
    private let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>

    init(port: Int) async throws {
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(host: "127.0.0.1", port: port) {
            channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel(wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
            }
        }
    }

    /// Sends the pieces, each when the one before has been answered by something, and reads until `done` holds or the server closes.
    func talk(_ pieces: [String], until done: @escaping @Sendable (String) -> Bool = { _ in false }) async throws -> String {
        try await channel.executeThenClose { inbound, outbound in
            var text = ""
            var rest = pieces[...]
            if let first = rest.popFirst() { try await outbound.write(ByteBuffer(string: first)) }
            for try await bytes in inbound {
                text += String(buffer: bytes)
                if let next = rest.popFirst() { try await outbound.write(ByteBuffer(string: next)) }
                if rest.isEmpty, done(text) { break }
            }
            return text
        }
    }
}

/// The HTTP of model calls, where it is not Hummingbird's.
@Suite(.serialized, .timeLimit(.minutes(10))) struct FrontDoorTests {
    private static let body = #"{"model":"demo/echo","messages":[{"role":"user","content":"hello there"}]}"#

    private static func call(
        _ headers: String = "", body: String = body, version: String = "1.1", key: String = TestGateway.rootKey
    ) -> String {
        "POST /v1/chat/completions HTTP/\(version)\r\nHost: gateway\r\nAuthorization: Bearer \(key)\r\nContent-Type: application/json\r\n"
            + headers + (headers.contains("ransfer-Encoding") ? "" : "Content-Length: \(body.utf8.count)\r\n") + "\r\n" + body
    }

    private static func count(_ part: String, _ text: String) -> Int { text.components(separatedBy: part).count - 1 }

    private func with(_ body: @Sendable @escaping (Int) async throws -> Void) async throws {
        try await TestGateway.with { _, client in
            let added = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":1,"amount":10,"description":"d"}"#)
            #expect(added.status == 200)
            try await body(try #require(client.port))
        }
    }

    @Test func `requests of one connection are answered in their order, whoever serves them`() async throws {
        try await with { port in
            let live = "GET /health/live HTTP/1.1\r\nHost: gateway\r\n\r\n"
            let all = [Self.call(), live, Self.call(), Self.call(key: "sk-wrong"), live, Self.call()].joined()
            let text = try await RawClient(port: port).talk([all]) { Self.count("HTTP/1.1 ", $0) == 6 && $0.hasSuffix("}}") }
            let statuses = text.components(separatedBy: "HTTP/1.1 ").dropFirst().map { String($0.prefix(3)) }
            #expect(statuses == ["200", "200", "200", "401", "200", "200"], "\(text)")
            #expect(Self.count("hello there", text) == 3)
            #expect(Self.count("X-Request-Id: ", text) + Self.count("x-request-id: ", text) == 6)
        }
    }

    @Test func `a body comes in chunks, or after the word that it may come`() async throws {
        try await with { port in
            let half = Self.body.utf8.count / 2
            let first = String(Self.body.prefix(half))
            let second = String(Self.body.dropFirst(half))
            func chunk(_ text: String) -> String { String(text.utf8.count, radix: 16) + "\r\n\(text)\r\n" }
            let chunked = Self.call("Transfer-Encoding: chunked\r\n", body: "") + chunk(first) + chunk(second) + "0\r\n\r\n"
            let answer = try await RawClient(port: port).talk([chunked]) { $0.hasSuffix("}}") }
            #expect(answer.hasPrefix("HTTP/1.1 200") && answer.contains("hello there"), "\(answer)")

            let head = Self.call("Expect: 100-continue\r\n").replacingOccurrences(of: Self.body, with: "")
            let asked = try await RawClient(port: port).talk([head, Self.body]) { $0.hasSuffix("}}") }
            #expect(asked.hasPrefix("HTTP/1.1 100") && asked.contains("HTTP/1.1 200") && asked.contains("hello there"), "\(asked)")
        }
    }

    @Test func `who is refused is told before the body, and may go on`() async throws {
        try await with { port in
            let body = String(repeating: " ", count: 100_000)
            let head = Self.call(body: body, key: "sk-wrong").replacingOccurrences(of: body, with: "")
            let text = try await RawClient(port: port).talk([head, body + Self.call()]) {
                $0.contains("hello there") && $0.hasSuffix("}}")
            }
            #expect(text.hasPrefix("HTTP/1.1 401") && text.contains("HTTP/1.1 200"), "\(text)")
        }
    }

    @Test func `bodies that are on their way are bounded all together`() async throws {
        let limit = 64 * 1024
        try await TestGateway.with({ $0.server.maxBodyBytes = limit }, bodies: BodyMemory(least: 0)) { gateway, client in
            let port = try #require(client.port)
            // All but the last byte of the largest body, from as many clients as may be, and more.
            let part = Self.call(body: String(repeating: " ", count: limit)).dropLast()
            let answers = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<(BodyMemory.largestBodies + 4) {
                    group.addTask {
                        try await RawClient(port: port).talk([String(part)]) { $0.contains("\r\n\r\n") }
                    }
                }
                var answers: [String] = []
                for _ in 0..<3 { if let answer = try await group.next() { answers.append(answer) } }
                group.cancelAll()
                return answers
            }
            #expect(answers.allSatisfy { $0.hasPrefix("HTTP/1.1 503") && $0.lowercased().contains("retry-after") }, "\(answers)")
            #expect(answers.allSatisfy { $0.contains("as many large requests as it may") })
            // The others have gone, and with them what they held.
            var status = 0
            for _ in 0..<200 where status != 400 {
                let whole = try await RawClient(port: port).talk([Self.call(body: String(repeating: " ", count: limit))]) {
                    $0.contains("\r\n\r\n")
                }
                status = Int(whole.dropFirst(9).prefix(3)) ?? 0
            }
            #expect(status == 400)
        }
    }

    @Test func `too large a body is refused by its announcement, and while it comes`() async throws {
        try await with { port in
            let limit = 33_554_432
            let announced = Self.call().replacingOccurrences(
                of: "Content-Length: \(Self.body.utf8.count)", with: "Content-Length: \(limit + 1)")
            let told = try await RawClient(port: port).talk([announced]) { $0.contains("request_too_large") }
            #expect(told.hasPrefix("HTTP/1.1 413") && told.lowercased().contains("connection: close"), "\(told)")

            let size = 4 * 1024 * 1024
            let chunk = String(size, radix: 16) + "\r\n" + String(repeating: " ", count: size) + "\r\n"
            let endless = Self.call("Transfer-Encoding: chunked\r\n", body: "") + String(repeating: chunk, count: 9)
            let cut = try await RawClient(port: port).talk([endless]) { $0.contains("request_too_large") }
            #expect(cut.hasPrefix("HTTP/1.1 413"), "\(cut.prefix(300))")
        }
    }

    @Test func `thousands of refused requests behind another are answered one after the other`() async throws {
        try await with { port in
            let login = #"{"username":"root","password":"wrong-password"}"#
            let slow =
                "POST /api/user/login HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: \(login.utf8.count)\r\n\r\n\(login)"
            let refused = "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n"
            let last = refused.replacingOccurrences(of: "Host: g", with: "Host: g\r\nConnection: close")
            let count = 20_000
            let text = try await RawClient(port: port).talk([slow + String(repeating: refused, count: count) + last])
            // So many at once may be a load that is refused as such.
            #expect(Self.count("HTTP/1.1 401", text) + Self.count("HTTP/1.1 503", text) == count + 2, "\(text.suffix(700))")
        }
    }

    /// What nobody reads must not pile up: the gateway stops asking for more.
    @Test func `who takes no answers is not asked for more questions`() async throws {
        try await TestGateway.with { gateway, client in
            let port = try #require(client.port)
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.autoRead, value: false).connect(host: "127.0.0.1", port: port).get()
            // The answers are several times what the system takes up on both sides.
            let count = 100_000
            let refused = "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n"
            channel.writeAndFlush(ByteBuffer(string: String(repeating: refused, count: count)), promise: nil)
            func answered() -> Int {
                let lines = gateway.gateway.parts.plane.metrics.exposition(gauges: []).split(separator: "\n")
                return lines.filter { $0.contains("/v1/chat/completions") && $0.hasPrefix("apirouter_requests_total") }
                    .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
            }
            var last = -1
            var isStill = 0
            for _ in 0..<1_000 where isStill < 10 {
                let now = answered()
                isStill = now > 0 && now == last ? isStill + 1 : 0
                last = now
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(last > 0 && last < count, "\(last) answered")
            try await channel.close()
        }
    }

    @Test func `an answer arrives whole, however large, before its connection is closed`() async throws {
        try await TestGateway.with { _, client in
            let added = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":1,"amount":1000,"description":"d"}"#)
            #expect(added.status == 200)
            let port = try #require(client.port)
            // More than the system's buffers on both sides can take at once.
            let words = String(repeating: "lorem ipsum ", count: 1_400_000)
            let body = #"{"model":"demo/echo","messages":[{"role":"user","content":"\#(words)"}]}"#
            let text = try await RawClient(port: port).talk([Self.call("Connection: close\r\n", body: body)])
            #expect(
                text.hasPrefix("HTTP/1.1 200") && text.utf8.count > words.utf8.count && text.hasSuffix("}"),
                "\(text.prefix(300)) \(text.utf8.count)")
        }
    }

    @Test func `the connection ends where it must`() async throws {
        try await with { port in
            // Each of these returns because the server closes.
            let old = try await RawClient(port: port).talk([Self.call(version: "1.0")])
            #expect(old.contains(" 200 ") && old.contains("hello there") && old.lowercased().contains("connection: close"), "\(old)")
            let last = try await RawClient(port: port).talk([Self.call("Connection: close\r\n")])
            #expect(last.hasPrefix("HTTP/1.1 200") && last.lowercased().contains("connection: close"), "\(last)")
            let stream = Self.body.dropLast() + #","stream":true}"#
            let streamed = try await RawClient(port: port).talk([Self.call("Connection: close\r\n", body: String(stream))])
            #expect(streamed.contains("data: [DONE]") && streamed.hasSuffix("0\r\n\r\n"), "\(streamed)")
            let broken = try await RawClient(port: port).talk([Self.call("Transfer-Encoding: chunked\r\n", body: "") + "zz\r\n"])
            #expect(broken.hasPrefix("HTTP/1.1 400") && broken.contains("not valid HTTP"), "\(broken)")
            let garbage = try await RawClient(port: port).talk(["\u{1}\u{2}\r\n\r\n"])
            #expect(garbage.hasPrefix("HTTP/1.1 400"), "\(garbage)")
        }
    }

    @Test func `the date is that of the second`() {
        #expect(DateHeader.format(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(DateHeader.format(0) == "Thu, 01 Jan 1970 00:00:00 GMT")
        #expect(DateHeader.format(951_782_400) == "Tue, 29 Feb 2000 00:00:00 GMT")
    }
}
