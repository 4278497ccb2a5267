import Foundation
import HTTPTypes
import NIOCore
import NIOPosix
import RouterCore
import Synchronization
import Testing

@testable import Transport

/// Both transports are held to the same.
enum Way: String, CaseIterable, Sendable {
    case loop, curl

    func make(trusting certificates: String? = nil) throws -> any Stoppable {
        switch self {
        // One loop: calls from outside of the loops are spread over them, and each has connections of its own.
        case .loop:
            try LoopTransport(group: MultiThreadedEventLoopGroup.singleton.next(), configuration: .init(trustedCertificates: certificates))
        case .curl: try CurlTransport(configuration: .init(trustedCertificates: certificates))
        }
    }
}

protocol Stoppable: UpstreamTransport {
    func shutdown() async
    var statistics: TransportStatistics { get }
}
extension LoopTransport: Stoppable {}
extension CurlTransport: Stoppable {}

@Suite(.timeLimit(.minutes(10))) struct TransportTests {
    private static let hello = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"

    private func withTransport(_ way: Way, _ body: (any Stoppable) async throws -> Void) async throws {
        let transport = try way.make()
        do { try await body(transport) } catch {
            await transport.shutdown()
            throw error
        }
        await transport.shutdown()
    }

    private func get(
        _ transport: any UpstreamTransport, _ url: String, _ timeouts: AttemptTimeouts = AttemptTimeouts(), proxy: String? = nil
    ) async throws -> (UpstreamHead, String) {
        let response = try await transport.send(
            UpstreamRequest(method: .get, url: url), options: TransportOptions(timeouts: timeouts, proxy: proxy.map { Secret($0) }),
            cancellation: UpstreamCancellation())
        var body = ByteBuffer()
        while let bytes = try await response.body.next() { body.writeImmutableBuffer(bytes) }
        #expect(try await response.body.next() == nil)
        return (response.head, String(buffer: body))
    }

    private func kind(_ call: () async throws -> Void) async -> TransportFailure.Kind? {
        do {
            try await call()
            return nil
        } catch { return (error as? TransportFailure)?.kind }
    }

    /// The cancellation refers to the call, and the call to the cancellation: neither may keep the other alive.
    @Test(arguments: Way.allCases) func `nothing of a call that is over is kept`(way: Way) async throws {
        let server = try await RawServer.answering(Self.hello)
        let endless = try await RawServer.answering("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try await withTransport(way) { transport in
            for ending in ["read", "cancelled", "dropped"] {
                weak var left: UpstreamCancellation?
                do {
                    let cancellation = UpstreamCancellation()
                    left = cancellation
                    let response = try await transport.send(
                        UpstreamRequest(method: .get, url: ending == "read" ? server.url : endless.url), options: TransportOptions(),
                        cancellation: cancellation)
                    if ending == "read" { while try await response.body.next() != nil {} }
                    if ending == "cancelled" { cancellation.cancel() }
                }
                // The thread that moves the bytes lets go of it a moment later.
                while left != nil { try await Task.sleep(for: .milliseconds(5)) }
            }
            for url in ["http://127.0.0.1:1/", "http://nowhere.invalid/"] {
                weak var left: UpstreamCancellation?
                do {
                    let cancellation = UpstreamCancellation()
                    left = cancellation
                    _ = try? await transport.send(
                        UpstreamRequest(method: .get, url: url), options: TransportOptions(), cancellation: cancellation)
                }
                while left != nil { try await Task.sleep(for: .milliseconds(5)) }
            }
        }
    }

    @Test(arguments: Way.allCases) func `answers come with their head and connections are kept`(way: Way) async throws {
        let server = try await RawServer.answering(Self.hello)
        try await withTransport(way) { transport in
            for _ in 0..<5 {
                let (head, body) = try await get(transport, server.url)
                #expect(head.status == 200 && head.headers[.contentType] == "text/plain" && body == "hello")
            }
            #expect(server.connections == 1)
            #expect(transport.statistics.connectionsCreated == 1 && transport.statistics.requestsSent == 5)
        }
        try await server.stop()
    }

    @Test(arguments: Way.allCases) func `requests carry body and headers and nothing of our own`(way: Way) async throws {
        let server = try await RawServer.answering(Self.hello)
        try await withTransport(way) { transport in
            let request = UpstreamRequest(
                url: server.url, headers: [.authorization: "Bearer k", .contentType: "application/json"],
                body: ByteBuffer(string: "{\"a\":1}"))
            let response = try await transport.send(request, options: TransportOptions(), cancellation: UpstreamCancellation())
            _ = try await response.body.next()
            response.body.cancel()
        }
        let text = server.received.lowercased()
        #expect(text.hasPrefix("post /x http/1.1") && text.contains("authorization: bearer k") && text.hasSuffix("{\"a\":1}"))
        #expect(!text.contains("expect:") && !text.contains("user-agent") && text.contains("accept-encoding: identity"))
        try await server.stop()
    }

    @Test(
        arguments: Way.allCases,
        [
            ("", TransportFailure.Kind.closedBeforeHead), ("HTTP/1.1 200 OK\r\nContent-Le", .closedBeforeHead),
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", .closedInBody),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", .closedInBody),
        ]) func `what ends too early is an error, never an end`(
            way: Way, ending: (bytes: String, expected: TransportFailure.Kind)
        ) async throws
    {
        let (bytes, expected) = ending
        let server = try await RawServer.start { channel, _ in
            channel.writeAndFlush(ByteBuffer(string: bytes)).whenComplete { _ in channel.close(promise: nil) }
        }
        try await withTransport(way) { transport in
            let found = await kind { _ = try await get(transport, server.url) }
            #expect(found == expected)
        }
        try await server.stop()
    }

    @Test(arguments: Way.allCases) func `timeouts fire by their kind`(way: Way) async throws {
        let silent = try await RawServer.start { _, _ in }
        let stalled = try await RawServer.start { channel, _ in
            channel.writeAndFlush(ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel"), promise: nil)
        }
        try await withTransport(way) { transport in
            let long = Duration.seconds(30)
            func found(_ server: RawServer, _ timeouts: AttemptTimeouts) async -> TransportFailure.Kind? {
                await kind { _ = try await get(transport, server.url, timeouts) }
            }
            #expect(await found(silent, AttemptTimeouts(firstByte: .milliseconds(100), idle: long, total: long)) == .firstByteTimeout)
            #expect(await found(silent, AttemptTimeouts(firstByte: long, idle: long, total: .milliseconds(100))) == .totalTimeout)
            #expect(await found(stalled, AttemptTimeouts(firstByte: long, idle: .milliseconds(100), total: long)) == .idleTimeout)
        }
        try await silent.stop()
        try await stalled.stop()
    }

    @Test(arguments: Way.allCases) func `no connection is told apart`(way: Way) async throws {
        let server = try await RawServer.answering(Self.hello)
        let url = server.url
        try await server.stop()
        try await withTransport(way) { transport in
            #expect(await kind { _ = try await get(transport, url) } == .connect)
            #expect(await kind { _ = try await get(transport, "http://nonexistent.invalid/") } == .resolve)
            #expect(await kind { _ = try await get(transport, "file:///etc/passwd") } == .protocolViolation)
        }
    }

    @Test(arguments: Way.allCases) func `redirects are not followed, 1xx heads are skipped, compressed bodies decoded, heads bounded`(
        way: Way
    ) async throws {
        let redirect = try await RawServer.answering("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
        let early = try await RawServer.answering("HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n" + Self.hello)
        let large = try await RawServer.answering(
            "HTTP/1.1 200 OK\r\nX-Big: " + String(repeating: "x", count: 80_000) + "\r\nContent-Length: 0\r\n\r\n")
        let gzip: [UInt8] = [
            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 5, 0, 0xfa, 0xff, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0,
        ]
        let packed = try await RawServer.start { channel, _ in
            var bytes = ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \(gzip.count)\r\n\r\n")
            bytes.writeBytes(gzip)
            channel.writeAndFlush(bytes, promise: nil)
        }
        try await withTransport(way) { transport in
            #expect(try await get(transport, redirect.url).0.status == 302)
            #expect(try await get(transport, early.url).1 == "hello")
            #expect(await kind { _ = try await get(transport, large.url) } == .headersTooLarge)
            let (head, body) = try await get(transport, packed.url)
            #expect(body == "hello" && head.headers[.contentEncoding] == nil && head.headers[.contentLength] == nil)
        }
        for server in [redirect, early, large, packed] { try await server.stop() }
    }

    @Test(arguments: Way.allCases) func `cancelling closes the connection, before and after the head`(way: Way) async throws {
        let silent = try await RawServer.start { _, _ in }
        let endless = try await RawServer.start { channel, _ in
            channel.writeAndFlush(ByteBuffer(string: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), promise: nil)
        }
        try await withTransport(way) { transport in
            let cancellation = UpstreamCancellation()
            async let first = kind {
                _ = try await transport.send(
                    UpstreamRequest(method: .get, url: silent.url), options: TransportOptions(), cancellation: cancellation)
            }
            try await wait { silent.open == 1 }
            cancellation.cancel()
            #expect(await first == .cancelled)
            try await wait { silent.open == 0 }

            var response: UpstreamResponse? = try await transport.send(
                UpstreamRequest(method: .get, url: endless.url), options: TransportOptions(), cancellation: UpstreamCancellation())
            #expect(try await response?.body.next().map { String(buffer: $0) } == "hello")
            response?.body.cancel()
            try await wait { endless.open == 0 }
            response = try await transport.send(
                UpstreamRequest(method: .get, url: endless.url), options: TransportOptions(), cancellation: UpstreamCancellation())
            #expect(response != nil)
            // Dropping the last reference cancels as well.
            response = nil
            try await wait { endless.open == 0 }
            // The server sees the connection close a moment before it is counted.
            try await wait { transport.statistics.openTransfers == 0 }
        }
        try await silent.stop()
        try await endless.stop()
    }

    @Test(arguments: Way.allCases) func `a slow reader pauses the upstream, is given portions and loses nothing`(way: Way) async throws {
        let size = 32 * 1024 * 1024
        let written = ByteCounter()
        let server = try await RawServer.start { channel, _ in
            channel.write(ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n"), promise: nil)
            for number in 0..<(size / 65_536) {
                channel.writeAndFlush(ByteBuffer(repeating: UInt8(number % 251), count: 65_536)).whenSuccess { written.add(65_536) }
            }
        }
        try await withTransport(way) { transport in
            let response = try await transport.send(
                UpstreamRequest(method: .get, url: server.url), options: TransportOptions(maxBufferedBytes: 128 * 1024),
                cancellation: UpstreamCancellation())
            // What the kernel's buffers take is bounded; most of the body stays with the server while nobody reads.
            var last = -1
            try await wait {
                defer { last = written.value }
                return written.value > 0 && written.value == last
            }
            #expect(written.value < size / 2, "\(written.value) bytes left the server unread")
            var whole = ByteBuffer()
            while let bytes = try await response.body.next() {
                #expect(bytes.readableBytes <= UpstreamPortion.maximumBytes)
                whole.writeImmutableBuffer(bytes)
            }
            var expected = ByteBuffer()
            for number in 0..<(size / 65_536) { expected.writeRepeatingByte(UInt8(number % 251), count: 65_536) }
            #expect(whole.readableBytes == size && whole == expected)
        }
        try await server.stop()
    }

    @Test(arguments: Way.allCases) func `a buffer smaller than a read stops nothing`(way: Way) async throws {
        let size = 1024 * 1024
        let server = try await RawServer.start { channel, _ in
            channel.write(ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n"), promise: nil)
            for _ in 0..<(size / 8_192) { channel.writeAndFlush(ByteBuffer(repeating: 0x61, count: 8_192), promise: nil) }
        }
        try await withTransport(way) { transport in
            let response = try await transport.send(
                UpstreamRequest(method: .get, url: server.url),
                options: TransportOptions(timeouts: AttemptTimeouts(total: .seconds(20)), maxBufferedBytes: 4_096),
                cancellation: UpstreamCancellation())
            var read = 0
            while let bytes = try await response.body.next() { read += bytes.readableBytes }
            #expect(read == size)
        }
        try await server.stop()
    }

    @Test(arguments: Way.allCases) func `header values with line breaks are refused`(way: Way) async throws {
        try await withTransport(way) { transport in
            var request = UpstreamRequest(method: .get, url: "http://127.0.0.1:1/")
            request.headers[.authorization] = "x"
            // HTTPFields cleans values itself; what could get past it is stopped by the transfer's own check on URLs.
            request.url = "http://127.0.0.1:1/ HTTP/1.1\r\nX: y"
            #expect(
                await kind {
                    _ = try await transport.send(request, options: TransportOptions(), cancellation: UpstreamCancellation())
                } == .protocolViolation)
        }
    }

    @Test func `proxies come from the configuration only`() async throws {
        setenv("http_proxy", "http://127.0.0.1:1", 1)
        defer { unsetenv("http_proxy") }
        let server = try await RawServer.answering(Self.hello)
        let proxy = try await RawServer.answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nvia proxy")
        try await withTransport(.curl) { transport in
            let direct = try await get(transport, server.url).1
            let through = try await get(transport, server.url, proxy: "http://127.0.0.1:\(proxy.port)").1
            #expect(direct == "hello" && through == "via proxy")
            #expect(proxy.received.hasPrefix("GET http://127.0.0.1:\(server.port)/x HTTP/1.1"))
        }
        try await server.stop()
        try await proxy.stop()
    }

    @Test(arguments: Way.allCases) func `shutdown fails what runs and refuses what comes`(way: Way) async throws {
        let silent = try await RawServer.start { _, _ in }
        let transport = try way.make()
        async let running = kind { _ = try await get(transport, silent.url) }
        try await wait { silent.open == 1 }
        await transport.shutdown()
        #expect(await running == .shutdown)
        #expect(await kind { _ = try await get(transport, silent.url) } == .shutdown)
        await transport.shutdown()
        try await silent.stop()
    }

    @Test(arguments: Way.allCases) func `a thousand concurrent and sequential calls leave no descriptor behind`(way: Way) async throws {
        let server = try await RawServer.answering(Self.hello)
        let port = try #require(URL(string: server.url)?.port)
        let before = try Descriptors.count()
        try await withTransport(way) { transport in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        for _ in 0..<20 {
                            let body = try await get(transport, server.url).1
                            #expect(body == "hello")
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(transport.statistics.requestsSent == 1_000 && server.connections <= 50)
            #expect(try Descriptors.sockets(port: port) > 0, "connections are kept until the transport ends")
        }
        try await wait { server.open == 0 }
        // Exactly the sockets between the two; other tests open and close descriptors of this process meanwhile.
        try await wait { try Descriptors.sockets(port: port) == 0 }
        // A leak of another kind would be one a call, a thousand in all.
        try await wait { try Descriptors.count() < before + 500 }
        try await server.stop()
    }

    @Test(arguments: Way.allCases) func `certificates are verified`(way: Way) async throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl") else { return }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (key, certificate) = (folder.path + "/key.pem", folder.path + "/cert.pem")
        let make = Process()
        make.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        make.arguments = [
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost",
        ]
        make.standardError = FileHandle.nullDevice
        try make.run()
        make.waitUntilExit()
        let port = Int.random(in: 20_000..<30_000)
        let serve = Process()
        serve.executableURL = make.executableURL
        serve.arguments = ["s_server", "-accept", "\(port)", "-key", key, "-cert", certificate, "-www", "-quiet"]
        serve.standardOutput = FileHandle.nullDevice
        serve.standardError = FileHandle.nullDevice
        serve.standardInput = FileHandle.nullDevice
        try serve.run()
        defer { serve.terminate() }
        let trusting = try way.make(trusting: certificate)
        try await wait {
            // Until it listens.
            await kind { _ = try await get(trusting, "https://localhost:\(port)/") } == nil
        }
        #expect(await kind { _ = try await get(trusting, "https://127.0.0.1:\(port)/") } == .tls)
        try await withTransport(way) { transport in
            #expect(await kind { _ = try await get(transport, "https://localhost:\(port)/") } == .tls)
        }
        await trusting.shutdown()
    }

    // MARK: Kept connections

    private func post(
        _ transport: any UpstreamTransport, _ url: String, proxy: String? = nil, needsNewConnection: Bool = false, size: Int = 2
    ) async throws -> String {
        let body = ByteBuffer(string: "{" + String(repeating: " ", count: size - 2) + "}")
        let options = TransportOptions(proxy: proxy.map { Secret($0) }, needsNewConnection: needsNewConnection)
        let response = try await transport.send(
            UpstreamRequest(url: url, body: body), options: options, cancellation: UpstreamCancellation())
        var whole = ByteBuffer()
        while let bytes = try await response.body.next() { whole.writeImmutableBuffer(bytes) }
        return String(buffer: whole)
    }

    /// Answers each first request of a connection, and does this with the second.
    private func answeringOnce(then end: @escaping @Sendable (any NIOCore.Channel) -> Void) async throws -> RawServer {
        // Kept, so that no later channel gets the address of an earlier one.
        let seen = Mutex<[ObjectIdentifier: any NIOCore.Channel]>([:])
        return try await RawServer.start { channel, _ in
            let isFirst = seen.withLock { $0.updateValue(channel, forKey: ObjectIdentifier(channel)) == nil }
            if isFirst { channel.writeAndFlush(ByteBuffer(string: Self.hello), promise: nil) } else { end(channel) }
        }
    }

    private func posts(_ server: RawServer) -> Int { server.received.split(separator: "POST ", omittingEmptySubsequences: false).count - 1 }

    @Test(arguments: [(Way.loop, false), (.curl, false), (.curl, true)])
    func `audit 11: a request that a kept connection took with it is not sent again in silence`(way: Way, throughProxy: Bool) async throws {
        let server = try await answeringOnce { $0.close(promise: nil) }
        try await withTransport(way) { transport in
            let proxy = throughProxy ? "http://127.0.0.1:\(server.port)" : nil
            #expect(try await post(transport, server.url, proxy: proxy) == "hello")
            do {
                _ = try await post(transport, server.url, proxy: proxy)
                #expect(Bool(false), "it was answered")
            } catch let failure as TransportFailure {
                #expect(failure.kind == .closedBeforeHead && failure.wasKept, "\(failure)")
            }
            #expect(posts(server) == 2, "the vendor has it once")
            // Asked for, it goes out again, and not on another kept connection.
            #expect(try await post(transport, server.url, proxy: proxy) == "hello")
            #expect(try await post(transport, server.url, proxy: proxy, needsNewConnection: true) == "hello")
            #expect(posts(server) == 4)
            try await wait { transport.statistics.openTransfers == 0 }
        }
        try await server.stop()
    }

    @Test(arguments: Way.allCases) func `audit 11: what only asks is asked again at will, and a connection found closed costs nothing`(
        way: Way
    ) async throws {
        let server = try await answeringOnce { $0.close(promise: nil) }
        let closing = try await RawServer.start { channel, _ in
            channel.writeAndFlush(ByteBuffer(string: Self.hello)).whenComplete { _ in channel.close(promise: nil) }
        }
        try await withTransport(way) { transport in
            for _ in 0..<6 {
                let body = try await get(transport, server.url).1
                #expect(body == "hello")
            }
            for number in 1...6 {
                let body = try await post(transport, closing.url)
                #expect(body == "hello" && posts(closing) == number)
                try await wait { closing.open == 0 }
                // The client's end has the close in its socket now; two turns of its loop, and it has read it.
                for loop in MultiThreadedEventLoopGroup.singleton.makeIterator() {
                    for _ in 0..<2 { try await loop.submit {}.get() }
                }
            }
        }
        try await server.stop()
        try await closing.stop()
    }

    @Test(arguments: Way.allCases) func `audit 11: a new connection that is closed is no kept one, nor is one with a part of an answer`(
        way: Way
    ) async throws {
        let closing = try await RawServer.start { channel, _ in channel.close(promise: nil) }
        let partly = try await answeringOnce { channel in
            channel.writeAndFlush(ByteBuffer(string: "HTTP/1.1 200 OK\r\nX-A: 1\r\n")).whenComplete { _ in channel.close(promise: nil) }
        }
        try await withTransport(way) { transport in
            for server in [closing, partly] {
                do {
                    for _ in 0..<2 { _ = try await post(transport, server.url) }
                    #expect(Bool(false), "it was answered")
                } catch let failure as TransportFailure {
                    #expect(failure.kind == .closedBeforeHead && !failure.wasKept, "\(failure)")
                }
            }
            #expect(posts(closing) == 1 && posts(partly) == 2)
        }
        try await closing.stop()
        try await partly.stop()
    }

    private struct TimedOut: Error {}
    private func wait(_ condition: () async throws -> Bool) async throws {
        for _ in 0..<2_000 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw TimedOut()
    }
}

final class ByteCounter: Sendable {
    private let lock = NSLock()
    private nonisolated(unsafe) var count = 0  // SAFETY: only touched with `lock` held.
    func add(_ number: Int) { lock.withLock { count += number } }
    var value: Int { lock.withLock { count } }
}
