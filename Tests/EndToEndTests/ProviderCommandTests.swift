import Foundation
import RouterCore
import Simulator
import Testing

/// `apirouter provider explain` and `apirouter provider test`.
@Suite(.serialized) struct ProviderCommandTests {
    private func withWorld(_ body: (World) async throws -> Void) async throws {
        let world = try await World.make(start: false)
        do {
            try world.write(
                "providers/strange.yaml",
                """
                name: strange
                adaptor: openai
                base_url: http://127.0.0.1:\(world.simulator.port)/v1
                key_env: STRANGE_API_KEY
                headers: { X-Secret-Header: "${STRANGE_HEADER:-hidden-header}" }
                request:
                  rename: { max_completion_tokens: max_tokens }
                  drop: [logit_bias]
                  set: { safe: true }
                models:
                  - { id: odd-1, price: { input: "1", output: "2" } }

                """)
            try await body(world)
        } catch {
            try? await world.tearDown()
            throw error
        }
        try await world.tearDown()
    }

    @Test(.timeLimit(.minutes(10))) func `explain shows the exact upstream request and no secret`() async throws {
        try await withWorld { world in
            try world.write(
                "request.json",
                #"{"model":"odd-1","max_completion_tokens":9,"logit_bias":{"1":2},"temperature":0.10,"messages":[{"role":"user","content":"hi"}]}"#
            )
            let environment = ["STRANGE_API_KEY": "very-secret-key", "STRANGE_HEADER": "very-secret-header"]
            let chat = try await world.command(["provider", "explain", "strange", "--request", "request.json"], environment: environment)
            #expect(chat.status == 0 && chat.output.hasPrefix("POST http://127.0.0.1:\(world.simulator.port)/v1/chat/completions\n"))
            #expect(chat.output.contains(#""max_tokens":9"#) && chat.output.contains(#""temperature":0.10"#), "\(chat.output)")
            #expect(chat.output.contains(#""safe":true"#) && !chat.output.contains("logit_bias"))
            #expect(!chat.output.contains("very-secret") && chat.output.contains("Authorization: <redacted>"), "\(chat.output)")

            try world.write("messages.json", #"{"model":"odd-1","max_tokens":5,"system":"s","messages":[{"role":"user","content":"hi"}]}"#)
            let messages = try await world.command(
                ["provider", "explain", "strange", "--request", "messages.json", "--endpoint", "messages"], environment: environment)
            #expect(messages.status == 0 && messages.output.contains(#""role":"system""#), "\(messages.output)")

            try world.write("gemini.json", #"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":7}}"#)
            let gemini = try await world.command(
                ["provider", "explain", "strange", "--request", "gemini.json", "--endpoint", "gemini", "--stream"], environment: environment
            )
            #expect(
                gemini.status == 0 && gemini.output.contains(#""model":"odd-1""#) && gemini.output.contains(#""stream":true"#),
                "\(gemini.output)")

            let unknown = try await world.command(["provider", "explain", "nobody", "--request", "request.json"])
            #expect(unknown.status != 0 && unknown.output.contains("known: ") && unknown.output.contains("strange"), "\(unknown.output)")
            try world.write("broken.json", #"{"model":7}"#)
            let broken = try await world.command(["provider", "explain", "strange", "--request", "broken.json"])
            #expect(broken.status != 0 && broken.output.contains("is not one of chat"), "\(broken.output)")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `test tries the vendor and says what is wrong`() async throws {
        try await withWorld { world in
            let noKey = try await world.command(["provider", "test", "strange"])
            #expect(noKey.status != 0 && noKey.output.contains("set STRANGE_API_KEY"), "\(noKey.output)")
            let key = ["STRANGE_API_KEY": "k"]
            world.simulator.script.add(model: "no-such-model-strange", steps: ["status=404", "status=404"])
            let good = try await world.command(["provider", "test", "strange"], environment: key)
            #expect(good.status == 0 && good.output.split(separator: "\n").count == 5, "\(good.output)")
            world.simulator.script.add(model: "odd-1", steps: ["status=401"])
            let bad = try await world.command(["provider", "test", "strange"], environment: key)
            #expect(bad.status == 1 && bad.output.contains("FAILED  whole answer: credential_refused"), "\(bad.output)")
        }
    }
}
