import HTTPTypes
import NIOCore
import RouterCore

/// OpenRouter: the OpenAI family with its own errors, costs and generation ids.
///
/// Source: https://openrouter.ai/docs/api-reference (chat completions, errors, streaming, usage accounting, `GET /generation`).
/// Failures come in four places: the HTTP status; a 200 body with `error`; `choices[].error`; a stream chunk with a top-level `error`.
/// Attribution headers (`HTTP-Referer`, `X-OpenRouter-Title`) are ordinary headers of the provider file.
enum OpenRouter {
    static let variant = OpenAIVariant(
        dialect: OpenAIDialect(
            reportsCost: true,
            // `provider` holds preferences among OpenRouter's hosts and `session_id` keeps them sticky: both go through. Names of our own
            // channels have been taken out of the preferences (``ClientPreferences/forwarded``).
            // `models` stays here, because its fallbacks are planned over our own channels.
            gatewayFields: ["models"],
            boundsHostPrices: true, forbiddenMayBeModeration: true, readsRateLimitReset: true, readsTopK: true,
            readsReasoningDetails: true, readsCacheControl: true, readsFileURLs: true, readsAnswerImages: true),
        passesPreferencesOn: true, generationHeader: HTTPField.Name("X-Generation-Id"), generationPath: "/generation?id=",
        activityPath: "/activity", readModels: OpenRouterList.models, readGeneration: generation, readActivity: activity)

    /// `GET /generation?id=`: the vendor's own token counts are the `native_` ones, which it bills; `native_tokens_reasoning` is part of
    /// the completion, `native_tokens_cached` of the prompt; `total_cost` is what the account paid
    /// (https://openrouter.ai/docs/api-reference/get-a-generation).
    private static func generation(_ body: ByteBuffer) -> Usage? {
        guard let data = (try? JSONValue(parsing: body))?["data"], let prompt = count(data["native_tokens_prompt"]),
            let completion = count(data["native_tokens_completion"])
        else { return nil }
        let cached = min(count(data["native_tokens_cached"]) ?? 0, prompt)
        var usage = Usage(
            uncachedInput: prompt - cached, cacheRead: cached, output: completion,
            reasoning: min(count(data["native_tokens_reasoning"]) ?? 0, completion))
        usage.upstreamCost = data["total_cost"]?.numberText.flatMap { try? FemtoUSD.parse(usdPerUnit: $0).price }
        return usage
    }

    /// `GET /activity`: one row per day and endpoint, for the last thirty completed days of UTC; needs a management key. `usage` is what
    /// was paid in USD (https://openrouter.ai/docs/api/api-reference/analytics/get-user-activity).
    private static func activity(_ body: ByteBuffer) -> [DailyCost]? {
        guard let rows = (try? JSONValue(parsing: body))?["data"]?.arrayValue else { return nil }
        var costs: [String: Int128] = [:]
        var requests: [String: Int64] = [:]
        for row in rows {
            guard let date = row["date"]?.stringValue, let text = row["usage"]?.numberText,
                let cost = try? FemtoUSD.parse(usdPerUnit: text).price
            else { return nil }
            let day = String(date.prefix(10))
            costs[day, default: 0] += Int128(cost.femtos)
            requests[day, default: 0] += count(row["requests"]) ?? 0
        }
        return costs.sorted { $0.key < $1.key }.map { day, femtos in
            DailyCost(day: day, requests: requests[day] ?? 0, upstreamCost: NanoUSD(nanos: Int64(clamping: (femtos + 500_000) / 1_000_000)))
        }
    }

    private static func count(_ value: JSONValue?) -> Int64? {
        guard let number = value?.integerValue, (0...1_000_000_000).contains(number) else { return nil }
        return number
    }
}
