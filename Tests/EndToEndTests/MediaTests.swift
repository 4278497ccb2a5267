import Foundation
import HTTPTypes
import NIOCore
import RouterCore
import Simulator
import Testing
import Transport

/// Pictures, sound, moderation and ranking through the real binary: answered, charged by their own units, failed over, and not paid for
/// when broken.
@Suite(.serialized) struct MediaTests {
    static let channels = [
        World.ChannelSpec(id: 1, provider: "simmedia", key: "first-key", priority: 10),
        World.ChannelSpec(id: 2, provider: "simmedia", key: "second-key"),
    ]

    struct Call {
        var path: String
        var model: String
        /// Members of the JSON body, or fields of the form.
        var more: [JSONValue.Member] = []
        var isForm = false
        var expected: String
        /// USD.
        var cost: String
        /// The field of the form that is a file.
        var file = "file"
    }

    private static let text = "Hello, 你好!"

    private static let calls: [Call] = [
        // 2 × 0.04
        Call(
            path: "images/generations", model: "sim/image", more: [.init("prompt", "a cat"), .init("n", .integer(2))],
            expected: "picture-1.png", cost: "0.08"),
        // 5 tokens of the prompt × 5 and 10 × 40 per million
        Call(
            path: "images/generations", model: "sim/image-tokens",
            more: [.init("prompt", "a cat"), .init("sim_control", "tokens,image_bytes=400000")],
            expected: "QUJDQUJD", cost: "0.000425"),
        // 10 characters × 15 per million
        Call(
            path: "audio/speech", model: "sim/voice", more: [.init("input", .string(text)), .init("voice", "alloy")],
            expected: "\u{1}\u{1}", cost: "0.00015"),
        // 8.47 s × 0.0001
        Call(path: "audio/transcriptions", model: "sim/listen", isForm: true, expected: "The quick brown fox.", cost: "0.000847"),
        Call(
            path: "audio/transcriptions", model: "sim/listen",
            more: [.init("response_format", "verbose_json"), .init("sim_control", "seconds=61.5,no_usage")],
            isForm: true, expected: "61.5", cost: "0.00615"),
        // 16,000 bytes are a second by our own estimate
        Call(
            path: "audio/transcriptions", model: "sim/listen", more: [.init("response_format", "text")],
            isForm: true, expected: "The quick brown fox.\n", cost: "0.0001"),
        // 3 prompt tokens, 2 of them sound: 1 × 2.5 + 2 × 6 + 10 × 10 per million
        Call(
            path: "audio/transcriptions", model: "sim/listen-tokens",
            more: [.init("stream", "true"), .init("sim_control", "tokens,audio_tokens=2")],
            isForm: true, expected: "\"cost\":0.0001145", cost: "0.0001145"),
        Call(path: "moderations", model: "sim/moderate", more: [.init("input", "hi")], expected: "\"flagged\":false", cost: "0"),
        Call(path: "moderations", model: "sim/moderate-paid", more: [.init("input", "hi")], expected: "\"flagged\":false", cost: "0.0005"),
        // 3 units × 0.002
        Call(
            path: "rerank", model: "sim/rank",
            more: [.init("query", "q"), .init("documents", ["a", "b"]), .init("sim_control", "search_units=3")],
            expected: "relevance_score", cost: "0.006"),
    ]

    private static let boundary = "----a-boundary"

    /// Uncompressed sound of one byte a sample and 8,000 a second; all of its head is ASCII.
    static func wave(seconds: Int) -> String {
        "RIFF0000WAVEfmt \u{10}\0\0\0\u{1}\0\u{1}\0\u{40}\u{1F}\0\0\u{40}\u{1F}\0\0\u{1}\0\u{8}\0data0000"
            + String(repeating: "x", count: seconds * 8_000 - 44)
    }

