import RouterCore

/// Models and providers in OpenRouter's form.
enum RouterModelDescriptions {
    private static let reference = "https://openrouter.ai/docs/api-reference/"

    // MARK: Shapes

    private static let architecture = APIField(
        "architecture",
        .object([
            APIField("modality", .string, "Such as `text+image->text`.").orNull,
            APIField("input_modalities", .list(.string), "From a vendor's list, or what the model's endpoints take."),
            APIField("output_modalities", .list(.string), "The same of answers."),
            APIField("tokenizer", .string, "Its family.").orNull, APIField("instruct_type", .string, "Its format of prompts.").orNull,
        ]), "What it takes and gives.")

    private static let pricing = APIShape(
        name: "OpenRouterPricing",
        meaning: """
            USD per unit as exact text, the group's factor aside; `-1` = by the vendor's reported cost. A price that is not set apart is \
            left out. Prices of characters, of seconds of sound and of pictures by size have no name here: `GET /api/models` has them.
            """,
        fields: [
            APIField("prompt", .string, "Per prompt token."), APIField("completion", .string, "Per token of the answer."),
            APIField("request", .string, "Per request.").optional, APIField("image", .string, "Per picture in the prompt.").optional,
            APIField("image_token", .string, "Per token of a picture in the prompt, where it is not `prompt`.").optional,
            APIField("image_output", .string, "Per picture in the answer, for models that draw.").optional,
            APIField("web_search", .string, "Per search.").optional,
            APIField("internal_reasoning", .string, "Per token of thought.").optional,
            APIField("input_cache_read", .string, "Per prompt token that came from the vendor's cache.").optional,
            APIField("input_cache_write", .string, "Per prompt token written to it.").optional,
            APIField("input_cache_write_1h", .string, "The same for an hour.").optional,
            APIField("audio", .string, "Per token of sound in the prompt.").optional,
            APIField("audio_output", .string, "Per token of sound in the answer.").optional,
            APIField("overrides", .list(.any), "Prices of requests with more prompt tokens than `min_prompt_tokens`.").optional,
        ])

    private static let parameters = APIField(
        "supported_parameters", .list(.string), "Fields that it takes, as a vendor's list has them; else those that are known.")

    static let model = APIShape(
        name: "OpenRouterModel", meaning: "A model in OpenRouter's form. What is not known is null.",
        fields: [
            APIField("id", .string, "Public name."),
            APIField("canonical_slug", .string, "The name that stays, where a list has one; else the same."),
            APIField("hugging_face_id", .string, "Its name there.").orNull, APIField("name", .string, "For people."),
            APIField("created", .time, "When it appeared; else when its price was first known; 0 = not known."),
            APIField("description", .string, "For people; may be empty."),
            APIField("context_length", .count, "Tokens of prompt and answer.").orNull, architecture,
            APIField("pricing", .shape(pricing), "Prices of the provider that is tried first."),
            APIField(
                "top_provider",
                .object([
                    APIField("context_length", .count, "Tokens.").orNull, APIField("max_completion_tokens", .count, "Tokens.").orNull,
                    APIField("is_moderated", .boolean, "False also where no list says it."),
                ]), "The provider that is tried first."),
            APIField("per_request_limits", .any, "Null."), parameters,
            APIField("default_parameters", .any, "An object, where a list has one.").orNull,
            APIField("supported_voices", .any, "Null."), APIField("knowledge_cutoff", .string, "A date.").orNull,
            APIField("expiration_date", .string, "A date.").orNull,
            APIField("links", .object([APIField("details", .string, "Path of its endpoints.")]), "Where there is more."),
        ])

    private static let listed = RouteDescription.Answer.json(
        .object([
            APIField("data", .list(.shape(model)), "The models of the page."), APIField("total_count", .count, "Models of all pages."),
            APIField("links", .object([APIField("next", .string, "The next page.").orNull]), "Where there is more."),
        ]))

    // MARK: Parameters

    private static let outputs = APIField(
        "output_modalities", .string, "With commas: models that give one of them; `text` by default, `all` = every model."
    ).optional
    private static let page: [APIField] = [
        APIField("offset", .integer(0...1_000_000), "Models that are passed over.").optional,
        APIField("limit", .integer(1...1_000), "Models of a page; 500 by default where `offset` is given, else all.").optional,
    ]
    private static let order = APIField(
        "sort", .string, "`newest`, `pricing-low-to-high`, `pricing-high-to-low` or `context-high-to-low`; by name without it."
    ).optional
    private static let filters: [APIField] = [
        APIField("q", .string, "A part of the name.").optional,
        APIField("supported_parameters", .string, "With commas: models that take all of them.").optional,
        APIField("input_modalities", .string, "With commas: models that take all of them.").optional,
        APIField("context", .count, "Tokens of the context at least.").optional,
        APIField("min_price", .string, "USD per million prompt tokens at least.").optional,
        APIField("max_price", .string, "USD per million prompt tokens at most.").optional,
        APIField("min_output_price", .string, "USD per million tokens of the answer at least.").optional,
        APIField("max_output_price", .string, "USD per million tokens of the answer at most.").optional,
        APIField("arch", .string, "With commas: families of tokenizers.").optional,
        APIField("model_authors", .string, "With commas: what stands before the slash.").optional,
        APIField("providers", .string, "With commas: providers that serve the model.").optional,
        APIField("min_age_days", .integer(0...100_000), "Days since `created` at least.").optional,
        APIField("max_age_days", .integer(0...100_000), "Days since `created` at most.").optional,
    ]
    private static let wrong = (status: 400, when: "a parameter is wrong, or one that cannot be served here")
    private static let unknown = (status: 404, when: "the key may use no such model, or it has no price")

