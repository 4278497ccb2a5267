import Adaptors
import NIOCore
import RouterCore

/// The conversion of a coding agent's request for a vendor of another dialect: many long descriptions of tools, of which the client's
/// vendor would have read none. 70 KB, as Claude Code sends them.
extension HotPathBench {
    static let agents: [HotPathBench] = [
        HotPathBench(name: "convert an agent's request of 70 KB", calls: 20, counted: 2) {
            let spec = HotPathSamples.spec
            guard let provider = AdaptorRegistry.provider(for: spec) else {
                preconditionFailure("the family openai is always there")
            }
            let envelope = try RequestEnvelope(body: AgentSamples.request, endpoint: .messages)
            let call = UpstreamCall(
                envelope: envelope, channel: SharedChannel(HotPathSamples.channel(1)), key: Secret("k"), model: "fast",
                upstreamModel: "fast", quote: HotPathSamples.quote)
            return { try provider.request(for: call).body?.readableBytes ?? 0 }
        }
    ]
}

enum AgentSamples {
    static let request: ByteBuffer = {
        // A text as descriptions are: short lines, quotation marks, code.
        let text = #"Runs a \"command\" and returns what it prints.\nUse `rg` to search files, not `grep`.\n - one per call\n"#
        func long(_ bytes: Int) -> String { String(repeating: text, count: max(1, bytes / text.utf8.count)) }
        let tools = (0..<12).map { number in
            let properties = ["command", "description", "timeout"].map {
                #""\#($0)":{"type":"string","description":"\#(long(100))"}"#
            }
            return #"{"name":"Tool\#(number)","description":"\#(long(2_700))","input_schema":{"type":"object","properties":{"#
                + properties.joined(separator: ",") + #"},"required":["command"],"additionalProperties":false}}"#
        }
        return ByteBuffer(
            string: #"{"model":"fast","max_tokens":32000,"stream":true,"system":[{"type":"text","text":"\#(long(28_000))","#
                + #""cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"\#(long(2_000))"}]}],"#
                + #""tools":[\#(tools.joined(separator: ","))],"metadata":{"user_id":"u"},"#
                + #""context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}}"#)
    }()
}
