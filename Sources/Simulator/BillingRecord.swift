import RouterCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The vendor's bill: one row per request, append-only.
public struct BillingRow: Sendable, Hashable {
    public var sequence = 0
    public var generationID = ""
    /// Last four characters of the bearer token.
    public var key = ""
    public var model = ""
    public var endpoint = ""
    public var isStream = false
    public var promptTokens: Int64 = 0
    /// Tokens that were produced and written until the end, however the request ended.
    public var completionTokens: Int64 = 0
    public var cachedTokens: Int64 = 0
    public var cacheWriteTokens: Int64 = 0
    public var reasoningTokens: Int64 = 0
    public var images: Int64 = 0
    public var characters: Int64 = 0
    public var audioMilliseconds: Int64 = 0
    public var searches: Int64 = 0
    /// The part of `promptTokens` that pictures to be edited were.
    public var imageTokens: Int64 = 0
    /// `size` and `quality` of a request for images, as it named them.
    public var size: String?
    public var quality: String?
    /// Whether the usage object was sent.
    public var usageSent = false
    /// `completed`, `client_gone`, or the name of the fault.
    public var outcome = ""
    public var cost: String?
    public var requestID: String?
    /// Unix seconds at which the row was written.
    public var createdAt: Int64 = 0

    var json: JSONValue {
        .object([
            .init("sequence", .integer(sequence)), .init("generation_id", .string(generationID)), .init("key", .string(key)),
            .init("model", .string(model)), .init("endpoint", .string(endpoint)), .init("stream", .boolean(isStream)),
            .init("prompt_tokens", .integer(promptTokens)), .init("completion_tokens", .integer(completionTokens)),
            .init("cached_tokens", .integer(cachedTokens)), .init("cache_write_tokens", .integer(cacheWriteTokens)),
            .init("reasoning_tokens", .integer(reasoningTokens)), .init("usage_sent", .boolean(usageSent)),
            .init("images", .integer(images)), .init("characters", .integer(characters)),
            .init("audio_milliseconds", .integer(audioMilliseconds)), .init("searches", .integer(searches)),
            .init("image_tokens", .integer(imageTokens)), .init("size", .optional(size)), .init("quality", .optional(quality)),
            .init("outcome", .string(outcome)), .init("cost", .optional(cost)), .init("request_id", .optional(requestID)),
        ])
    }
}

public final class BillingRecord: Sendable {
    private struct State {
        var rows: [BillingRow] = []
        var sequence = 0
        var descriptor: Int32 = -1
    }
    private let state: Mutex<State>

    /// Maximum number of rows in memory, beyond which older ones are dropped; a file keeps them all.
    private static let maximumRows = 1_000_000

    init(file: String?) {
        var initial = State()
        if let file { initial.descriptor = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644) }
        state = Mutex(initial)
    }

    public func rows() -> [BillingRow] { state.withLock { $0.rows } }
    public var count: Int { state.withLock { $0.sequence } }

    func append(_ row: BillingRow) {
        state.withLock { state in
            var row = row
            state.sequence += 1
            row.sequence = state.sequence
            row.createdAt = Int64(time(nil))
            if state.rows.count < Self.maximumRows { state.rows.append(row) }
            guard state.descriptor >= 0 else { return }
            let line = Array((row.json.text + "\n").utf8)
            _ = write(state.descriptor, line, line.count)
        }
    }

    func clear() { state.withLock { $0.rows = [] } }

    func close() {
        state.withLock { state in
            if state.descriptor >= 0 { Glibc.close(state.descriptor) }
            state.descriptor = -1
        }
    }
}
