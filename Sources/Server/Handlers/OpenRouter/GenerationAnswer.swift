import Config
import Foundation
import RouterCore

/// A request's record as OpenRouter's clients read it (https://openrouter.ai/docs/api-reference/get-a-generation). What the gateway does
/// not record is null.
struct GenerationAnswer {
    /// As it was asked for.
    let id: String
    let record: RequestRecord
    let channels: [RouterCore.Channel]

    /// The names under which an answer may be kept: converted answers carry the vendor's id behind their dialect's prefix.
    static func names(of id: String) -> [String] {
        let bare = ["msg_", "resp_"].compactMap { prefix in id.hasPrefix(prefix) ? String(id.dropFirst(prefix.count)) : nil }
        return [id] + bare.filter { !$0.isEmpty }
    }

    var json: JSONValue {
        .object(
            [
                .init("id", .string(id)), .init("request_id", .string(record.requestID.description)),
                .init("upstream_id", .optional(record.generationID)), .init("created_at", .string(ISOTime.text(record.createdAt))),
                .init("model", .string(record.model)), .init("provider_name", .string(provider(record.channelID) ?? record.provider)),
                .init("provider_responses", .array(responses)), .init("api_type", .optional(apiType)),
                .init("streamed", .boolean(record.isStream)), .init("cancelled", .boolean(record.outcome == .clientGone)),
                .init("finish_reason", .optional(finishReason)), .init("latency", .integer(record.latencyMilliseconds)),
                .init("generation_time", .integer(generationTime)), .init("service_tier", .optional(record.usage.serviceTier)),
            ] + money + tokens + Self.constants)
    }

    private var money: [JSONValue.Member] {
        let charge = JSONValue.usd(record.charge ?? .zero)
        return [
            .init("total_cost", charge), .init("usage", charge),
            .init("upstream_inference_cost", record.usage.upstreamCost.map { .usd($0.roundedToNano) } ?? .null),
        ]
    }

    private var tokens: [JSONValue.Member] {
        let usage = record.usage
        return [
            .init("tokens_prompt", .integer(usage.promptTokens)), .init("tokens_completion", .integer(usage.completionTokens)),
            .init("native_tokens_prompt", .integer(usage.promptTokens)),
            .init("native_tokens_completion", .integer(usage.completionTokens)),
            .init("native_tokens_reasoning", .integer(usage.reasoning)), .init("native_tokens_cached", .integer(usage.cacheRead)),
            .init("num_media_completion", [.images, .imageEdits].contains(record.endpoint) ? .integer(usage.images) : .null),
        ]
    }

    /// Facts that hold for every request here, and names without a value.
    private static let constants: [JSONValue.Member] =
        [.init("is_byok", false), .init("origin", ""), .init("data_region", "global")]
        + [
            "app_id", "cache_discount", "external_user", "http_referer", "moderation_latency", "native_finish_reason",
            "native_tokens_completion_images", "num_fetches", "num_input_audio_prompt", "num_media_prompt", "num_search_results",
            "preset_id", "response_cache_source_id", "router", "session_id", "user_agent", "web_search_engine", "workspace_id",
        ].map { .init($0, .null) }

    private var apiType: String? {
        switch record.endpoint {
        case .chat, .completions, .responses, .compact, .messages, .gemini: "completions"
        case .embeddings: "embeddings"
        case .images, .imageEdits: "image"
        case .speech: "tts"
        case .transcriptions, .translations: "stt"
        case .rerank: "rerank"
        case .moderations, .models: nil
        }
    }

    private var finishReason: String? {
        switch record.outcome {
        case .truncated, .failed: "error"
        case .completed, .clientGone, .recovered: record.finish?.rawValue
        }
    }

    /// Milliseconds: of a stream from its first content to its end, of a whole answer the vendor's time for it.
    private var generationTime: Int64? {
        guard let first = record.firstTokenMilliseconds else { return nil }
        return record.isStream ? max(0, record.latencyMilliseconds - first) : record.attemptList.last?.milliseconds ?? first
    }

    private func provider(_ channel: Int64?) -> String? { channels.first { $0.id == channel }?.provider.displayName }

    /// The upstream calls. A single successful one is not stored apart, because the row describes it.
    private var responses: [JSONValue] {
        var list = record.attemptList
        if list.isEmpty, record.attempts == 1, let channel = record.channelID {
            list = [
                AttemptRecord(
                    channelID: channel, upstreamModel: record.upstreamModel, status: 200,
                    milliseconds: record.firstTokenMilliseconds ?? record.latencyMilliseconds)
            ]
        }
        return list.map { attempt in
            let name = provider(attempt.channelID).map { [JSONValue.Member("provider_name", .string($0))] } ?? []
            return .object(
                name + [
                    .init("status", attempt.status.map { .integer($0) } ?? .null), .init("latency", .integer(attempt.milliseconds)),
                    .init("model_permaslug", .string(attempt.upstreamModel)), .init("is_byok", false),
                ])
        }
    }
}
