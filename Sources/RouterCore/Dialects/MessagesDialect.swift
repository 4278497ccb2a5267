import NIOCore

/// Anthropic's Messages (https://docs.anthropic.com/en/api/messages).
public enum MessagesDialect: RequestDialect {
    static var outputBounds: OutputBounds { .maxTokens }
    static var strictShape: StrictRequestShape { StrictRequestShape(body: StrictMessages.body, named: StrictMessages.named) }

    static func extra(_ name: String, _ member: JSONMember, _ bytes: Span<UInt8>) -> CostlyField? {
        func text() -> String? { member.kind == .string ? JSONText.string(bytes, value: member.value) : nil }
        switch name {
        case "speed": return text() == "standard" ? nil : .unpriced("asks for a faster and dearer mode")
        case "inference_geo": return text() == "global" ? nil : .unpriced("asks for a region that costs extra")
        case "container": return .unpriced("asks for a container of the vendor's")
        default: return nil
        }
    }
}
