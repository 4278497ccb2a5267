import RouterCore

/// ``Usage`` as each dialect tells it.
enum UsageShape {
    /// Chat: everything inside the prompt; `cost` is what we charge.
    static func chat(_ usage: Usage, _ quote: PriceQuote) -> JSONValue {
        var object = ObjectBuilder()
        object.add("prompt_tokens", .integer(usage.promptTokens))
        object.add("completion_tokens", .integer(usage.completionTokens))
        object.add("total_tokens", .integer(usage.promptTokens + usage.completionTokens))
        var prompt = ObjectBuilder()
        prompt.add("cached_tokens", .integer(usage.cacheRead))
        if usage.cacheWrite5m + usage.cacheWrite1h > 0 {
            prompt.add("cache_write_tokens", .integer(usage.cacheWrite5m + usage.cacheWrite1h))
        }
        if usage.audioInput > 0 { prompt.add("audio_tokens", .integer(usage.audioInput)) }
        object.add("prompt_tokens_details", prompt.value)
        object.add("completion_tokens_details", ["reasoning_tokens": .integer(usage.reasoning)])
        object.add("cost", quote.shownCharge(for: usage).map { .usd($0) })
        return object.value
    }

    /// Responses: the same under other names.
    static func responses(_ usage: Usage, _ quote: PriceQuote) -> JSONValue {
        var object = ObjectBuilder()
        object.add("input_tokens", .integer(usage.promptTokens))
        object.add(
            "input_tokens_details",
            [
                "cached_tokens": .integer(usage.cacheRead), "cache_write_tokens": .integer(usage.cacheWrite5m + usage.cacheWrite1h),
            ])
        object.add("output_tokens", .integer(usage.completionTokens))
        object.add("output_tokens_details", ["reasoning_tokens": .integer(usage.reasoning)])
        object.add("total_tokens", .integer(usage.promptTokens + usage.completionTokens))
        object.add("cost", quote.shownCharge(for: usage).map { .usd($0) })
        return object.value
    }

    /// Messages: cached tokens beside the input; no cost, which Anthropic's clients do not know.
    static func messages(_ usage: Usage?) -> JSONValue {
        let usage = usage ?? Usage()
        var object = ObjectBuilder()
        object.add("input_tokens", .integer(usage.uncachedInput + usage.audioInput))
        object.add("cache_creation_input_tokens", .integer(usage.cacheWrite5m + usage.cacheWrite1h))
        object.add("cache_read_input_tokens", .integer(usage.cacheRead))
        object.add("output_tokens", .integer(usage.completionTokens))
        return object.value
    }
}