    private func form(
        _ model: String?, _ fields: [JSONValue.Member], file: String? = String(repeating: "x", count: 16_000),
        as name: String = "file"
    ) -> String {
        var text = ""
        for field in fields + (model.map { [.init("model", .string($0))] } ?? []) {
            text +=
                "--\(Self.boundary)\r\nContent-Disposition: form-data; name=\"\(field.name)\"\r\n\r\n\(field.value.stringValue ?? "")\r\n"
        }
        if let file {
            text +=
                "--\(Self.boundary)\r\nContent-Disposition: form-data; name=\"\(name)\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n"
            text += file + "\r\n"
        }
        return text + "--\(Self.boundary)--\r\n"
    }

    func send(
        _ world: World, _ call: Call, prefix: String = "/v1", controls: String? = nil, file: String? = nil
    ) async throws -> Client.Answer {
        var more = call.more
        if let controls { more = more.filter { $0.name != "sim_control" } + [.init("sim_control", .string(controls))] }
        let body =
            call.isForm
            ? form(call.model, more, file: file ?? String(repeating: "x", count: 16_000), as: call.file)
            : JSONValue.object([.init("model", .string(call.model))] + more).text
        let headers = call.isForm ? [("Content-Type", "multipart/form-data; boundary=\(Self.boundary)")] : []
        return try await world.client.call(
            .post, "\(prefix)/\(call.path)", key: GatewayProcess.rootKey, body: body, headers: headers)
    }

    func balance(_ world: World) async throws -> NanoUSD {
        let data = try await world.admin.get("/api/balance")["data"]
        #expect(data?["held"]?.numberText == "0")
        return try NanoUSD(usd: data?["balance"]?.numberText ?? "")
    }

