import NIOCore
import RouterCore

/// The one mapping between ``RequestRecord`` and columns, shared by `logs` and the journal: a new column is added here.
enum RecordColumns {
    static let names = [
        "request_id", "user_id", "token_id", "channel_id", "provider", "model_name", "upstream_model", "endpoint",
        "prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens",
        "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "images", "searches", "characters", "audio_milliseconds",
        "requests", "service_tier",
        "charge_nanos", "uncharged_nanos", "ceiling_nanos", "price_ratio_millionths", "upstream_cost_nanos", "usage_source",
        "pricing_version", "outcome", "status", "error_code",
        "is_stream", "attempts", "attempt_list", "generation_id", "answer_id", "finish_reason", "latency_ms", "first_token_ms", "client_ip",
        "created_at",
        "dropped_fields", "image_input_tokens", "vendor_cost_nanos", "vendor_cost_source", "account_id",
    ]
    static let list = names.joined(separator: ", ")
    static let marks = names.map { _ in "?" }.joined(separator: ", ")

    /// Every column by its name, as JSON text.
    static func json(_ record: RequestRecord) -> String {
        let members = zip(names, values(record)).map { name, value in
            switch value {
            case .integer(let number): JSONValue.Member(name, .integer(number))
            case .text(let text): JSONValue.Member(name, .string(text))
            case .bytes(let bytes): JSONValue.Member(name, .string(Hex.text(bytes)))
            case .null: JSONValue.Member(name, .null)
            }
        }
        return JSONValue.object(members).text
    }

    /// In the order of ``names``.
    static func values(_ record: RequestRecord) -> [SQLValue] {
        let usage = record.usage
        let dropped = record.droppedFields.isEmpty ? nil : JSONList.text(record.droppedFields)
        let attempts = record.attemptList.isEmpty ? nil : record.attemptList.json.text
        return [
            .text(record.requestID.description), .integer(record.userID), SQLValue(record.tokenID), SQLValue(record.channelID),
            .text(record.provider), .text(record.model), .text(record.upstreamModel), .text(record.endpoint.rawValue),
            .integer(usage.promptTokens), .integer(usage.completionTokens), .integer(usage.cacheRead), .integer(usage.cacheWrite5m),
            .integer(usage.cacheWrite1h), .integer(usage.reasoning), .integer(usage.audioInput), .integer(usage.audioOutput),
            .integer(usage.images), .integer(usage.searches), .integer(usage.characters), .integer(usage.audioMilliseconds),
            .integer(usage.requests), SQLValue(usage.serviceTier), SQLValue(record.charge?.nanos),
            .integer(record.uncharged.nanos), SQLValue(record.ceiling?.nanos), SQLValue(record.ratio?.millionths),
            SQLValue(usage.upstreamCost?.roundedToNano.nanos), .text(record.usageSource.rawValue), .integer(record.pricingVersion),
            .text(record.outcome.rawValue), .integer(Int64(record.status)), SQLValue(record.errorCode),
            .integer(record.isStream ? 1 : 0), .integer(Int64(record.attempts)), SQLValue(attempts), SQLValue(record.generationID),
            SQLValue(record.answerID), SQLValue(record.finish?.rawValue),
            .integer(record.latencyMilliseconds), SQLValue(record.firstTokenMilliseconds), .text(record.clientIP),
            .integer(record.createdAt), SQLValue(dropped), .integer(usage.imageInput),
            SQLValue(record.vendorCost?.amount.nanos), SQLValue(record.vendorCost?.source.rawValue), SQLValue(record.accountID),
        ]
    }

