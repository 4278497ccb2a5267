import NIOCore
import RouterCore

/// The client's bytes with the few changes that a vendor needs, made as splices: everything that is not named here stays as it
/// came, number text and unknown fields included.
struct OpenAIRequestBody {
    let call: UpstreamCall
    let rules: RequestRules
    let dialect: OpenAIDialect
    let usage: UsageRules

    private var envelope: RequestEnvelope { call.envelope }

    func spliced() -> ByteBuffer {
        let bytes = envelope.body.readableBytesUInt8Span
        let names = envelope.members.map { JSONText.string(bytes, content: $0.key) }
        var removed = removedMembers(names)
        var splice = BodySplice()
        // Insertions go right behind the opening brace and are added first, so that they precede a removal there.
        let insertions = insertedFields(names, &removed)
        if !insertions.isEmpty {
            let fields = insertions.joined(separator: ",")
            splice.insert(removed.count < names.count ? fields + "," : fields, at: openingBrace(bytes) + 1)
        }
        remove(removed, &splice)
        for (index, member) in envelope.members.enumerated() where !removed.contains(index) {
            edit(member, names[index], bytes, &splice)
        }
        return splice.applied(to: envelope.body)
    }

    // MARK: Which members go

    private func removedMembers(_ names: [String]) -> Set<Int> {
        var removed: Set<Int> = []
        let forced = Set(rules.set.map(\.name))
        let renamedFrom = Set(rules.rename.map(\.from))
        for (index, name) in names.enumerated() {
            if dialect.gatewayFields.contains(name) || rules.drop.contains(name) || forced.contains(name) {
                removed.insert(index)
            }
            // The new name wins over the old one.
            if renamedFrom.contains(name),
                let rename = rules.rename.first(where: { $0.from == name }), names.contains(rename.to)
            {
                removed.insert(index)
            }
        }
        return removed
    }

    /// Runs of removed members, each with the comma that has to go with it.
    private func remove(_ removed: Set<Int>, _ splice: inout BodySplice) {
        let members = envelope.members
        var first = 0
        while first < members.count {
            guard removed.contains(first) else {
                first += 1
                continue
            }
            var last = first
            while last + 1 < members.count, removed.contains(last + 1) { last += 1 }
            if last + 1 < members.count {
                splice.remove(members[first].whole.lowerBound..<members[last + 1].whole.lowerBound)
            } else if first > 0 {
                splice.remove(members[first - 1].whole.upperBound..<members[last].whole.upperBound)
            } else {
                splice.remove(members[first].whole.lowerBound..<members[last].whole.upperBound)
            }
            first = last + 1
        }
    }

    // MARK: What is added

    private func insertedFields(_ names: [String], _ removed: inout Set<Int>) -> [String] {
        var fields: [String] = []
        let present = Set(names.enumerated().filter { !removed.contains($0.offset) }.map(\.element))
            .union(rules.rename.filter { names.contains($0.from) }.map(\.to))
        for field in rules.defaults where !present.contains(field.name) { fields.append(member(field)) }
        for field in rules.set { fields.append(member(field)) }
        if asksForUsage, !present.contains("stream_options") {
            fields.append("\"stream_options\":{\"include_usage\":true}")
        }
        if let user = call.endUser, !present.contains("user") {
            fields.append("\"user\":" + JSONValue.string(user).text)
        }
        return fields
    }

    private func member(_ field: RequestRules.Field) -> String { JSONValue.string(field.name).text + ":" + field.json }

    /// We need the usage of every stream for the books.
    private var asksForUsage: Bool {
        envelope.isStream && envelope.endpoint != .embeddings && usage.streamUsageOption != false
            && !rules.drop.contains("stream_options")
    }

    // MARK: What is changed in place

    private func edit(_ member: JSONMember, _ name: String, _ bytes: Span<UInt8>, _ splice: inout BodySplice) {
        if name == "model", call.upstreamModel != envelope.model {
            splice.replace(member.value, with: JSONValue.string(call.upstreamModel).text)
        } else if name == "stream_options", asksForUsage {
            editStreamOptions(member, bytes, &splice)
        }
        if let rename = rules.rename.first(where: { $0.from == name }) {
            splice.replace(member.key, with: String(JSONValue.string(rename.to).text.dropFirst().dropLast()))
        }
    }

    private func editStreamOptions(
        _ member: JSONMember, _ bytes: Span<UInt8>, _ splice: inout BodySplice
    ) {
        guard member.kind == .object else {
            return splice.replace(member.value, with: "{\"include_usage\":true}")
        }
        if let flag = JSONPath.member("include_usage", of: member.value.lowerBound, bytes) {
            if !JSONScanner.equals(bytes, flag.value, "true") { splice.replace(flag.value, with: "true") }
            return
        }
        var inside = member.value.lowerBound + 1
        JSONScanner.skipWhitespace(bytes, &inside)
        let isEmpty = bytes[inside] == UInt8(ascii: "}")
        splice.insert(isEmpty ? "\"include_usage\":true" : "\"include_usage\":true,", at: member.value.lowerBound + 1)
    }

    private func openingBrace(_ bytes: Span<UInt8>) -> Int {
        var position = 0
        JSONScanner.skipWhitespace(bytes, &position)
        return position
    }
}
