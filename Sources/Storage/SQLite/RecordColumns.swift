import GRDB
import NIOCore
import RouterCore

/// The one mapping between ``RequestRecord`` and columns, shared by `logs` and the journal: a new column is added here.
enum RecordColumns {
    static let names = [
        "request_id", "user_id", "token_id", "channel_id", "provider", "model_name", "upstream_model", "endpoint",
        "prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens",
        "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "images", "searches", "requests",
        "charge_nanos", "upstream_cost_nanos", "usage_source", "pricing_version", "outcome", "status", "error_code",
        "is_stream", "attempts", "attempt_list", "generation_id", "latency_ms", "first_token_ms", "client_ip", "created_at",
    ]
    static let list = names.joined(separator: ", ")
    static let marks = names.map { _ in "?" }.joined(separator: ", ")

    static func arguments(_ record: RequestRecord) -> StatementArguments {
        StatementArguments(values(record))
    }

    /// Every column by its name, as JSON text.
    static func json(_ record: RequestRecord) -> String {
        let members = zip(names, values(record)).map { name, value in
            let storage = (value?.databaseValue ?? .null).storage
            return switch storage {
            case .int64(let number): JSONValue.Member(name, .integer(number))
            case .string(let text): JSONValue.Member(name, .string(text))
            case .null, .double, .blob: JSONValue.Member(name, .null)
            }
        }
        return JSONValue.object(members).text
    }

    private static func values(_ record: RequestRecord) -> [(any DatabaseValueConvertible)?] {
        let usage = record.usage
        return [
            record.requestID.description, record.userID, record.tokenID, record.channelID, record.provider, record.model,
            record.upstreamModel, record.endpoint.rawValue,
            usage.promptTokens, usage.completionTokens, usage.cacheRead, usage.cacheWrite5m, usage.cacheWrite1h,
            usage.reasoning, usage.audioInput, usage.audioOutput, usage.images, usage.searches, usage.requests,
            record.charge?.nanos, usage.upstreamCost?.roundedToNano.nanos, record.usageSource.rawValue,
            record.pricingVersion, record.outcome.rawValue, record.status, record.errorCode,
            record.isStream, record.attempts, record.attemptList.isEmpty ? nil : record.attemptList.json.text, record.generationID, record.latencyMilliseconds,
            record.firstTokenMilliseconds, record.clientIP, record.createdAt,
        ]
    }

    /// - Throws: ``StoreError/database(_:)`` for a row that this program has not written.
    static func record(_ row: Row) throws -> RequestRecord {
        guard let requestID = RequestID(row["request_id"] as String), let endpoint = Endpoint(rawValue: row["endpoint"]),
            let source = UsageSource(rawValue: row["usage_source"]),
            let outcome = RequestRecord.Outcome(rawValue: row["outcome"])
        else { throw StoreError.database("a request record has an unknown id, endpoint, usage_source or outcome") }
        let cached: Int64 = row["cached_tokens"]
        let write5m: Int64 = row["cache_write_tokens"]
        let write1h: Int64 = row["cache_write_1h_tokens"]
        let audioInput: Int64 = row["audio_input_tokens"]
        let audioOutput: Int64 = row["audio_output_tokens"]
        let prompt: Int64 = row["prompt_tokens"]
        let completion: Int64 = row["completion_tokens"]
        let upstream: Int64? = row["upstream_cost_nanos"]
        let charge: Int64? = row["charge_nanos"]
        let usage = Usage(
            uncachedInput: prompt - cached - write5m - write1h - audioInput, cacheRead: cached, cacheWrite5m: write5m,
            cacheWrite1h: write1h, output: completion - audioOutput, reasoning: row["reasoning_tokens"],
            audioInput: audioInput, audioOutput: audioOutput, images: row["images"], searches: row["searches"],
            requests: row["requests"], upstreamCost: upstream.map(cost))
        return RequestRecord(
            requestID: requestID, userID: row["user_id"], tokenID: row["token_id"], channelID: row["channel_id"],
            provider: row["provider"], model: row["model_name"], upstreamModel: row["upstream_model"], endpoint: endpoint,
            usage: usage, usageSource: source, charge: charge.map { NanoUSD(nanos: $0) },
            pricingVersion: row["pricing_version"], outcome: outcome, status: row["status"], errorCode: row["error_code"],
            isStream: row["is_stream"], attempts: row["attempts"],
            attemptList: (row["attempt_list"] as String?).flatMap { try? JSONValue(parsing: ByteBuffer(string: $0)) }
                .map { [AttemptRecord]($0) } ?? [],
            generationID: row["generation_id"],
            latencyMilliseconds: row["latency_ms"], firstTokenMilliseconds: row["first_token_ms"],
            clientIP: row["client_ip"], createdAt: row["created_at"])
    }

    /// The column holds whole nano-dollars; the dearest ones, rounded up, are beyond the range of femto-dollars.
    private static func cost(nanos: Int64) -> FemtoUSD {
        let (femtos, overflowed) = nanos.multipliedReportingOverflow(by: 1_000_000)
        return FemtoUSD(femtos: overflowed ? .max : femtos)
    }
}
