import RouterCore
import Synchronization

/// How one request is to be answered: a comma-separated list behind `@` in the model name, in the header `X-Sim-Control`, or from a
/// script. The full table is in docs/simulator.md.
struct Controls: Sendable {
    private var values: [String: String] = [:]

    struct Unknown: Error { var names: [String] }

    static let known: Set<String> = [
        "ok", "status", "retry_after", "error_type", "error_code", "message", "reset_before_head",
        "close_before_head", "reset_after", "close_after", "end_after", "no_done", "stall_after", "stall_before_head",
        "first_byte", "first_content", "pace", "chunks", "chunk_bytes", "error_event_after",
        "error_event_empty_choices_after", "body_error", "choice_error", "malformed_after", "no_usage",
        "usage_in_every_chunk", "usage_with_content", "split", "crlf", "cr", "comments", "multiline", "gzip",
        "content_type_none", "prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens",
        "reasoning_tokens", "cost", "reasoning", "big_headers", "redirect", "after_done",
        "usage_in_error", "no_finish", "tokens", "audio_tokens", "image_tokens", "picture", "seconds", "search_units", "image_bytes",
        "cut_body", "no_stream",
        "linger",
        "think", "think_tokens", "bills_whole", "text", "strict",
        "polls", "response_ends", "batch_ends", "lines_done", "failing_lines", "stall_after_work", "close_after_work",
    ]

    init() {}

    /// - Throws: ``Unknown`` with the names that do not exist.
    init(parsing text: some StringProtocol) throws(Unknown) {
        try add(text)
    }

    mutating func add(_ text: some StringProtocol) throws(Unknown) {
        var unknown: [String] = []
        for item in text.split(separator: ",") {
            let parts = item.split(separator: "=", maxSplits: 1)
            guard let first = parts.first else { continue }
            let name = String(first.drop { $0 == " " })
            if !Self.known.contains(name) { unknown.append(name) }
            values[name] = parts.count > 1 ? String(parts[1]) : ""
        }
        if !unknown.isEmpty { throw Unknown(names: unknown) }
    }

    /// The vendor refuses the request itself.
    mutating func refuse(_ reason: String) {
        values["status"] = "400"
        values["message"] = reason
    }

    func has(_ name: String) -> Bool { values[name] != nil }
    func text(_ name: String) -> String? { values[name] }
    func number(_ name: String) -> Int? { values[name].flatMap { Int($0) } }
    func count(_ name: String) -> Int64? { values[name].flatMap { Int64($0) } }

    /// `10ms`, `2s`, or a plain number of milliseconds.
    func duration(_ name: String) -> Duration? {
        guard let text = values[name] else { return nil }
        if text.hasSuffix("ms") { return Int64(text.dropLast(2)).map { .milliseconds($0) } }
        if text.hasSuffix("s") { return Int64(text.dropLast()).map { .seconds($0) } }
        return Int64(text).map { .milliseconds($0) }
    }

    /// Tokens that the model reasons before it answers, without showing them.
    var thinkTokens: Int64 { count("think_tokens") ?? 0 }

    /// The fault's name for the record; nil when there is none.
    var fault: String? {
        let faults = [
            "status", "reset_before_head", "close_before_head", "reset_after", "close_after", "end_after", "stall_after",
            "stall_before_head", "error_event_after", "error_event_empty_choices_after", "body_error", "choice_error",
            "malformed_after", "redirect", "cut_body",
        ]
        return faults.first { has($0) }
    }
}

/// A sequence of controls, one per request, for a model (or `*`) and optionally for one key, to express cases such as "first 429, then
/// fine" and "one key of two is bad".
public final class Script: Sendable {
    private struct Rule {
        var model: String
        var key: String?
        var steps: [String]
        var repeatsLast: Bool
    }
    private let rules = Mutex<[Rule]>([])

    /// - Parameters:
    ///   - model: exact name, or `*`.
    ///   - key: the whole bearer token; nil = any.
    ///   - repeatsLast: whether the last step is repeated without end; otherwise later requests are answered normally.
    public func add(model: String = "*", key: String? = nil, steps: [String], repeatsLast: Bool = false) {
        rules.withLock { $0.append(Rule(model: model, key: key, steps: steps, repeatsLast: repeatsLast)) }
    }

    public func clear() { rules.withLock { $0 = [] } }

    func take(model: String, key: String?) -> String? {
        rules.withLock { rules in
            guard
                let index = rules.firstIndex(where: {
                    ($0.model == "*" || $0.model == model) && ($0.key == nil || $0.key == key) && !$0.steps.isEmpty
                })
            else { return nil }
            if rules[index].steps.count == 1, rules[index].repeatsLast { return rules[index].steps[0] }
            return rules[index].steps.removeFirst()
        }
    }
}
