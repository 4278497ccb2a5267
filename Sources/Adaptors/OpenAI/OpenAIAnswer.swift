import NIOCore
import RouterCore

/// Reads a whole answer, and makes the two changes that bytes of the same family get: the public model name where the channel
/// renamed it, and what *we* charge in `usage.cost`.
struct OpenAIAnswer {
    let call: UpstreamCall
    let spec: ProviderSpec
    let dialect: OpenAIDialect

    func decode(_ body: ByteBuffer) throws(UpstreamFailure) -> WholeAnswer {
        let bytes = body.readableBytesUInt8Span
        let facts: OpenAIFacts
        do throws(JSONScanError) {
            facts = try OpenAIFacts(bytes, end: bytes.count)
        } catch {
            throw UpstreamFailure(kind: .malformed, detail: "the answer is no JSON object: \(error)")
        }
        if facts.error != nil || facts.choiceError != nil || facts.endedInError {
            let errors = OpenAIErrors(spec: spec, dialect: dialect)
            throw errors.inBand(raw(facts.error ?? facts.choiceError, bytes), hasContent: false)
        }
        var progress = AnswerProgress()
        progress.absorb(facts, bytes, usage: usage(facts, bytes))
        if let data = facts.data, data.kind == .array { progress.hasContent = true }
        progress.isDone = true
        var splice = BodySplice()
        edit(facts, bytes, progress.usage, base: 0, &splice)
        return WholeAnswer(body: splice.applied(to: body), progress: progress)
    }

    func usage(_ facts: OpenAIFacts, _ bytes: Span<UInt8>, root: Int = 0) -> Usage? {
        guard let member = facts.usage else { return nil }
        var start = root
        JSONScanner.skipWhitespace(bytes, &start)
        return OpenAIUsage(rules: spec.usage, dialect: dialect).read(bytes, usage: member.value.lowerBound, root: start)
    }

    func raw(_ member: JSONMember?, _ bytes: Span<UInt8>) -> String? {
        member.map { JSONText.raw(bytes, $0.value) }
    }

    /// - Parameter base: what to add to the ranges, when the JSON is a part of a larger buffer.
    func edit(
        _ facts: OpenAIFacts, _ bytes: Span<UInt8>, _ usage: Usage?, base: Int, _ splice: inout BodySplice
    ) {
        if call.upstreamModel != call.model, let model = facts.model {
            splice.replace(shift(model.value, base), with: JSONValue.string(call.model).text)
        }
        guard let member = facts.usage, let usage, let charge = try? call.quote.charge(for: usage) else { return }
        if let cost = JSONPath.member("cost", of: member.value.lowerBound, bytes) {
            splice.replace(shift(cost.value, base), with: charge.usdText)
        } else {
            let end = member.value.upperBound - 1
            var first = member.value.lowerBound + 1
            JSONScanner.skipWhitespace(bytes, &first)
            splice.insert("\(first == end ? "" : ",")\"cost\":\(charge.usdText)", at: end + base)
        }
    }

    private func shift(_ range: Range<Int>, _ base: Int) -> Range<Int> {
        range.lowerBound + base..<range.upperBound + base
    }
}

extension AnswerProgress {
    mutating func absorb(_ facts: OpenAIFacts, _ bytes: Span<UInt8>, usage: Usage?) {
        if facts.hasContent { hasContent = true }
        if facts.hasFinishReason { hasFinishReason = true }
        deliveredASCII += facts.ascii
        deliveredOther += facts.other
        if let usage { self.usage = usage }
        if generationID == nil, let id = facts.id {
            let text = JSONText.string(bytes, value: id.value)
            if OpenAIDialect.isGenerationID(text) { generationID = text }
        }
        if servedModel == nil, let model = facts.model { servedModel = JSONText.string(bytes, value: model.value) }
    }
}
