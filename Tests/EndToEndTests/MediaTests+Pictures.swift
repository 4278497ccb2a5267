import Foundation
import HTTPTypes
import RouterCore
import Simulator
import Testing

/// Pictures by size and quality, pictures that are edited, and translations of sound.
extension MediaTests {
    static let editControls: JSONValue = "tokens,prompt_tokens=5,image_tokens=3"

    static func sized(_ cost: String, size: String? = nil, quality: String? = nil) -> Call {
        let more = [("size", size), ("quality", quality)].compactMap { name, text in text.map { JSONValue.Member(name, .string($0)) } }
        return Call(
            path: "images/generations", model: "sim/image-sizes", more: [.init("prompt", "a cat")] + more, expected: "picture-0.png",
            cost: cost)
    }

    /// Pictures by size and quality, edited pictures, and translations.
    static let more: [Call] = [
        // By size and quality: each alone, both, the vendor's default, and what the row does not know at its dearest.
        sized("0.08", size: "1792x1024"), sized("0.08", quality: "hd"), sized("0.12", size: "1792x1024", quality: "hd"), sized("0.04"),
        sized("0.08", size: "1024x1024", quality: "hd"), sized("0.12", size: "4096x4096"), sized("0.12", size: "auto", quality: "hd"),
        // 2 × 0.04
        Call(
            path: "images/edits", model: "sim/image", more: [.init("prompt", "a hat"), .init("n", "2")], isForm: true,
            expected: "picture-1.png", cost: "0.08", file: "image"),
        Call(
            path: "images/edits", model: "sim/image-sizes",
            more: [.init("prompt", "a hat"), .init("size", "1792x1024"), .init("quality", "hd")], isForm: true,
            expected: "picture-0.png", cost: "0.12", file: "image[]"),
        // 5 prompt tokens, 3 of them the picture's: 2 × 5 + 3 × 10 + 10 × 40 per million
        Call(
            path: "images/edits", model: "sim/edit-tokens", more: [.init("prompt", "a hat"), .init("sim_control", editControls)],
            isForm: true, expected: "\"cost\":0.00044", cost: "0.00044", file: "image"),
        Call(
            path: "images/edits", model: "sim/edit-tokens",
            more: [
                .init("prompt", "a hat"), .init("sim_control", editControls), .init("stream", "true"), .init("partial_images", "1"),
            ], isForm: true, expected: "image_edit.completed", cost: "0.00044", file: "image"),
        Call(path: "audio/translations", model: "sim/listen", isForm: true, expected: "The quick brown fox.", cost: "0.000847"),
    ]

