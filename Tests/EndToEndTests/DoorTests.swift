import Foundation
import HTTPTypes
import NIOCore
import RouterCore
import Simulator
import Testing

/// What strangers and keys without money can make the real program do.
@Suite(.serialized) struct DoorTests {
    /// One line of the table of docs/configuration.md: so many hostile requests at once, and what the program may grow
    /// by meanwhile.
    struct Ceiling: Sendable, CustomTestStringConvertible {
        var path: String
        /// nil = none; `poor` is that of a user without money.
        var key: String?
        var count: Int
        var bytes: Int
        /// What the body is made of.
        var pattern: String
        /// All but the last byte is sent, so that the body is waited for.
        var isCut: Bool
        var megabytes: Int
        var start = "{\"model\":\"sim/cheap\","
        var end = "\"b\":1}"
        /// Some of them are answered.
        var isServed = false
        var testDescription: String { "\(count) × \(bytes) bytes to \(path), \(key ?? "no key")" }
    }

    static let mega = 1_048_576

    static let ceilings = [
        Ceiling(
            path: "/v1/chat/completions", key: nil, count: 40, bytes: 6 * mega, pattern: "\"a\":1,", isCut: true,
            megabytes: 64),
        Ceiling(
            path: "/v1/chat/completions", key: "poor", count: 8, bytes: 24 * mega, pattern: "\"a\":1,", isCut: false,
            megabytes: 192),
        Ceiling(
            path: "/v1/chat/completions", key: "poor", count: 8, bytes: 24 * mega, pattern: "\"a\":1,", isCut: true,
            megabytes: 192),
        Ceiling(
            path: "/v1/messages/count_tokens", key: nil, count: 40, bytes: 6 * mega, pattern: "\"a\":1,", isCut: true,
            megabytes: 64),
        Ceiling(
            path: "/v1/messages/count_tokens", key: "poor", count: 8, bytes: 24 * mega, pattern: "\"a\":1,",
            isCut: false, megabytes: 192),
        Ceiling(
            path: "/v1beta/models/sim/cheap:countTokens", key: "poor", count: 8, bytes: 24 * mega, pattern: "\"a\":1,",
            isCut: true, megabytes: 192),
        Ceiling(path: "/api/user/login", key: nil, count: 300, bytes: mega, pattern: "[", isCut: true, megabytes: 64),
        Ceiling(path: "/api/user/login", key: nil, count: 300, bytes: 8_000, pattern: "[", isCut: true, megabytes: 64),
        Ceiling(
            path: "/api/balance/admin/add", key: nil, count: 300, bytes: 60_000, pattern: "\"a\":1,", isCut: true,
            megabytes: 96),
        // A paying key may send more, and the memory of the parsed body is counted.
        Ceiling(
            path: "/v1/messages", key: "rich", count: 40, bytes: 2 * mega, pattern: "1,", isCut: false, megabytes: 768,
            start:
                #"{"model":"sim/cheap","max_tokens":5,"messages":[{"role":"user","content":"a"}],"tools":[{"name":"t","input_schema":{"type":"object","enum":["#,
            end: "1]}}]}", isServed: true),
    ]