    /// - Throws: ``StoreError/database(_:)`` for a row that this program has not written.
    static func record(_ row: some ColumnReader) throws -> RequestRecord {
        guard let requestID = RequestID(try row.text("request_id")), let endpoint = Endpoint(rawValue: try row.text("endpoint")),
            let source = UsageSource(rawValue: try row.text("usage_source")),
            let outcome = RequestRecord.Outcome(rawValue: try row.text("outcome"))
        else { throw StoreError.database("a request record has an unknown id, endpoint, usage_source or outcome") }
        let attempts = try row.textOrNil("attempt_list").flatMap { try? JSONValue(parsing: ByteBuffer(string: $0)) }
        var record = RequestRecord(
            requestID: requestID, userID: try row.int("user_id"), tokenID: try row.intOrNil("token_id"),
            channelID: try row.intOrNil("channel_id"), provider: try row.text("provider"), model: try row.text("model_name"),
            upstreamModel: try row.text("upstream_model"), endpoint: endpoint, usage: try usage(row), usageSource: source,
            charge: try row.intOrNil("charge_nanos").map { NanoUSD(nanos: $0) },
            // Older journals lack these three, and the answer's id and end.
            uncharged: NanoUSD(nanos: try row.intOrNil("uncharged_nanos") ?? 0),
            ceiling: try row.intOrNil("ceiling_nanos").map { NanoUSD(nanos: $0) },
            ratio: try row.intOrNil("price_ratio_millionths").map { PriceRatio(millionths: $0) },
            pricingVersion: try row.int("pricing_version"),
            outcome: outcome, status: Int(try row.int("status")), errorCode: try row.textOrNil("error_code"),
            isStream: try row.flag("is_stream"), attempts: Int(try row.int("attempts")),
            attemptList: attempts.map { [AttemptRecord]($0) } ?? [], generationID: try row.textOrNil("generation_id"),
            answerID: try row.textOrNil("answer_id"), finish: try row.textOrNil("finish_reason").flatMap { AnswerFinish(rawValue: $0) },
            latencyMilliseconds: try row.int("latency_ms"), firstTokenMilliseconds: try row.intOrNil("first_token_ms"),
            clientIP: try row.text("client_ip"), createdAt: try row.int("created_at"),
            // Journals of an older program lack it.
            droppedFields: try row.textOrNil("dropped_fields").map(JSONList.strings) ?? [], accountID: try row.intOrNil("account_id"))
        if let nanos = try row.intOrNil("vendor_cost_nanos") {
            let source = try row.textOrNil("vendor_cost_source").flatMap { VendorCost.Source(rawValue: $0) }
            record.vendorCost = VendorCost(NanoUSD(nanos: nanos), source ?? .computed)
        }
        return record
    }

    private static func usage(_ row: some ColumnReader) throws -> Usage {
        let cached = try row.int("cached_tokens")
        let write5m = try row.int("cache_write_tokens")
        let write1h = try row.int("cache_write_1h_tokens")
        let audioInput = try row.int("audio_input_tokens")
        let audioOutput = try row.int("audio_output_tokens")
        // Journals of an older program lack it, as they lack two units below.
        let imageInput = try row.intOrNil("image_input_tokens") ?? 0
        var usage = Usage(
            uncachedInput: try row.int("prompt_tokens") - cached - write5m - write1h - audioInput - imageInput, cacheRead: cached,
            cacheWrite5m: write5m, cacheWrite1h: write1h, output: try row.int("completion_tokens") - audioOutput,
            reasoning: try row.int("reasoning_tokens"), audioInput: audioInput, audioOutput: audioOutput,
            images: try row.int("images"), searches: try row.int("searches"),
            // Journals of an older program lack these two.
            characters: try row.intOrNil("characters") ?? 0, audioMilliseconds: try row.intOrNil("audio_milliseconds") ?? 0,
            requests: try row.int("requests"),
            upstreamCost: try row.intOrNil("upstream_cost_nanos").map(cost),
            serviceTier: try row.textOrNil("service_tier"))
        usage.imageInput = imageInput
        return usage
    }

    /// The column holds whole nano-dollars; the dearest ones, rounded up, are beyond the range of femto-dollars.
    private static func cost(nanos: Int64) -> FemtoUSD {
        let (femtos, overflowed) = nanos.multipliedReportingOverflow(by: 1_000_000)
        return FemtoUSD(femtos: overflowed ? .max : femtos)
    }
}

extension RequestRecord {
    /// The text of its ledger row.
    var ledgerDescription: String {
        let tokens = "\(usage.promptTokens) in, \(usage.completionTokens) out tokens"
        var figures = endpoint.hasOutputBound || usage.promptTokens > 0 || usage.completionTokens > 0 ? [tokens] : []
        if !endpoint.hasOutputBound {
            let units = [
                (usage.images, "images"), (usage.searches, "searches"), (usage.characters, "characters"),
                (usage.audioMilliseconds, "ms of audio"),
            ]
            figures += units.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        }
        if figures.isEmpty { figures.append("\(usage.requests) request") }
        return "\(model) \(endpoint.rawValue): \(figures.joined(separator: ", "))\(usageSource == .estimated ? " (estimated)" : "")"
    }
}