    @Test(.timeLimit(.minutes(10))) func `pictures of each size, edited pictures and translations are charged as the vendor bills`()
        async throws
    {
        let sections = "routing: { cooldown: { base: 1ms, max: 2ms } }"
        try await World.with(channels: Self.channels, sections: sections, media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            var left = try NanoUSD(usd: "10")
            for prefix in ["/v1", "/api/v1"] {
                for call in Self.more {
                    _ = try await world.admin.post("/api/channel/1/enable", .object([]))
                    // The first channel is passed over: the form is sent twice, whole each time.
                    world.simulator.script.add(key: "first-key", steps: ["status=503"])
                    let answer = try await send(world, call, prefix: prefix)
                    #expect(answer.status == 200 && answer.text.contains(call.expected), "\(call.path): \(answer.text.prefix(300))")
                    left = try left.subtracting(NanoUSD(usd: call.cost))
                    #expect(try await balance(world) == left, "\(call.path) \(call.model) \(call.more)")
                }
            }
            // The simulator's bill, at the prices of its file.
            var billed = NanoUSD.zero
            for row in world.simulator.record.rows() where row.outcome == "completed" { billed = try billed.adding(Self.bill(row)) }
            #expect(try NanoUSD(usd: "10").subtracting(billed) == left)
            let rows = try await world.logRows(Self.more.count * 2)
            let edits = rows.filter { $0["model_name"]?.stringValue == "sim/edit-tokens" }
            #expect(
                edits.count == 4
                    && edits.allSatisfy { $0["image_input_tokens"]?.integerValue == 3 && $0["prompt_tokens"]?.integerValue == 5 })
            #expect(rows.allSatisfy { $0["usage_source"]?.stringValue == "upstream" })
            try await world.gateway.stop()
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        }
    }

    /// The price of a billed request in nano-dollars, by hand.
    private static func bill(_ row: BillingRow) -> NanoUSD {
        switch row.model {
        case "sim/image": NanoUSD(nanos: row.images * 40_000_000)
        case "sim/listen": NanoUSD(nanos: row.audioMilliseconds * 100)
        case "sim/edit-tokens":
            NanoUSD(nanos: (row.promptTokens - row.imageTokens) * 5_000 + row.imageTokens * 10_000 + row.completionTokens * 40_000)
        default:
            switch (row.size, row.quality) {
            case (nil, nil): NanoUSD(nanos: row.images * 40_000_000)
            case ("1792x1024", nil), (nil, "hd"), ("1024x1024", "hd"): NanoUSD(nanos: row.images * 80_000_000)
            default: NanoUSD(nanos: row.images * 120_000_000)
            }
        }
    }

    @Test(.timeLimit(.minutes(10))) func `strict admission holds pictures by size, and refuses to edit where tokens are charged`()
        async throws
    {
        let sections = "metering: { admission: strict, strict_fields: [sim_control] }"
        try await World.with(channels: [Self.channels[0]], sections: sections, media: true) { world in
            try await world.admin.addBalance(1, usd: "3")
            var left = try NanoUSD(usd: "3")
            for call in Self.more {
                let answer = try await send(world, call, file: Self.wave(seconds: 20))
                if call.model == "sim/edit-tokens" {
                    #expect(answer.status == 400 && answer.text.contains("tokens of a voice or of pictures"), "\(answer.text)")
                    continue
                }
                #expect(answer.status == 200, "\(call.path): \(answer.text.prefix(300))")
                left = try left.subtracting(NanoUSD(usd: call.cost))
                #expect(try await balance(world) == left, "\(call.path) \(call.model) \(call.more)")
            }
        }
    }

    @Test(.timeLimit(.minutes(10))) func `prices by size and of edited pictures are set over the API`() async throws {
        try await World.with(channels: [Self.channels[0]], media: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            let wrong = try await world.client.call(
                .put, "/api/models/pricing", key: GatewayProcess.rootToken,
                body: #"{"model_name":"sim/image-sizes","image_sizes":[{"price":1}]}"#)
            #expect(wrong.status == 400 && wrong.text.contains("'image_sizes' must be a list"), "\(wrong.text)")
            let set = try await world.admin.put(
                "/api/models/pricing",
                [
                    "model_name": "sim/image-sizes", "pricing_image": .number("0.01"),
                    "image_sizes": [["size": "1792x1024", "price": .number("0.025")]],
                ])
            #expect(set["data"]?["image_sizes"]?.text == #"[{"size":"1792x1024","quality":null,"price":"0.025"}]"#, "\(set.text)")
            let edit = try await world.admin.put(
                "/api/models/pricing", ["model_name": "sim/edit-tokens", "pricing_image_input": .number("0.00002")])
            #expect(edit["data"]?["pricing_image_input"]?.numberText == "0.00002", "\(edit.text)")
            var left = try NanoUSD(usd: "10")
            // 2 × 5 + 3 × 20 + 10 × 40 per million
            for (index, cost) in [(0, "0.025"), (3, "0.01"), (9, "0.00047")] {
                let answer = try await send(world, Self.more[index])
                #expect(answer.status == 200, "\(answer.text.prefix(300))")
                left = try left.subtracting(NanoUSD(usd: cost))
                #expect(try await balance(world) == left, "\(index)")
            }
        }
    }
}