    // MARK: Routes

    static let list = RouteDescription(
        id: "models", chapter: .openRouter, summary: "The models that the key may use, in OpenRouter's form.",
        notes: """
            Models without a price are left out: calls of them are refused. Filters of OpenRouter's that this gateway knows nothing about \
            (\(RouterModelFilter.unknown.map { "`\($0)`" }.joined(separator: ", "))) are a 400. Clients that send `anthropic-version` get \
            Anthropic's form.
            """,
        reference: reference + "list-available-models", query: [outputs] + page + [order] + filters, answer: listed, errors: [wrong],
        example: .init(path: "/api/v1/models?q=demo"))

    static let listUsable = RouteDescription(
        id: "usableModels", chapter: .openRouter, summary: "The same, under the name for what one's own settings allow.",
        query: [outputs] + page + [order], answer: listed, errors: [wrong])

    static let count = RouteDescription(
        id: "countModels", chapter: .openRouter, summary: "How many models the list has.", query: [outputs],
        answer: .json(.object([APIField("data", .object([APIField("count", .count, "Models.")]), "The number.")])), errors: [wrong])

    static let embeddings = RouteDescription(
        id: "embeddingModels", chapter: .openRouter, summary: "The models that give embeddings.", answer: listed)

    static let one = RouteDescription(
        id: "model", chapter: .openRouter, summary: "One of the models that the key may use, in OpenRouter's form.",
        path: [APIField("model", .string, "Public name, slashes included.")],
        answer: .json(.object([APIField("data", .shape(model), "The model.")])), errors: [unknown],
        example: .init(path: "/api/v1/model/demo/echo"))

    private static let endpoint: [APIField] = [
        APIField("name", .string, "Provider and model."), APIField("model_id", .string, "Public name."),
        APIField("model_name", .string, "For people."), APIField("provider_name", .string, "For people."),
        APIField("tag", .string, "The provider's name in `provider.order` and `only`."),
        APIField("context_length", .count, "Tokens; 0 = not known."), APIField("max_completion_tokens", .count, "Tokens.").orNull,
        APIField("pricing", .shape(pricing), "What it costs there."), parameters,
    ]

    static let endpoints = APIShape(
        name: "OpenRouterEndpoints",
        meaning: "The providers of a model in OpenRouter's form, in the order in which they are tried. Speed and uptime are not told.",
        fields: [
            APIField("id", .string, "Public name."), APIField("name", .string, "For people."),
            APIField("created", .time, "As in the list."),
            APIField("description", .string, "For people; may be empty."), architecture,
            APIField(
                "endpoints",
                .list(
                    .object(
                        endpoint
                            + [
                                "max_prompt_tokens", "quantization", "service_tier", "status", "uptime_last_5m", "uptime_last_30m",
                                "uptime_last_1d", "latency_last_30m", "throughput_last_30m",
                            ].map { APIField($0, .any, "Null.") } + [
                                APIField("native_tools", .any, "Empty."),
                                APIField("supports_tool_choice", .any, "Whether `tool_choice` is among the supported parameters."),
                                APIField("supports_implicit_caching", .boolean, "False: not known."),
                                APIField("supports_diarization", .boolean, "False: not known."),
                            ])), "Each provider once."),
        ])

    static let below = RouteDescription(
        id: "modelEndpoints", chapter: .openRouter,
        summary: "With `/endpoints` behind the name: the providers of a model, under `data`.",
        notes: "Without it: the model in OpenAI's form, as `GET /v1/models/{model}` has it.",
        reference: reference + "list-endpoints-for-a-model",
        path: [APIField("model", .string, "Public name, slashes included, and `/endpoints`.")],
        answer: .json(.object([APIField("data", .shape(endpoints), "The providers.")])), errors: [unknown],
        example: .init(path: "/api/v1/models/demo/echo/endpoints"))

    static let providers = RouteDescription(
        id: "providers", chapter: .openRouter, summary: "The providers behind the channels of the key's group.",
        reference: reference + "list-available-providers",
        answer: .json(
            .object([
                APIField(
                    "data",
                    .list(
                        .object(
                            [
                                APIField("name", .string, "For people."),
                                APIField("slug", .string, "The name in `provider.order` and `only`."),
                            ]
                                + ["privacy_policy_url", "terms_of_service_url", "status_page_url"].map {
                                    APIField($0, .any, "Null.")
                                })), "Each provider once.")
            ])))
}
