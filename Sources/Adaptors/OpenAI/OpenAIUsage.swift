import RouterCore

/// Reads the family's `usage` object into ``Usage``.
///
/// `prompt_tokens` contains cached, written and audio tokens, `completion_tokens` contains reasoning and audio tokens
/// (https://platform.openai.com/docs/api-reference/chat/object). OpenRouter adds `cost` in USD
/// (https://openrouter.ai/docs/use-cases/usage-accounting).
struct OpenAIUsage {
    let rules: UsageRules
    let dialect: OpenAIDialect

    /// - Parameters:
    ///   - usage: offset of the `usage` object.
    ///   - root: offset of the answer or chunk, for the paths of a provider file.
    /// - Returns: nil when the figures are absent or cannot be true.
    func read(_ bytes: Span<UInt8>, usage: Int, root: Int) -> Usage? {
        var figures = Figures()
        guard var cursor = try? JSONObjectCursor(bytes, at: usage) else { return nil }
        while let member = try? cursor.next(bytes) { collect(member, bytes, &figures) }
        if let path = rules.cachedTokens { figures.cached = count(path, root, bytes) ?? figures.cached }
        if let path = rules.cacheWriteTokens { figures.cacheWrite = count(path, root, bytes) ?? figures.cacheWrite }
        if let path = rules.reasoningTokens { figures.reasoning = count(path, root, bytes) ?? figures.reasoning }
        return figures.usage(cachedInside: rules.cachedInsidePrompt ?? true, dialect: dialect)
    }

    private struct Figures {
        var prompt: Int64?
        var completion: Int64?
        var total: Int64?
        var cached: Int64 = 0
        var cacheWrite: Int64 = 0
        var audioInput: Int64 = 0
        var reasoning: Int64 = 0
        var audioOutput: Int64 = 0
        var searches: Int64 = 0
        var cost: FemtoUSD?
        var upstreamCost: FemtoUSD?
        var isBYOK = false

        func usage(cachedInside: Bool, dialect: OpenAIDialect) -> Usage? {
            let all = [prompt, completion, total, cached, cacheWrite, audioInput, reasoning, audioOutput, searches]
            // A thousand million tokens are no answer but a fault.
            guard all.allSatisfy({ ($0 ?? 0) >= 0 && ($0 ?? 0) <= 1_000_000_000 }) else { return nil }
            guard let input = prompt ?? total else { return completion.map { Usage(output: $0) } }
            let output = completion ?? 0
            var usage = Usage()
            let special = cachedInside ? cached + cacheWrite + audioInput : audioInput
            if special <= input {
                usage.uncachedInput = input - special
                usage.cacheRead = cached
                usage.cacheWrite5m = cacheWrite
                usage.audioInput = audioInput
            } else {
                // Parts that are more than the whole: the whole is believed, the parts are not.
                usage.uncachedInput = input
            }
            usage.audioOutput = min(audioOutput, output)
            usage.output = output - usage.audioOutput
            usage.reasoning = min(reasoning, usage.output)
            usage.searches = searches
            if dialect.reportsCost, let cost {
                // With the account's own vendor key (BYOK) `cost` is OpenRouter's fee only.
                let extra = isBYOK ? upstreamCost?.femtos ?? 0 : 0
                let (sum, overflowed) = cost.femtos.addingReportingOverflow(extra)
                usage.upstreamCost = overflowed ? nil : FemtoUSD(femtos: sum)
            }
            return usage
        }
    }

    private func collect(_ member: JSONMember, _ bytes: Span<UInt8>, _ figures: inout Figures) {
        let value = member.value
        if JSONText.isKey(member, "prompt_tokens", bytes) {
            figures.prompt = JSONText.integer(bytes, value) ?? figures.prompt
        } else if JSONText.isKey(member, "completion_tokens", bytes) {
            figures.completion = JSONText.integer(bytes, value) ?? figures.completion
        } else if JSONText.isKey(member, "total_tokens", bytes) {
            figures.total = JSONText.integer(bytes, value)
        } else if JSONText.isKey(member, "prompt_tokens_details", bytes), member.kind == .object {
            figures.cached = inner("cached_tokens", value, bytes)
            figures.cacheWrite = inner("cache_write_tokens", value, bytes)
            figures.audioInput = inner("audio_tokens", value, bytes)
        } else if JSONText.isKey(member, "completion_tokens_details", bytes), member.kind == .object {
            figures.reasoning = inner("reasoning_tokens", value, bytes)
            figures.audioOutput = inner("audio_tokens", value, bytes)
        } else if JSONText.isKey(member, "cost", bytes) {
            figures.cost = money(member, bytes)
        } else if JSONText.isKey(member, "is_byok", bytes) {
            figures.isBYOK = JSONScanner.equals(bytes, value, "true")
        } else if JSONText.isKey(member, "cost_details", bytes), member.kind == .object {
            figures.upstreamCost = JSONPath.member("upstream_inference_cost", of: value.lowerBound, bytes)
                .flatMap { money($0, bytes) }
        } else if member.kind == .object,
            JSONText.isKey(member, "server_tool_use_details", bytes) || JSONText.isKey(member, "server_tool_use", bytes)
        {
            figures.searches = max(figures.searches, inner("web_search_requests", value, bytes))
        }
    }

    private func inner(_ name: StaticString, _ object: Range<Int>, _ bytes: Span<UInt8>) -> Int64 {
        JSONPath.member(name, of: object.lowerBound, bytes).flatMap { JSONText.integer(bytes, $0.value) } ?? 0
    }

    private func count(_ path: String, _ root: Int, _ bytes: Span<UInt8>) -> Int64? {
        JSONPath.member(path: path, of: root, bytes).flatMap { JSONText.integer(bytes, $0.value) }
    }

    /// A number or a string with a number; null, negative and nonsense count as absent.
    private func money(_ member: JSONMember, _ bytes: Span<UInt8>) -> FemtoUSD? {
        let text: String
        switch member.kind {
        case .number: text = JSONText.raw(bytes, member.value)
        case .string: text = JSONText.string(bytes, value: member.value)
        default: return nil
        }
        return try? FemtoUSD.parse(usdPerUnit: text).price
    }
}
