import RouterCore

/// The key, its account and its requests in OpenRouter's form, and what clients of one-api ask for.
enum RouterAccountDescriptions {
    private static let reference = "https://openrouter.ai/docs/api-reference/"

    /// `usage` and the like of a key.
    static let usage: [APIField] =
        [
            APIField("usage", .usd, "Charged ever; later corrections and refunds do not change it, as with budgets."),
            APIField("usage_daily", .usd, "Today (UTC)."), APIField("usage_weekly", .usd, "Since Monday (UTC)."),
            APIField("usage_monthly", .usd, "In this month (UTC)."),
        ]
        + ["byok_usage", "byok_usage_daily", "byok_usage_weekly", "byok_usage_monthly"].map { APIField($0, .usd, "0.") }

    static let limits: [APIField] = [
        APIField("limit", .usd, "The budget of the key that will be exhausted first; null = none.").orNull,
        APIField("limit_remaining", .usd, "What is left of it; below 0 where it was exceeded.").orNull,
        APIField("limit_reset", .choice(["daily", "monthly"]), "When it begins anew; null = never.").orNull,
    ]

    private static let budget = APIShape(
        name: "OpenRouterBudget", meaning: "A budget that bounds a key, in OpenRouter's form.",
        fields: [
            APIField("scope", .choice(["key_limit", "member"]), "Of the key, or of its user."), APIField("limit_usd", .usd, "The budget."),
            APIField("spend_usd", .usd, "What was spent of it."), APIField("remaining_usd", .usd, "What is left of it."),
            APIField("reset_interval", .choice(["daily", "monthly"]), "Null = it never begins anew.").orNull,
            APIField("resets_at", .string, "When it begins anew, ISO 8601.").orNull, APIField("include_byok", .boolean, "False."),
            APIField("budget_id", .any, "Null."), APIField("guardrail_id", .any, "Null."),
        ])

    private static let key: [APIField] = [
        APIField("label", .string, "The first characters of the key."),
        APIField("is_management_key", .boolean, "Whether it manages keys."), APIField("is_provisioning_key", .boolean, "The same."),
        APIField("is_free_tier", .boolean, "Whether no money has come to the account."),
        APIField("include_byok_in_limit", .boolean, "False."), APIField("creator_user_id", .string, "The user's id."),
        APIField("organization_id", .any, "Null."), APIField("workspace_id", .any, "Null."),
        APIField("expires_at", .string, "ISO 8601; null = never.").orNull, APIField("allowed_data_regions", .list(.string), "Empty."),
        APIField("budgets", .list(.shape(budget)), "All budgets that bound the key."),
        APIField("effective_budget", .shape(budget), "The one that will be exhausted first.").orNull,
        APIField("free_model_daily_requests", .any, "All 0: there is no such quota."),
        APIField(
            "rate_limit",
            .object([
                APIField("interval", .string, "`1m`."), APIField("requests", .integer(-1 ... .max), "Of the key; -1 = no limit."),
                APIField("note", .string, "For people."),
            ]), "Requests per minute."),
    ]

    static let currentKey = RouteDescription(
        id: "currentKey", chapter: .openRouter, summary: "The key that is asked with: what was spent, and its limits.",
        reference: reference + "get-current-api-key",
        answer: .json(.object([APIField("data", .object(key + limits + usage), "The key.")])))

    static let credits = RouteDescription(
        id: "credits", chapter: .openRouter, summary: "What came to the account of the key, and what its requests were charged.",
        notes: """
            The difference is the balance, to the last digit. Refunds and corrections count among the credits. Holds of running requests \
            are not taken off.
            """,
        reference: reference + "get-credits",
        answer: .json(
            .object([
                APIField(
                    "data",
                    .object([
                        APIField("total_credits", .usd, "Recharges, adjustments and refunds."),
                        APIField("total_usage", .usd, "Charges as they were posted."),
                    ]), "USD.")
            ])))

