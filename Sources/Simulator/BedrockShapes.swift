import NIOCore
import RouterCore

/// Amazon Bedrock's Converse (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html), its stream in the
/// frames of `application/vnd.amazon.eventstream` (https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html).
extension SimulatedFamily {
    /// `/bedrock/model/NAME/converse` and `converse-stream`; the name is one percent-encoded segment.
    static func bedrock(_ path: String) -> (family: SimulatedFamily, model: String?, isStream: Bool)? {
        let parts = path.split(separator: "/")
        guard parts.count == 4, parts[0] == "bedrock", parts[1] == "model" else { return nil }
        switch parts[3] {
        case "converse": return (.bedrock, decoded(parts[2]), false)
        case "converse-stream": return (.bedrock, decoded(parts[2]), true)
        default: return nil
        }
    }

    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension FamilyShapes {
    /// Cached tokens are reported beside the input tokens.
    func bedrockUsage(_ visible: Int64) -> JSONValue {
        let completion = visible + controls.thinkTokens
        let input = answer.promptTokens - cached - written
        return [
            "inputTokens": .integer(input), "outputTokens": .integer(completion), "totalTokens": .integer(answer.promptTokens + completion),
            "cacheReadInputTokens": .integer(cached), "cacheWriteInputTokens": .integer(written),
        ]
    }

    private var stopReason: String { tool != nil ? "tool_use" : isCut ? "max_tokens" : "end_turn" }

    func bedrockWhole() -> JSONValue {
        var content: [JSONValue] = []
        if !answer.reasoning.isEmpty {
            content.append([
                "reasoningContent": ["reasoningText": ["text": .string(answer.reasoning.joined()), "signature": "c2lnbmF0dXJl"]]
            ])
        }
        if let tool {
            content.append(["toolUse": ["toolUseId": .string("tooluse_\(id)"), "name": .string(tool), "input": arguments]])
        } else {
            content.append(["text": .string(answer.text)])
        }
        return [
            "output": ["message": ["role": "assistant", "content": .array(content)]], "stopReason": .string(stopReason),
            "usage": bedrockUsage(completionTokens), "metrics": ["latencyMs": .integer(1)],
        ]
    }

    func bedrockEvents() -> (head: [ByteBuffer], pieces: [ByteBuffer], tail: [ByteBuffer]) {
        var head = [Self.frame("messageStart", ["role": "assistant"])]
        let block: Int64 = answer.reasoning.isEmpty ? 0 : 1
        func delta(_ block: Int64, _ delta: JSONValue) -> ByteBuffer {
            Self.frame("contentBlockDelta", ["contentBlockIndex": .integer(block), "delta": delta])
        }
        var pieces = answer.reasoning.map { delta(0, ["reasoningContent": ["text": .string($0)]]) }
        if var last = pieces.popLast() {
            last.writeImmutableBuffer(delta(0, ["reasoningContent": ["signature": "c2lnbmF0dXJl"]]))
            last.writeImmutableBuffer(Self.frame("contentBlockStop", ["contentBlockIndex": .integer(0)]))
            pieces.append(last)
        }
        if let tool {
            let start = Self.frame(
                "contentBlockStart",
                [
                    "contentBlockIndex": .integer(block),
                    "start": ["toolUse": ["toolUseId": .string("tooluse_\(id)"), "name": .string(tool)]],
                ])
            // A block begins when the one before it has ended.
            if var last = pieces.popLast() {
                last.writeImmutableBuffer(start)
                pieces.append(last)
            } else {
                head.append(start)
            }
            pieces += answer.pieces.map { delta(block, ["toolUse": ["input": .string($0)]]) }
        } else {
            pieces += answer.pieces.map { delta(block, ["text": .string($0)]) }
        }
        let usage: JSONValue = controls.has("no_usage") ? [:] : ["usage": bedrockUsage(completionTokens)]
        let tail = [
            Self.frame("contentBlockStop", ["contentBlockIndex": .integer(block)]),
            Self.frame("messageStop", ["stopReason": .string(stopReason)]), Self.frame("metadata", usage),
        ]
        return (head, pieces, tail)
    }

    /// A frame: lengths and their checksum, headers, payload, and a checksum of the whole.
    private static func frame(_ type: String, _ json: JSONValue) -> ByteBuffer {
        var headers = ByteBuffer()
        for (name, value) in [(":event-type", type), (":content-type", "application/json"), (":message-type", "event")] {
            headers.writeInteger(UInt8(name.utf8.count))
            headers.writeString(name)
            headers.writeInteger(UInt8(7))
            headers.writeInteger(UInt16(value.utf8.count))
            headers.writeString(value)
        }
        let payload = json.text
        var out = ByteBuffer()
        out.writeInteger(UInt32(16 + headers.readableBytes + payload.utf8.count))
        out.writeInteger(UInt32(headers.readableBytes))
        out.writeInteger(checksum(out))
        out.writeImmutableBuffer(headers)
        out.writeString(payload)
        out.writeInteger(checksum(out))
        return out
    }

    /// CRC-32 of IEEE 802.3, bit by bit.
    private static func checksum(_ bytes: ByteBuffer) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in bytes.readableBytesView {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0xEDB8_8320 }
        }
        return ~crc
    }
}
