/// OpenAI's chat dialect, with the additions of OpenRouter and other vendors.
enum StrictChat {
    static let body: [String: StrictShape] = StrictFields.merged(
        StrictFields.sampling, StrictFields.gateway,
        StrictFields.named(
            [
                "max_completion_tokens", "reasoning_effort", "verbosity", "store", "parallel_tool_calls", "include_reasoning",
                "enable_thinking", "thinking_budget", "reasoning_split", "prompt_mode", "structured_outputs", "reasoning_format",
            ], .scalar),
        StrictFields.named(
            [
                "tool_choice", "functions", "function_call", "response_format", "reasoning", "thinking", "chat_template_kwargs",
            ],
            .free),
        [
            // Some servers merge its members into the top level, so only known members may appear in it.
            "extra_body": .object(["google": .object(["thinking_config": .free, "thought_signature": .text])]),
            "messages": .list(.object(message)),
            "tools": .tools(["function": StrictTool(), "custom": StrictTool(), "": StrictTool()], keyed: false),
            "modalities": .list(.words(["text", "audio"], .output)), "audio": .free,
            "plugins": .absent(.priced), "web_search_options": .absent(.vendorTool), "search_parameters": .absent(.vendorTool),
            "enable_search": .words([], .vendorTool), "prediction": .absent(.output),
        ])

    private static let message: [String: StrictShape] = [
        "role": .scalar, "name": .scalar, "tool_call_id": .scalar, "refusal": .text, "prefix": .scalar, "partial": .scalar,
        "content": .textOr(.named("part")), "tool_calls": .free, "function_call": .free, "reasoning": .free,
        "reasoning_content": .free, "reasoning_details": .free, "annotations": .free, "cache_control": .free,
        // An earlier spoken answer of the model, referred to by its id.
        "audio": .absent(.heldByVendor),
    ]

    private static let picture: [String: StrictShape] = [
        "image_url": .imageLink(isObject: true), "cache_control": .free, "detail": .scalar,
    ]

    static let named: [String: StrictShape] = [
        "part": .typed(
            [
                "text": ["text": .text, "cache_control": .free, "annotations": .free], "refusal": ["refusal": .text],
                "image_url": picture,
                "input_audio": ["input_audio": .audioInput, "cache_control": .free],
                "thinking": ["thinking": .free, "signature": .scalar, "closed": .scalar],
                "file": [
                    "file": .object([
                        "filename": .scalar, "file_data": .textDataURL, "file_id": .absent(.heldByVendor),
                        "file_url": .absent(.byReference),
                    ]), "cache_control": .free,
                ],
            ], fallback: nil),
        // A list of texts, or of content parts.
        "moderated": .typed(["text": ["text": .text], "image_url": picture], fallback: nil),
    ]
}
