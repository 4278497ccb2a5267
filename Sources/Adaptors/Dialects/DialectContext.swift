import NIOCore
import RouterCore

/// The parts of a call that a writer needs.
struct DialectContext: Sendable {
    /// The name that the client knows.
    var model: String
    /// The channel sends another name upstream.
    var isRenamed = false
    var quote: PriceQuote
    /// The client asked for usage in the stream (chat only; the other dialects always have it).
    var wantsUsage = false
    /// Unix seconds.
    var startedAt: Int64 = 0
    /// For answers without an id.
    var answerID = ""
    /// The gateway keeps the answer, under an id of its own.
    var kept: KeptAnswer?
    /// The client asked for the model's thoughts (Gemini's `includeThoughts`; the other dialects always show them).
    var showsThoughts = false
    /// Tools that the client knows under other names than the vendor (Responses only).
    var tools = ResponsesTools()

    init(_ call: UpstreamCall) {
        model = call.model
        isRenamed = call.upstreamModel != call.model
        quote = call.quote
        wantsUsage = call.envelope.wantsStreamUsage
        startedAt = call.startedAt
        answerID = call.answerID
        kept = call.kept
        tools = ResponsesTools(call.envelope)
        showsThoughts = call.envelope.endpoint.dialect.client.showsThoughts(call.envelope.body)
    }

    /// The vendor's own id, unless there is none or the gateway keeps the answer: not every vendor's ids are unique.
    func id(_ given: String) -> String { given.isEmpty || kept != nil ? answerID : given }

    /// The vendor's own name for what it served, unless the channel renames.
    func shown(_ served: String) -> String { isRenamed || served.isEmpty ? model : served }
}