    @Test(.timeLimit(.minutes(10))) func `each endpoint answers and is charged exactly by its unit`() async throws {
        try await World.with(channels: Self.channels, media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            var left = try NanoUSD(usd: "10")
            for prefix in ["/v1", "/api/v1"] {
                for call in Self.calls {
                    let answer = try await send(world, call, prefix: prefix)
                    #expect(
                        answer.status == 200 && !answer.wasCut, "\(call.path) \(call.model): \(answer.status) \(answer.text.prefix(300))")
                    #expect(answer.text.contains(call.expected), "\(call.path) \(call.model): \(answer.text.prefix(300))")
                    left = try left.subtracting(NanoUSD(usd: call.cost))
                    #expect(try await balance(world) == left, "\(call.path) \(call.model)")
                }
            }
            let rows = try await world.logRows(Self.calls.count * 2)
            #expect(rows.count { $0["usage_source"]?.stringValue == "estimated" } == 2)
            #expect(rows.contains { $0["endpoint"]?.stringValue == "speech" && $0["characters"]?.integerValue == 10 })
            #expect(rows.contains { $0["endpoint"]?.stringValue == "images" && $0["images"]?.integerValue == 2 })
            #expect(rows.contains { $0["endpoint"]?.stringValue == "transcriptions" && $0["audio_milliseconds"]?.integerValue == 61_500 })
            try await world.gateway.stop()
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a channel that fails before its answer is passed over, and only the answer is charged`()
        async throws
    {
        try await World.with(channels: Self.channels, sections: "routing: { cooldown: { base: 1ms, max: 2ms } }", media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            var left = try NanoUSD(usd: "10")
            var count = 0
            for fault in ["status=503", "reset_before_head", "cut_body", "body_error", "close_after=0"] {
                for call in Self.calls {
                    let isStream = call.path == "audio/speech" || call.model == "sim/listen-tokens"
                    // The one breaks whole bodies, the other streams.
                    if fault == "cut_body", isStream { continue }
                    if fault == "close_after=0", !isStream { continue }
                    _ = try await world.admin.post("/api/channel/1/enable", .object([]))
                    world.simulator.script.clear()
                    world.simulator.script.add(key: "first-key", steps: [fault], repeatsLast: true)
                    let answer = try await send(world, call)
                    #expect(
                        answer.status == 200 && !answer.wasCut && answer.text.contains(call.expected),
                        "\(fault) \(call.model): \(answer.text.prefix(300))")
                    left = try left.subtracting(NanoUSD(usd: call.cost))
                    #expect(try await balance(world) == left, "\(fault) \(call.path) \(call.model)")
                    count += 1
                    let rows = try await world.logRows(min(count, 100))
                    // A kept connection that breaks is an attempt of its own.
                    let attempts = rows.first?["attempts"]?.integerValue ?? 0
                    #expect(attempts == 2 || (attempts == 3 && fault == "reset_before_head"), "\(fault) \(call.model)")
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a broken answer looks broken and is not charged as whole`() async throws {
        try await World.with(channels: [Self.channels[0]], media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            // A whole body that breaks has reached nobody: nothing is charged.
            for call in [Self.calls[0], Self.calls[3], Self.calls[9]] {
                let answer = try await send(world, call, controls: "cut_body")
                #expect(answer.status == 502, "\(call.path): \(answer.text)")
                _ = try await world.admin.post("/api/channel/1/enable", .object([]))
            }
            #expect(try await balance(world) == (try NanoUSD(usd: "10")))
            // Two of four chunks: 2,000 bytes at 16,000 a second and 15 characters a second are 2 characters of 10.
            let speech = try await send(world, Self.calls[2], controls: "close_after=2")
            #expect(speech.status == 200 && speech.wasCut && speech.text.utf8.count == 2_000)
            #expect(!speech.text.contains("error"))
            // 2 × 15 per million
            #expect(try await balance(world) == (try NanoUSD(usd: "9.99997")))
            let stream = try await send(world, Self.calls[6], controls: "tokens,close_after=2")
            #expect(stream.status == 200 && stream.wasCut && stream.events.last?.contains("upstream_error") == true, "\(stream.text)")
            let row = try #require(try await world.logRows(5).first)
            #expect(row["outcome"]?.stringValue == "truncated" && row["usage_source"]?.stringValue == "estimated")
            // a second of sound: 10 tokens × 6; "The quick " 10 letters: 3 tokens × 10; per million
            #expect(row["cost"]?.numberText == "0.00009", "\(row.text)")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `sound goes through as it comes, and is charged as whole when only the client leaves`()
        async throws
    {
        let sections = "routing: { timeouts: { connect: 2s, first_byte: 10s, idle: 300ms, total: 60s } }"
        try await World.with(channels: [Self.channels[0]], sections: sections, media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            // The vendor goes silent: what it had said before has arrived.
            let silent = try await send(world, Self.calls[2], controls: "stall_after=2")
            #expect(silent.status == 200 && silent.wasCut && silent.text.utf8.count == 2_000)
            _ = try await world.admin.post("/api/channel/1/enable", .object([]))
            var speech = Self.calls[2]
            speech.more.append(.init("sim_control", "chunks=60,pace=5ms"))
            let body = JSONValue.object([.init("model", .string(speech.model))] + speech.more).text
            _ = try await world.client.call(.post, "/v1/audio/speech", key: GatewayProcess.rootKey, body: body, leaveAfter: 1)
            let row = try #require(try await world.logRows(2).first)
            #expect(row["outcome"]?.stringValue == "client_gone" && row["usage_source"]?.stringValue == "upstream", "\(row.text)")
            #expect(row["cost"]?.numberText == Self.calls[2].cost)
        }
    }

    @Test(.timeLimit(.minutes(10))) func `strict admission holds each unit and charges the same`() async throws {
        let sections = "metering: { admission: strict, strict_fields: [sim_control] }"
        try await World.with(channels: [Self.channels[0]], sections: sections, media: true) { world in
            try await world.admin.addBalance(1, usd: "1")
            var left = try NanoUSD(usd: "1")
            // Where the vendor counts more than the request lets expect, strict admission charges the hold: not these. Nor one whose
            // length the vendor does not tell.
            for (index, call) in Self.calls.enumerated() where index != 4 && index != 5 && index != 9 {
                let answer = try await send(world, call, file: Self.wave(seconds: 20))
                #expect(answer.status == 200 && answer.text.contains(call.expected), "\(call.model): \(answer.text.prefix(300))")
                left = try left.subtracting(NanoUSD(usd: call.cost))
                #expect(try await balance(world) == left, "\(call.path) \(call.model)")
            }
            // The file is 20 s long; the vendor says 61.5.
            #expect(try await send(world, Self.calls[4], file: Self.wave(seconds: 20)).status == 200)
            #expect(try await balance(world) == (try left.subtracting(NanoUSD(usd: "0.002"))))
            // Its row is written a moment after the balance has heard of it.
            try await eventually("the row of the call") {
                let row = try await world.logRows(1).first
                return row?["cost"]?.numberText == "0.002" && row?["uncharged"]?.numberText == "0.00415"
            }
            // Sound of which nobody knows the length is refused.
            let unknown = try await send(world, Self.calls[3])
            #expect(unknown.status == 400 && unknown.text.contains("'file'") && unknown.text.contains("standard admission"))
        }
    }

    @Test(.timeLimit(.minutes(10))) func `the prices of the new units are set like all others`() async throws {
        try await World.with(channels: [Self.channels[0]], media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            let changes: [(Call, String, String, String)] = [
                // 10 characters × 0.00002
                (Self.calls[2], "pricing_character", "0.00002", "0.0002"),
                // 8.47 s × 0.00033333
                (Self.calls[3], "pricing_audio_second", "0.00033333", "0.002823305"),
            ]
            var left = try NanoUSD(usd: "10")
            for (call, field, price, cost) in changes {
                let row = try await world.admin.put(
                    "/api/models/pricing", .object([.init("model_name", .string(call.model)), .init(field, .number(price))]))
                #expect(row["data"]?[field]?.numberText == price, "\(row.text)")
                #expect(try await send(world, call).status == 200)
                left = try left.subtracting(NanoUSD(usd: cost))
                #expect(try await balance(world) == left, "\(field)")
            }
        }
    }

    @Test(.timeLimit(.minutes(10))) func `sound of many megabytes goes through without being kept`() async throws {
        try await World.with(channels: [Self.channels[0]], media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            _ = try await send(world, Self.calls[2])
            let before = try residentKilobytes(world)
            var speech = Self.calls[2]
            speech.more.append(.init("sim_control", "chunks=1200,chunk_bytes=65536"))
            let answer = try await send(world, speech)
            #expect(answer.status == 200 && !answer.wasCut && answer.headers[.contentType] == "audio/mpeg")
            #expect(answer.text.utf8.count >= 1_200 * 65_536)
            let grown = try residentKilobytes(world) - before
            #expect(grown < 40_000, "the gateway grew by \(grown) KB")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a client that does not read holds the vendor back`() async throws {
        try await World.with(channels: [Self.channels[0]], media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            let transport = try CurlTransport(configuration: .init())
            let bytes = 800 * 65_536
            var headers = HTTPFields()
            headers[.authorization] = "Bearer \(GatewayProcess.rootKey)"
            headers[.contentType] = "application/json"
            let body = ByteBuffer(string: #"{"model":"sim/voice","input":"hi","sim_control":"chunks=800,chunk_bytes=65536"}"#)
            let response = try await transport.send(
                UpstreamRequest(url: world.gateway.base + "/v1/audio/speech", headers: headers, body: body), options: TransportOptions(),
                cancellation: UpstreamCancellation())
            var count = try await response.body.next()?.readableBytes ?? 0
            // Others are served meanwhile; the vendor cannot have got rid of its 50 MB, because nobody has taken them.
            for _ in 0..<30 { #expect(try await send(world, Self.calls[7]).status == 200) }
            #expect(!world.simulator.record.rows().contains { $0.endpoint == "speech" })
            while let more = try await response.body.next() { count += more.readableBytes }
            #expect(count == bytes)
            await transport.shutdown()
            // 2 characters × 15 per million
            #expect(try await balance(world) == (try NanoUSD(usd: "9.99997")))
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a model that the channel renames is renamed inside the form`() async throws {
        try await World.with(channels: [Self.channels[0]], media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            let channels = World.channelsYAML([Self.channels[0]])
                .replacing("[\"*\"]", with: "[{ name: public/listen, upstream: sim/listen }, { name: public/rank, upstream: sim/rank }]")
            try world.write("config/channels.yaml", channels)
            let reload = try await world.admin.post("/api/config/reload", .object([]))
            #expect(reload["success"]?.boolValue == true, "\(reload.text)")
            var listen = Self.calls[3]
            listen.model = "public/listen"
            #expect(try await send(world, listen).text.contains(listen.expected))
            var rank = Self.calls[9]
            rank.model = "public/rank"
            #expect(try await send(world, rank).text.contains(rank.expected))
            #expect(world.simulator.record.rows().map(\.model) == ["sim/listen", "sim/rank"])
            // 0.000847 + 0.006
            #expect(try await balance(world) == (try NanoUSD(usd: "9.993153")))
        }
    }

    private func residentKilobytes(_ world: World) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(world.gateway.processID)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") }
        return Int(line?.filter(\.isNumber) ?? "") ?? 0
    }

    @Test(.timeLimit(.minutes(10))) func `a form is told what is wrong with it`() async throws {
        try await World.with(channels: [Self.channels[0]], sections: "", media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            let type = "multipart/form-data; boundary=\(Self.boundary)"
            let bad: [(body: String, type: String, words: String, param: String?)] = [
                (form(nil, []), type, "you must provide a model parameter", "model"),
                (form("sim/listen", [], file: nil), type, "you must provide a file to transcribe", "file"),
                (form("sim/listen", [.init("stream", "perhaps")]), type, "'stream' must be true or false", "stream"),
                (form("sim/listen", []), "application/json", "must be multipart/form-data", nil),
                (form("sim/listen", []), "multipart/form-data", "must name a boundary", nil),
                (String(form("sim/listen", []).dropLast(20)), type, "the last delimiter is missing", nil),
            ]
            for (body, type, words, param) in bad {
                let answer = try await world.client.call(
                    .post, "/v1/audio/transcriptions", key: GatewayProcess.rootKey, body: body, headers: [("Content-Type", type)])
                let error = try answer.json["error"]
                #expect(answer.status == 400 && error?["type"]?.stringValue == "invalid_request_error", "\(answer.text)")
                #expect(error?["message"]?.stringValue?.contains(words) == true, "\(answer.text)")
                #expect(error?["param"]?.stringValue == param)
            }
            // The default of server.max_body_bytes is 32 MB.
            let large = try await world.client.call(
                .post, "/v1/audio/transcriptions", key: GatewayProcess.rootKey,
                body: form("sim/listen", [], file: String(repeating: "x", count: 33_600_000)),
                headers: [("Content-Type", type)])
            #expect(large.status == 413, "\(large.text)")
            let noInput = try await world.client.call(
                .post, "/v1/audio/speech", key: GatewayProcess.rootKey, body: #"{"model":"sim/voice"}"#)
            #expect(noInput.status == 400 && noInput.text.contains("you must provide an input to speak"))
            #expect(world.simulator.record.count == 0)
            #expect(try await balance(world) == (try NanoUSD(usd: "10")))
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func `a vendor that ignores the wish for a stream still answers, and units beyond the balance are refused`() async throws {
        try await World.with(channels: [Self.channels[0]], media: true) { world in
            try await world.admin.addBalance(1, usd: "0.05")
            var listen = Self.calls[3]
            listen.more = [.init("stream", "true"), .init("sim_control", "no_stream")]
            let answer = try await send(world, listen)
            #expect(answer.status == 200 && answer.text.contains("The quick brown fox."), "\(answer.text)")
            // 0.08 USD for two pictures, 0.049153 are left
            let refused = try await send(world, Self.calls[0])
            #expect(refused.status == 402, "\(refused.text)")
            var one = Self.calls[0]
            one.more = [.init("prompt", "a cat")]
            #expect(try await send(world, one).status == 200)
            #expect(try await balance(world) == (try NanoUSD(usd: "0.009153")))
        }
    }
}
