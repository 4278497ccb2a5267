/// The shapes of the requests that strict admission takes, one per endpoint.
///
/// Sources: https://platform.openai.com/docs/api-reference (chat, completions, responses, images, audio, moderations),
/// https://docs.anthropic.com/en/api/messages, https://ai.google.dev/api/generate-content, https://docs.cohere.com/reference/rerank,
/// https://openrouter.ai/docs/api-reference/parameters; settings of other vendors from their references, where all that they change is how
/// an answer is sampled.
enum StrictDialects {
    /// - Returns: the members of the body, and the shapes that they name.
    static func shape(_ endpoint: Endpoint) -> (body: [String: StrictShape], named: [String: StrictShape]) {
        switch endpoint {
        case .chat: (StrictChat.body, StrictChat.named)
        case .completions: (completions, [:])
        case .responses: (StrictResponses.body, [:])
        case .messages: (StrictMessages.body, StrictMessages.named)
        case .gemini: (StrictGemini.body, StrictGemini.named)
        case .embeddings: (embeddings, [:])
        case .images: (images, [:])
        case .speech: (speech, [:])
        case .moderations: (moderations, StrictChat.named)
        case .rerank: (rerank, [:])
        // Requests without a body of their own, and forms, which ``StrictBound`` reads itself.
        case .models, .transcriptions: ([:], [:])
        }
    }

    static func fields(_ names: [String], _ shape: StrictShape) -> [String: StrictShape] {
        Dictionary(uniqueKeysWithValues: names.map { ($0, shape) })
    }

    static func merged(_ parts: [String: StrictShape]...) -> [String: StrictShape] {
        parts.reduce(into: [:]) { $0.merge($1) { _, last in last } }
    }

    /// How an answer is sampled, and what the gateway reads itself.
    static let sampling = fields(
        [
            "temperature", "top_p", "top_k", "min_p", "top_a", "typical_p", "tfs_z", "frequency_penalty", "presence_penalty",
            "repetition_penalty", "length_penalty", "repetition_context_size", "seed", "random_seed", "logprobs", "top_logprobs",
            "logit_bias", "stop", "stop_token_ids", "include_stop_str_in_output", "ignore_eos", "min_tokens", "skip_special_tokens",
            "mirostat", "mirostat_eta", "mirostat_tau", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "grammar",
            "json_schema", "safe_prompt", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "cache_prompt", "do_sample",
        ], .free)

    static let gateway = merged(
        fields(["model", "stream", "service_tier", "session_id", "user", "max_tokens", "n"], .scalar),
        fields(["models", "provider", "metadata", "usage", "stream_options", "route", "transforms", "trace"], .free))

    private static let completions: [String: StrictShape] = merged(
        sampling, gateway, fields(["best_of", "echo", "suffix", "max_completion_tokens"], .scalar), ["prompt": .prompts])

    /// Text and tokens; pictures and mixed inputs of some vendors are not.
    private static let embeddings: [String: StrictShape] = merged(
        gateway,
        fields(
            ["encoding_format", "dimensions", "output_dimension", "input_type", "truncate", "task", "task_type", "title", "normalized"],
            .scalar),
        fields(["embedding_types"], .free), ["input": .prompts])

    private static let images: [String: StrictShape] = merged(
        gateway,
        fields(
            [
                "prompt", "size", "quality", "response_format", "style", "background", "moderation", "output_format",
                "output_compression", "partial_images", "seed", "negative_prompt",
            ], .scalar))

    private static let speech: [String: StrictShape] = merged(
        gateway, fields(["input", "instructions", "response_format", "speed", "stream_format", "language"], .scalar),
        ["voice": .free])

    private static let moderations: [String: StrictShape] = merged(gateway, ["input": .textOr(.textOr(.named("moderated")))])

    private static let rerank: [String: StrictShape] = merged(
        gateway,
        fields(
            ["query", "top_n", "return_documents", "max_chunks_per_doc", "max_tokens_per_doc", "overlap_tokens", "truncation"], .scalar),
        // Pictures among the documents are another unit.
        ["documents": .list(.textOr(.object(fields(["text", "title", "id", "content", "body", "snippet", "name"], .text))))])
}

