import NIOCore
import RouterCore

/// Reads a whole answer, and makes the two changes that bytes of the same family get: the public model name where the channel
/// renamed it, and what *we* charge in `usage.cost`.
struct OpenAIAnswer {
    let call: UpstreamCall
    private let vendor: OpenAIVendor

    init(call: UpstreamCall, vendor: OpenAIVendor) {
        self.call = call
        self.vendor = vendor
    }

    init(call: UpstreamCall, spec: ProviderSpec, dialect: OpenAIDialect) {
        self.init(call: call, vendor: OpenAIVendor(spec: spec, dialect: dialect))
    }

    private var spec: ProviderSpec { _read { yield vendor.spec } }
    private var dialect: OpenAIDialect { _read { yield vendor.dialect } }

    func decode(_ body: ByteBuffer) throws(UpstreamFailure) -> WholeAnswer {
        let bytes = body.readableBytesUInt8Span
        var facts: OpenAIFacts
        var usage: Usage?
        do throws(JSONScanError) {
            facts = try OpenAIFacts(bytes, end: bytes.count, trustsUsage: true)
            usage = self.usage(facts, bytes, tier: nil)
            // Figures that cannot be read are no figures: the text is counted after all.
            if facts.usage != nil, usage == nil { facts = try OpenAIFacts(bytes, end: bytes.count) }
        } catch {
            throw UpstreamFailure(kind: .malformed, detail: "the answer is no JSON object: \(error)")
        }
        if facts.isError { throw failure(facts, bytes, hasContent: false) }
        var progress = AnswerProgress()
        progress.absorb(facts, bytes, usage: usage)
        if let data = facts.data, data.kind == .array, !OpenAIFacts.isEmpty(data, bytes) { progress.hasContent = true }
        progress.isDone = true
        var splice = BodySplice()
        edit(facts, bytes, progress.usage, base: 0, &splice)
        return WholeAnswer(body: splice.applied(to: body), progress: progress)
    }

    /// `service_tier` stands beside the usage (https://platform.openai.com/docs/guides/flex-processing,
    /// https://console.groq.com/docs/flex-processing).
    /// - Parameter tier: the one that earlier chunks named.
    func usage(_ facts: OpenAIFacts, _ bytes: Span<UInt8>, tier: String?) -> Usage? {
        guard let member = facts.usage else { return nil }
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        var usage = OpenAIUsage(rules: spec.usage, dialect: dialect).read(bytes, usage: member.value.lowerBound, root: start)
        usage?.serviceTier = facts.serviceTier.map { JSONText.string(bytes, value: $0.value) } ?? tier
        return usage
    }

    func failure(_ facts: OpenAIFacts, _ bytes: Span<UInt8>, hasContent: Bool) -> UpstreamFailure {
        let json = (facts.error ?? facts.choiceError).map { JSONText.raw(bytes, $0.value) }
        return FailureClassifier(spec: spec, dialect: dialect, key: call.key).inBand(VendorError(inBandJSON: json), hasContent: hasContent)
    }

    /// - Parameter base: what to add to the ranges, when the JSON is a part of a larger buffer.
    func edit(
        _ facts: OpenAIFacts, _ bytes: Span<UInt8>, _ usage: Usage?, base: Int, _ splice: inout BodySplice
    ) {
        if call.upstreamModel != call.model, let model = facts.model {
            splice.replace(model.value.lowerBound + base..<model.value.upperBound + base, with: JSONValue.string(call.model).text)
        }
        guard let member = facts.usage else { return }
        splice.setCost(call.quote.shownCharge(for: usage), in: member, bytes, base: base)
    }
}

extension BodySplice {
    /// Puts what we charge into a vendor's `usage`.
    /// - Parameters:
    ///   - charge: nil where it cannot be told from these figures; the vendor's own must not stand in for it.
    ///   - base: what to add to the ranges, when the JSON is a part of a larger buffer.
    mutating func setCost(_ charge: NanoUSD?, in usage: JSONMember, _ bytes: Span<UInt8>, base: Int = 0) {
        if let cost = JSONPath.member("cost", of: usage.value.lowerBound, bytes) {
            replace(cost.value.lowerBound + base..<cost.value.upperBound + base, with: charge?.usdText ?? "null")
        } else if let charge {
            let comma = OpenAIFacts.isEmpty(usage, bytes) ? "" : ","
            insert("\(comma)\"cost\":\(charge.usdText)", at: usage.value.upperBound - 1 + base)
        }
    }
}

extension AnswerProgress {
    mutating func absorb(_ facts: OpenAIFacts, _ bytes: Span<UInt8>, usage: Usage?) {
        if facts.hasContent { hasContent = true }
        if let reason = facts.finish {
            hasFinishReason = true
            finish = reason
        }
        delivered = facts.text
        deliveredThoughts += facts.thoughts
        if let usage { self.usage = usage }
        if generationID == nil, let id = facts.id {
            let text = JSONText.string(bytes, value: id.value)
            if OpenAIDialect.isGenerationID(text) { generationID = text }
        }
        if serviceTier == nil, let tier = facts.serviceTier { serviceTier = JSONText.string(bytes, value: tier.value) }
        if servedModel == nil, let model = facts.model { servedModel = JSONText.string(bytes, value: model.value) }
    }
}
