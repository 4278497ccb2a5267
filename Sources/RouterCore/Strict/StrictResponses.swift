/// OpenAI's Responses: the whole input must be in the request, nothing may be stored with the vendor.
enum StrictResponses {
    static let body: [String: StrictShape] = StrictFields.merged(
        StrictFields.sampling, StrictFields.gateway,
        StrictFields.named(
            ["max_output_tokens", "max_tool_calls", "instructions", "parallel_tool_calls", "store", "truncation", "verbosity"], .scalar),
        StrictFields.named(["tool_choice", "text", "reasoning", "include", "client_metadata"], .free),
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
        StrictFields.merged(["id": .scalar, "status": .scalar], more)
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
            // Given only an id, the vendor looks up the reasoning that it has stored; what is in the request itself is counted.
            "reasoning": item(["id": .absent(.heldByVendor), "summary": .free, "content": .free, "encrypted_content": .text]),
        ], fallback: "message")
}