    /// The most that the program grew by while the requests ran.
    private func growth(_ ceiling: Ceiling, key: String, _ world: World) async throws -> (bytes: Int, answers: [String]) {
        let head =
            "POST \(ceiling.path) HTTP/1.1\r\nHost: g\r\n\(ceiling.key == nil ? "" : "Authorization: Bearer \(key)\r\n")"
            + "Content-Type: application/json\r\nContent-Length: \(ceiling.bytes)\r\n\r\n"
        var request = ByteBuffer(string: head)
        let (start, end) = (ceiling.start, ceiling.end)
        let repeats = (ceiling.bytes - start.utf8.count - end.utf8.count) / ceiling.pattern.utf8.count
        let body = start + String(repeating: ceiling.pattern, count: repeats)
        request.writeString(
            body + String(repeating: " ", count: ceiling.bytes - body.utf8.count - end.utf8.count) + end)
        if ceiling.isCut {
            request = request.getSlice(at: request.readerIndex, length: request.readableBytes - 1) ?? request
        }
        let before = try #require(residentMemory(world.gateway.processID))
        let bytes = request
        let (port, processID) = (world.gateway.port, world.gateway.processID)
        let isCut = ceiling.isCut
        let watch = Task {
            var most = before
            while !Task.isCancelled {
                most = max(most, residentMemory(processID) ?? 0)
                try? await Task.sleep(for: .milliseconds(10))
            }
            return most
        }
        defer { watch.cancel() }
        let answers = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<ceiling.count {
                group.addTask { try await RawConnection(port: port).talk(bytes) { $0.contains("\r\n\r\n") } }
            }
            // Those that wait for their last byte are left when nothing more changes.
            group.addTask {
                var last = 0
                var still = 0
                while still < 100 {
                    try await Task.sleep(for: .milliseconds(20))
                    let now = residentMemory(processID) ?? 0
                    still = abs(now - last) < Self.mega / 4 ? still + 1 : 0
                    last = now
                }
                return nil
            }
            var answers: [String] = []
            while let answer = try await group.next() {
                guard let answer else {
                    if isCut { break }
                    continue
                }
                answers.append(answer)
                if answers.count == ceiling.count { break }
            }
            group.cancelAll()
            return answers
        }
        watch.cancel()
        return (await watch.value - before, answers)
    }

    @Test(
        .timeLimit(.minutes(10)), .enabled(if: residentMemory(getpid()) != nil, "the system tells no resident memory"),
        arguments: ceilings)
    func `audit 13: memory stays under its ceiling on every route, with and without a key`(
        _ ceiling: Ceiling
    ) async throws {
        try await World.with { world in
            let poor = try await world.admin.makeUser("poor", usd: ceiling.key == "rich" ? "10" : nil)
            // What the first request of a kind needs is not the body's.
            _ = try await world.client.call(
                .post, ceiling.path, key: ceiling.key == nil ? nil : poor.key,
                body:
                    #"{"model":"sim/cheap","max_tokens":5,"messages":[{"role":"user","content":"a"}]}"#)
            let (bytes, answers) = try await growth(ceiling, key: poor.key, world)
            print("\(ceiling.testDescription): grew by \(bytes / Self.mega) MB, \(answers.count) answers")
            #expect(
                bytes < ceiling.megabytes * Self.mega, "\(ceiling.testDescription): grew by \(bytes / Self.mega) MB")
            #expect(!answers.contains { $0.hasPrefix("HTTP/1.1 500") }, "\(answers)")
            #expect(answers.contains { $0.hasPrefix("HTTP/1.1 200") } == ceiling.isServed, "\(answers)")
            // And the door is open for others.
            #expect(try await world.client.call(.get, "/health/live").status == 200)
        }
    }

    @Test(.timeLimit(.minutes(10)), .enabled(if: residentMemory(getpid()) != nil, "the system tells no resident memory"))
    func `memory does not grow with the number of requests`() async throws {
        try await World.with { world in
            try await world.admin.addBalance(1, usd: "100")
            func ask(_ count: Int) async throws {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            for number in 0..<count / 8 {
                                let answer = try await world.chat("sim/cheap", stream: number % 2 == 0)
                                #expect(answer.status == 200)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            try await ask(1_600)
            let before = try #require(residentMemory(world.gateway.processID))
            try await ask(4_800)
            let after = try #require(residentMemory(world.gateway.processID))
            print("4,800 requests: grew by \((after - before) / 1024) KB")
            // A kilobyte and a half for each: whatever is kept of a request is more.
            #expect(after - before < 4_800 * 1_536, "grew by \((after - before) / 1024) KB")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `audit 13: a body of a login is waited for some seconds`() async throws {
        try await World.with { world in
            let half = ByteBuffer(string: "POST /api/user/login HTTP/1.1\r\nHost: g\r\nContent-Length: 100\r\n\r\n{")
            // Returns because the gateway closes; the build that was audited waits for ten minutes.
            let answer = try await RawConnection(port: world.gateway.port).talk(half)
            #expect(answer.hasPrefix("HTTP/1.1 408"), "\(answer)")
        }
    }

    @Test(
        .timeLimit(.minutes(10)),
        arguments: [
            "", "Host: a\r\nHost: a\r\n", "Host: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        ])
    func `audit 19: heads that can be read in two ways are refused`(_ fields: String) async throws {
        try await World.with { world in
            let length = fields.contains("Transfer") ? "" : "Content-Length: 0\r\n"
            let request =
                "POST /api/user/logout HTTP/1.1\r\n\(fields)\(length)\r\n" + (length.isEmpty ? "0\r\n\r\n" : "")
            let answer = try await RawConnection(port: world.gateway.port).talk(ByteBuffer(string: request)) {
                $0.contains("\r\n\r\n")
            }
            #expect(answer.hasPrefix("HTTP/1.1 400"), "\(answer)")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `audit 20: a stream whose lines end in CR alone has its end marker`()
        async throws
    {
        try await World.with { world in
            try await world.admin.addBalance(1, usd: "1")
            for controls in ["cr", "cr,split=1", "cr,comments=2", "cr,no_done", "cr,usage_in_every_chunk"] {
                for usage in ["", #""stream_options":{"include_usage":true},"#] {
                    let answer = try await world.client.call(
                        .post, "/v1/chat/completions", key: GatewayProcess.rootKey,
                        body:
                            #"{"model":"sim/cheap","stream":true,\#(usage)"messages":[{"role":"user","content":"a b c"}],"sim_control":"\#(controls)"}"#
                    )
                    #expect(
                        !answer.wasCut && answer.events.last == "[DONE]", "\(controls): \(answer.text.debugDescription)"
                    )
                    #expect(
                        answer.events.count > 3
                            && answer.events.dropLast().allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") })
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(10))) func `audit 20: vendors' errors have the shape of the client's SDK`() async throws {
        try await World.with { world in
            try await world.admin.addBalance(1, usd: "1")
            func error(_ path: String, _ controls: String) async throws -> (status: Int, error: JSONValue?) {
                let answer = try await world.client.call(
                    .post, path, key: GatewayProcess.rootKey,
                    body:
                        #"{"model":"sim/cheap","messages":[{"role":"user","content":"a"}],"sim_control":"\#(controls)"}"#
                )
                return (answer.status, try answer.json["error"])
            }
            for controls in ["status=400,message=no,error_code=17", "status=422,message=no", "body_error,status=400"] {
                let (status, openAI) = try await error("/v1/chat/completions", controls)
                #expect(
                    openAI?["message"]?.stringValue != nil && openAI?["type"]?.stringValue?.isEmpty == false,
                    "\(openAI?.text ?? "")")
                for name in ["code", "param"] {
                    let value = openAI?[name]
                    #expect(value?.isNull == true || value?.stringValue != nil, "\(name): \(openAI?.text ?? "")")
                }
                let (again, openRouter) = try await error("/api/v1/chat/completions", controls)
                #expect(
                    again == status && openRouter?["code"]?.integerValue == Int64(status), "\(openRouter?.text ?? "")")
                #expect(openRouter?["message"]?.stringValue == openAI?["message"]?.stringValue)
            }
            // In a stream that has begun.
            let body =
                #"{"model":"sim/cheap","stream":true,"messages":[{"role":"user","content":"a b c"}],"sim_control":"error_event_after=2"}"#
            for (path, isOpenRouter) in [("/v1/chat/completions", false), ("/api/v1/chat/completions", true)] {
                let answer = try await world.client.call(.post, path, key: GatewayProcess.rootKey, body: body)
                let last = try JSONValue(parsing: ByteBuffer(string: answer.events.last ?? ""))["error"]
                #expect(last?["message"]?.stringValue != nil && answer.wasCut, "\(answer.text)")
                #expect(
                    isOpenRouter
                        ? last?["code"]?.integerValue == 502
                        : last?["code"]?.stringValue != nil && last?["type"]?.stringValue != nil)
            }
        }
    }
}