    private static let unrecorded = [
        "app_id", "cache_discount", "external_user", "http_referer", "moderation_latency", "native_finish_reason",
        "native_tokens_completion_images", "num_fetches", "num_input_audio_prompt", "num_media_prompt", "num_search_results", "preset_id",
        "response_cache_source_id", "router", "session_id", "user_agent", "web_search_engine", "workspace_id",
    ]

    private static let record: [APIField] = [
        APIField("id", .string, "As it was asked for."), APIField("request_id", .string, "The `X-Request-Id`."),
        APIField("upstream_id", .string, "The vendor's id of the answer.").orNull, APIField("created_at", .string, "ISO 8601."),
        APIField("model", .string, "Public name of the model that answered."), APIField("provider_name", .string, "Who served it."),
        APIField("provider_responses", .list(.any), "Each upstream call: provider, status, milliseconds."),
        APIField("api_type", .string, "Such as `completions`.").orNull, APIField("streamed", .boolean, "Whether it was a stream."),
        APIField("cancelled", .boolean, "Whether the client left before the end."),
        APIField("finish_reason", .string, "`stop`, `length`, `tool_calls`, `content_filter` or `error`.").orNull,
        APIField("latency", .count, "Milliseconds from the request to the last byte."),
        APIField(
            "generation_time", .count, "Milliseconds from the first content of a stream to its end; else the vendor's time for the answer."
        ).orNull,
        APIField("service_tier", .string, "As the vendor told it.").orNull,
        APIField("total_cost", .usd, "What was charged, later corrections included."), APIField("usage", .usd, "The same."),
        APIField("upstream_inference_cost", .usd, "What the vendor says that it cost.").orNull,
        APIField("tokens_prompt", .count, "As the vendor counts."), APIField("tokens_completion", .count, "As the vendor counts."),
        APIField("native_tokens_prompt", .count, "The same."), APIField("native_tokens_completion", .count, "The same."),
        APIField("native_tokens_reasoning", .count, "Part of the completion."),
        APIField("native_tokens_cached", .count, "Part of the prompt."),
        APIField("num_media_completion", .count, "Pictures that were made.").orNull, APIField("is_byok", .boolean, "False."),
        APIField("origin", .string, "Empty: it is not recorded."), APIField("data_region", .string, "`global`."),
    ]

    static let generation = RouteDescription(
        id: "generation", chapter: .openRouter, summary: "What a request of the key's account used and cost.",
        notes: "It is there as soon as the charge is posted, a fraction of a second after the answer.",
        reference: reference + "get-a-generation",
        query: [APIField("id", .text(160), "The id of an answer, or the `X-Request-Id` of its request.")],
        answer: .json(.object([APIField("data", .object(record + unrecorded.map { APIField($0, .any, "Null.") }), "The request.")])),
        errors: [(400, "there is no `id`"), (404, "the account has no such request, or it is not recorded yet")],
        example: .init(path: "/api/v1/generation?id=00000000-0000-0000-0000-000000000000"))

    // MARK: one-api's billing

    private static let billing = """
        As clients of one-api and of OpenAI's older dashboard ask; `start_date` and `end_date` are ignored, as there. The figures are \
        those of the key where it has a total budget of its own, else those of its account.
        """

    static let subscription = RouteDescription(
        id: "billingSubscription", chapter: .money, summary: "What could be spent in all.", notes: billing,
        answer: .json(
            .object([
                APIField("object", .choice(["billing_subscription"]), "Always."), APIField("has_payment_method", .boolean, "True."),
                APIField("soft_limit_usd", .usd, "The key's total budget, or what came to the account."),
                APIField("hard_limit_usd", .usd, "The same."), APIField("system_hard_limit_usd", .usd, "The same."),
                APIField("access_until", .time, "When the key ends; 0 = never."),
            ])))

    static let billingUsage = RouteDescription(
        id: "billingUsage", chapter: .money, summary: "What was spent of it.", notes: billing,
        answer: .json(
            .object([
                APIField("object", .choice(["list"]), "Always."),
                APIField("total_usage", .usd, "In cents, with at most seven decimals."),
            ])))
}
