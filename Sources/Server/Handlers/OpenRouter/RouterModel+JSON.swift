import RouterCore

/// OpenRouter's format (https://openrouter.ai/docs/api-reference/list-available-models). Unknown values are null, or left out where its
/// SDKs do not take null.
extension RouterModel {
    var json: JSONValue {
        .object([
            .init("id", .string(id)), .init("canonical_slug", .string(facts.canonicalSlug ?? id)),
            .init("hugging_face_id", .optional(facts.huggingFaceID)), .init("name", .string(displayName)),
            .init("created", .integer(created)), .init("description", .string(description)),
            .init("context_length", .integer(hosts[0].contextLength)), .init("architecture", architecture),
            .init("pricing", pricing(hosts[0].price)),
            .init(
                "top_provider",
                [
                    "context_length": .integer(hosts[0].contextLength), "max_completion_tokens": .integer(hosts[0].maxOutputTokens),
                    "is_moderated": .boolean(facts.isModerated ?? false),
                ]),
            .init("per_request_limits", .null), .init("supported_parameters", parameters),
            .init("default_parameters", facts.defaultParameters.isEmpty ? .null : .object(facts.defaultParameters)),
            .init("supported_voices", .null), .init("knowledge_cutoff", .optional(facts.knowledgeCutoff)),
            .init("expiration_date", .optional(facts.expirationDate)),
            .init("links", ["details": .string("/api/v1/models/\(id)/endpoints")]),
        ])
    }

    /// https://openrouter.ai/docs/api-reference/list-endpoints-for-a-model. Nothing is measured per model and provider, so there are no
    /// figures of speed and uptime.
    var endpoints: JSONValue {
        .object([
            .init("id", .string(id)), .init("name", .string(displayName)), .init("created", .integer(created)),
            .init("description", .string(description)), .init("architecture", architecture),
            .init("endpoints", .array(hosts.map(endpoint))),
        ])
    }

    private func endpoint(_ host: Host) -> JSONValue {
        let choosesTools: JSONValue = .boolean(facts.supportedParameters.contains("tool_choice"))
        return .object([
            .init("name", .string("\(host.name) | \(id)")), .init("model_id", .string(id)), .init("model_name", .string(displayName)),
            .init("provider_name", .string(host.name)), .init("tag", .string(host.tag)),
            // The SDKs take no null here; no model has a context of nothing.
            .init("context_length", .integer(host.contextLength ?? 0)), .init("max_completion_tokens", .integer(host.maxOutputTokens)),
            .init("max_prompt_tokens", .null), .init("pricing", pricing(host.price)), .init("quantization", .null),
            .init("service_tier", .null), .init("supported_parameters", parameters), .init("native_tools", .object([])),
            .init(
                "supports_tool_choice",
                ["auto": choosesTools, "function": choosesTools, "none": choosesTools, "required": choosesTools]),
            .init("supports_implicit_caching", false), .init("supports_diarization", false), .init("status", .null),
            .init("uptime_last_5m", .null), .init("uptime_last_30m", .null), .init("uptime_last_1d", .null),
            .init("latency_last_30m", .null), .init("throughput_last_30m", .null),
        ])
    }

    private var parameters: JSONValue { .array(facts.supportedParameters.map { .string($0) }) }

    private var architecture: JSONValue {
        func texts(_ list: [String]) -> JSONValue { .array(list.map { .string($0) }) }
        let told = takes.isEmpty || gives.isEmpty ? nil : "\(takes.joined(separator: "+"))->\(gives.joined(separator: "+"))"
        return [
            "modality": .optional(facts.modality ?? told), "input_modalities": texts(takes), "output_modalities": texts(gives),
            "tokenizer": .optional(facts.tokenizer), "instruct_type": .optional(facts.instructType),
        ]
    }

    // MARK: Prices

    /// Exact text in USD per unit. A model that is charged by its vendor's reported cost has OpenRouter's sentinel -1.
    func pricing(_ price: ModelPrice) -> JSONValue {
        guard price.basis == .metered else { return ["prompt": "-1", "completion": "-1"] }
        func text(_ amount: FemtoUSD) -> JSONValue { .string(amount.usdText) }
        // `image` is a picture in the prompt; a model that draws is charged for pictures in the answer.
        let image = gives.contains("image") ? "image_output" : "image"
        var members = Self.rates(price.rates)
        members += [
            .init("request", text(price.request)), .init(image, text(price.image)), .init("web_search", text(price.search)),
        ]
        if let input = price.pictures?.input { members.append(.init("image_token", text(input))) }
        if !price.tiers.isEmpty {
            members.append(.init("overrides", .array(price.tiers.map { Self.override($0, of: price.rates) })))
        }
        return .object(members)
    }

    private static let optional: [(name: String, path: any KeyPath<ModelPrice.Rates, FemtoUSD?> & Sendable)] = [
        ("input_cache_read", \.cacheRead), ("input_cache_write", \.cacheWrite5m), ("input_cache_write_1h", \.cacheWrite1h),
        ("internal_reasoning", \.reasoning), ("audio", \.audioInput), ("audio_output", \.audioOutput),
    ]

    /// Prices that are not set apart are left out: a zero would read as free.
    private static func rates(_ rates: ModelPrice.Rates) -> [JSONValue.Member] {
        [.init("prompt", .string(rates.input.usdText)), .init("completion", .string(rates.output.usdText))]
            + optional.compactMap { name, path in rates[keyPath: path].map { JSONValue.Member(name, .string($0.usdText)) } }
    }

    /// OpenRouter's overrides inherit from the base what they leave out, while a tier's own missing prices are those of its input and
    /// output.
    private static func override(_ tier: ModelPrice.Tier, of base: ModelPrice.Rates) -> JSONValue {
        var filled = tier.rates
        if base.cacheRead != nil { filled.cacheRead = filled.cacheRead ?? filled.input }
        if base.cacheWrite5m != nil { filled.cacheWrite5m = filled.cacheWrite5m ?? filled.input }
        if base.cacheWrite1h != nil { filled.cacheWrite1h = filled.cacheWrite1h ?? filled.cacheWrite5m ?? filled.input }
        if base.reasoning != nil { filled.reasoning = filled.reasoning ?? filled.output }
        if base.audioInput != nil { filled.audioInput = filled.audioInput ?? filled.input }
        if base.audioOutput != nil { filled.audioOutput = filled.audioOutput ?? filled.output }
        return .object([.init("min_prompt_tokens", .integer(tier.abovePromptTokens))] + rates(filled))
    }
}
