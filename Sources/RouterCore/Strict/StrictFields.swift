/// Request fields that strict admission accepts, as far as operations and dialects share them.
///
/// Sources: https://platform.openai.com/docs/api-reference (chat, completions, responses, images, audio, moderations),
/// https://docs.anthropic.com/en/api/messages, https://ai.google.dev/api/generate-content, https://docs.cohere.com/reference/rerank,
/// https://openrouter.ai/docs/api-reference/parameters; other vendors' settings are from their references, if they only change how an
/// answer is sampled.
enum StrictFields {
    static func named(_ names: [String], _ shape: StrictShape) -> [String: StrictShape] {
        Dictionary(uniqueKeysWithValues: names.map { ($0, shape) })
    }

    static func merged(_ parts: [String: StrictShape]...) -> [String: StrictShape] {
        parts.reduce(into: [:]) { $0.merge($1) { _, last in last } }
    }

    /// Sampling settings, and the fields that the gateway reads itself.
    static let sampling = named(
        [
            "temperature", "top_p", "top_k", "min_p", "top_a", "typical_p", "tfs_z", "frequency_penalty", "presence_penalty",
            "repetition_penalty", "length_penalty", "repetition_context_size", "seed", "random_seed", "logprobs", "top_logprobs",
            "logit_bias", "stop", "stop_token_ids", "include_stop_str_in_output", "ignore_eos", "min_tokens", "skip_special_tokens",
            "mirostat", "mirostat_eta", "mirostat_tau", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "grammar",
            "json_schema", "safe_prompt", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "cache_prompt", "do_sample",
        ], .free)

    static let gateway = merged(
        named(["model", "stream", "service_tier", "session_id", "user", "max_tokens", "n"], .scalar),
        named(["models", "provider", "metadata", "usage", "stream_options", "route", "transforms", "trace"], .free))
}
