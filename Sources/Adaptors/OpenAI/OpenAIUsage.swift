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
        if let path = rules.cachedTokens { override(&figures.cached, path: path, root: root, bytes) }
        if let path = rules.cacheWriteTokens { override(&figures.cacheWrite, path: path, root: root, bytes) }
        if let path = rules.reasoningTokens { override(&figures.reasoning, path: path, root: root, bytes) }
        if rules.reasoningInsideCompletion == false, let completion = figures.completion.value, let reasoning = figures.reasoning.value {
            figures.completion = .count(completion + reasoning)
        }
        return figures.usage(cachedInside: rules.cachedInsidePrompt ?? true, dialect: dialect)
    }

    /// One count of a vendor.
    private enum Figure {
        /// Absent or null.
        case none
        case count(Int64)
        /// Negative, broken or beyond a thousand million: no answer has that, so the whole usage is not believed.
        case absurd

        init(_ member: JSONMember?, _ bytes: Span<UInt8>) {
            guard let member, member.kind != .null else {
                self = .none
                return
            }
            guard member.kind == .number, let value = JSONText.integer(bytes, member.value),
                (0...1_000_000_000).contains(value)
            else {
                self = .absurd
                return
            }
            self = .count(value)
        }

        var value: Int64? { if case .count(let value) = self { value } else { nil } }
        var isAbsurd: Bool { if case .absurd = self { true } else { false } }
    }

    private struct Figures {
        var prompt = Figure.none
        var completion = Figure.none
        var total = Figure.none
        var cached = Figure.none
        var cacheWrite = Figure.none
        var audioInput = Figure.none
        var reasoning = Figure.none
        var audioOutput = Figure.none
        var searches = Figure.none
        var cost: FemtoUSD?
        var inferenceCost: FemtoUSD?
        var isBYOK = false

        func usage(cachedInside: Bool, dialect: OpenAIDialect) -> Usage? {
            let all = [prompt, completion, total, cached, cacheWrite, audioInput, reasoning, audioOutput, searches]
            guard !all.contains(where: \.isAbsurd) else { return nil }
            guard prompt.value != nil || completion.value != nil || total.value != nil else { return nil }
            let output = completion.value ?? 0
            // Some vendors tell only the total, for embeddings above all.
            let input = prompt.value ?? max(0, (total.value ?? output) - output)
            var usage = Usage()
            // Parts that do not fit into the whole are not believed, so that the sum stays what the vendor calls the prompt.
            var left = input
            func part(_ figure: Figure) -> Int64 {
                guard let value = figure.value, value <= left else { return 0 }
                left -= value
                return value
            }
            usage.cacheRead = cachedInside ? part(cached) : cached.value ?? 0
            usage.cacheWrite5m = cachedInside ? part(cacheWrite) : cacheWrite.value ?? 0
            usage.audioInput = part(audioInput)
            usage.uncachedInput = left
            usage.audioOutput = min(audioOutput.value ?? 0, output)
            usage.output = output - usage.audioOutput
            usage.reasoning = min(reasoning.value ?? 0, usage.output)
            usage.searches = searches.value ?? 0
            if dialect.reportsCost { usage.upstreamCost = reportedCost }
            return usage
        }

        /// With the account's own vendor key (BYOK) `cost` is OpenRouter's fee only, and `upstream_inference_cost` is what that
        /// vendor takes (https://openrouter.ai/docs/use-cases/usage-accounting).
        private var reportedCost: FemtoUSD? {
            guard let cost, isBYOK, let inferenceCost else { return cost }
            let (sum, overflowed) = cost.femtos.addingReportingOverflow(inferenceCost.femtos)
            return overflowed ? nil : FemtoUSD(femtos: sum)
        }
    }

    private func collect(_ member: JSONMember, _ bytes: Span<UInt8>, _ figures: inout Figures) {
        if JSONText.isKey(member, "prompt_tokens", bytes) {
            figures.prompt = Figure(member, bytes)
        } else if JSONText.isKey(member, "completion_tokens", bytes) {
            figures.completion = Figure(member, bytes)
        } else if JSONText.isKey(member, "total_tokens", bytes) {
            figures.total = Figure(member, bytes)
        } else if JSONText.isKey(member, "cost", bytes) {
            figures.cost = money(member, bytes)
        } else if JSONText.isKey(member, "is_byok", bytes) {
            figures.isBYOK = JSONScanner.equals(bytes, member.value, "true")
        } else if member.kind == .object {
            collectInside(member, bytes, &figures)
        }
    }

    private func collectInside(_ member: JSONMember, _ bytes: Span<UInt8>, _ figures: inout Figures) {
        if JSONText.isKey(member, "prompt_tokens_details", bytes) {
            figures.cached = inner("cached_tokens", member, bytes)
            figures.cacheWrite = inner("cache_write_tokens", member, bytes)
            figures.audioInput = inner("audio_tokens", member, bytes)
        } else if JSONText.isKey(member, "completion_tokens_details", bytes) {
            figures.reasoning = inner("reasoning_tokens", member, bytes)
            figures.audioOutput = inner("audio_tokens", member, bytes)
        } else if JSONText.isKey(member, "cost_details", bytes) {
            figures.inferenceCost = JSONPath.member("upstream_inference_cost", of: member.value.lowerBound, bytes)
                .flatMap { money($0, bytes) }
        } else if JSONText.isKey(member, "server_tool_use_details", bytes)
            || JSONText.isKey(member, "server_tool_use", bytes)
        {
            // The reference says `…_details`, the guide does not; both at once say the same.
            if figures.searches.value == nil { figures.searches = inner("web_search_requests", member, bytes) }
        }
    }

    private func inner(_ name: StaticString, _ object: JSONMember, _ bytes: Span<UInt8>) -> Figure {
        Figure(JSONPath.member(name, of: object.value.lowerBound, bytes), bytes)
    }

    private func override(_ figure: inout Figure, path: String, root: Int, _ bytes: Span<UInt8>) {
        let found = Figure(JSONPath.member(path: path, of: root, bytes), bytes)
        if found.isAbsurd || found.value != nil { figure = found }
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