/// OpenAI's chat, with what OpenRouter and other vendors of that dialect add.
enum StrictChat {
    static let body: [String: StrictShape] = StrictDialects.merged(
        StrictDialects.sampling, StrictDialects.gateway,
        StrictDialects.fields(
            [
                "max_completion_tokens", "reasoning_effort", "verbosity", "store", "parallel_tool_calls", "include_reasoning",
                "enable_thinking", "thinking_budget", "reasoning_split", "prompt_mode", "structured_outputs", "reasoning_format",
            ], .scalar),
        StrictDialects.fields(
            [
                "tool_choice", "functions", "function_call", "response_format", "reasoning", "thinking", "chat_template_kwargs",
            ],
            .free),
        [
            // Some servers put its members beside the others, so only what is known may stand in it.
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
        // What the model said earlier, by its id.
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
        // A list of texts, or of parts.
        "moderated": .typed(["text": ["text": .text], "image_url": picture], fallback: nil),
    ]
}

/// OpenAI's Responses: the whole input, nothing that lies with the vendor.
enum StrictResponses {
    static let body: [String: StrictShape] = StrictDialects.merged(
        StrictDialects.sampling, StrictDialects.gateway,
        StrictDialects.fields(
            ["max_output_tokens", "max_tool_calls", "instructions", "parallel_tool_calls", "store", "truncation", "verbosity"], .scalar),
        StrictDialects.fields(["tool_choice", "text", "reasoning", "include", "client_metadata"], .free),
        [
            "input": .textOr(item),
            "tools": .tools(
                [
                    "function": StrictTool(), "custom": StrictTool(), "local_shell": StrictTool(adds: StrictBound.tokensOfKnownTool),
                    "apply_patch": StrictTool(adds: StrictBound.tokensOfKnownTool),
                ], keyed: false),
            "previous_response_id": .absent(.heldByVendor), "conversation": .absent(.heldByVendor), "prompt": .absent(.heldByVendor),
            "background": .words([], .output), "context_management": .absent(.unknown),
        ])

    private static let output = StrictShape.textOr(part)

    private static let part = StrictShape.typed(
        [
            "input_text": ["text": .text], "output_text": ["text": .text, "annotations": .free, "logprobs": .free],
            "text": ["text": .text], "refusal": ["refusal": .text], "summary_text": ["text": .text], "reasoning_text": ["text": .text],
            "input_image": ["image_url": .imageLink(isObject: true), "detail": .scalar, "file_id": .absent(.heldByVendor)],
            "input_audio": ["input_audio": .audioInput],
            "input_file": [
                "filename": .scalar, "file_data": .textDataURL, "file_id": .absent(.heldByVendor), "file_url": .absent(.byReference),
            ],
        ], fallback: nil)

    private static func item(_ more: [String: StrictShape]) -> [String: StrictShape] {
        StrictDialects.merged(["id": .scalar, "status": .scalar], more)
    }

    private static let call = item([
        "call_id": .scalar, "name": .scalar, "namespace": .scalar, "arguments": .text, "input": .text, "action": .free, "operation": .free,
    ])
    private static let result = item(["call_id": .scalar, "output": output, "max_output_length": .scalar])

    private static let item = StrictShape.typed(
        [
            "message": item(["role": .scalar, "content": output, "phase": .scalar]),
            "function_call": call, "custom_tool_call": call, "local_shell_call": call, "shell_call": call, "apply_patch_call": call,
            "function_call_output": result, "custom_tool_call_output": result, "local_shell_call_output": result,
            "shell_call_output": item(["call_id": .scalar, "output": .free, "max_output_length": .scalar]),
            "apply_patch_call_output": result,
            // By its id alone the vendor looks up what it has kept of the thoughts; what stands here is counted.
            "reasoning": item(["id": .absent(.heldByVendor), "summary": .free, "content": .free, "encrypted_content": .text]),
        ], fallback: "message")
}
