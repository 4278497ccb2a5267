/// Anthropic's Messages.
enum StrictMessages {
    static let body: [String: StrictShape] = StrictFields.merged(
        StrictFields.gateway, StrictFields.named(["temperature", "top_p", "top_k"], .scalar),
        StrictFields.named(
            ["stop_sequences", "tool_choice", "thinking", "output_config", "output_format", "cache_control", "context_management"], .free),
        [
            "system": .textOr(.named("text")), "messages": .list(.object(["role": .scalar, "content": .textOr(.named("block"))])),
            "tools": .tools(tools, keyed: false),
            "container": .absent(.heldByVendor), "mcp_servers": .absent(.vendorTool), "speed": .words(["standard"], .priced),
            "inference_geo": .words(["global"], .priced),
        ])

    /// Tools that the client runs; those with a date in their name have a schema that the vendor adds.
    private static let tools: [String: StrictTool] = {
        let added = StrictTool(adds: StrictBound.tokensOfKnownTool)
        return ["": StrictTool(), "custom": StrictTool(), "bash_": added, "text_editor_": added, "computer_": added, "memory_": added]
    }()

    private static func block(_ more: [String: StrictShape]) -> [String: StrictShape] {
        StrictFields.merged(["cache_control": .free], more)
    }

    private static let text = block(["text": .text, "citations": .free])

    private static let image = block([
        "source": .typed(
            [
                "base64": ["media_type": .words(["image/jpeg", "image/png", "image/gif", "image/webp"], .data), "data": .imageData],
                "url": ["url": .imageLink(isObject: false)],
            ], fallback: nil)
    ])

    private static let document = block([
        "title": .scalar, "context": .scalar, "citations": .free,
        "source": .typed(
            [
                "text": ["media_type": .words(["text/plain"], .data), "data": .text],
                "content": ["content": .textOr(.named("content"))],
                "base64": ["media_type": .words([], .data), "data": .absent(.data)],
                "url": ["url": .absent(.byReference)], "file": ["file_id": .absent(.heldByVendor)],
            ], fallback: nil),
    ])

    /// The content of a block, without tool calls.
    private static let inner: [String: [String: StrictShape]] = [
        "text": text, "image": image, "document": document,
        "search_result": block(["source": .scalar, "title": .scalar, "content": .list(.named("text")), "citations": .free]),
    ]

    static let named: [String: StrictShape] = [
        "text": .typed(["text": text], fallback: nil),
        "content": .typed(inner, fallback: nil),
        "block": .typed(
            inner.merging(
                [
                    "tool_use": block(["id": .scalar, "name": .scalar, "input": .free, "caller": .free]),
                    "tool_result": block(["tool_use_id": .scalar, "is_error": .scalar, "content": .textOr(.named("content"))]),
                    "thinking": block(["thinking": .text, "signature": .text]), "redacted_thinking": block(["data": .text]),
                ]) { first, _ in first }, fallback: nil),
    ]
}
