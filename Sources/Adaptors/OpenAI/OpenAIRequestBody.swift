import NIOCore
import RouterCore

/// The client's bytes with the few changes that a vendor needs, made as splices: everything that is not named here stays as it
/// came, number text and unknown fields included.
///
/// The changes are worked out on a list of the top-level fields, one step after the other, and then written in one copy: what the
/// gateway needs first, then the provider file's rename, drop, default and set, so that the file has the last word.
struct OpenAIRequestBody {
    private let call: UpstreamCall
    private let rules: RequestRules
    private let dialect: OpenAIDialect
    private let usage: UsageRules
    private var fields: [Field] = []

    init(call: UpstreamCall, rules: RequestRules, dialect: OpenAIDialect, usage: UsageRules) {
        self.call = call
        self.rules = rules
        self.dialect = dialect
        self.usage = usage
    }

    /// A top-level field of the body that goes upstream.
    private struct Field {
        var name: String
        /// Its place among the client's members; nil = added.
        var member: Int?
        /// The new value as JSON text; nil = the client's bytes.
        var json: String?
        var isRenamed = false
        /// `stream_options` of the client, to which `include_usage` is added.
        var asksForUsage = false
    }

    private var envelope: RequestEnvelope { call.envelope }

    func spliced() -> ByteBuffer {
        var copy = self
        copy.plan()
        return copy.write()
    }

    // MARK: What changes

    private mutating func plan() {
        let bytes = envelope.body.readableBytesUInt8Span
        for (index, member) in envelope.members.enumerated() {
            let name = JSONText.string(bytes, content: member.key)
            if !dialect.gatewayFields.contains(name) { fields.append(Field(name: name, member: index)) }
        }
        switch call.hostPreferences {
        case .replaced(let json) where has("provider"): set("provider", json)
        case .nothing: fields.removeAll { $0.name == "provider" }
        default: break
        }
        if dialect.boundsHostPrices, let json = preferences(bytes), let bounded = HostPrices.bounded(json, by: call.quote.price) {
            set("provider", bounded.text)
        }
        if call.upstreamModel != envelope.model, !envelope.endpoint.dialect.namesModelInPath {
            set("model", JSONValue.string(call.upstreamModel).text)
        }
        // A vendor is not asked to keep what the gateway keeps, or what it never keeps.
        if envelope.endpoint == .responses {
            let keeps = call.channel.provider.keepsResponses
            if has("store") ? call.kept != nil || !keeps : call.kept != nil && keeps { set("store", "false") }
        }
        // We need the usage of every stream for the books.
        if envelope.isStream, envelope.endpoint.hasStreamOptions, usage.streamUsageOption != false {
            askForUsage()
        }
        for rename in rules.rename where rename.from != rename.to {
            if has(rename.to) {
                fields.removeAll { $0.name == rename.from }
            } else {
                for index in fields.indices where fields[index].name == rename.from {
                    fields[index].name = rename.to
                    fields[index].isRenamed = true
                }
            }
        }
        // Many vendors know no `store` in chat; where responses are kept, leaving it out would mean true.
        let keeps = envelope.endpoint == .responses && call.channel.provider.keepsResponses
        fields.removeAll { rules.drop.contains($0.name) && !(keeps && $0.name == "store") }
        for field in rules.defaults where !has(field.name) { set(field.name, field.json) }
        for field in rules.set { set(field.name, field.json) }
    }

    /// The `provider` object that would go on.
    private func preferences(_ bytes: Span<UInt8>) -> JSONValue? {
        guard let field = fields.last(where: { $0.name == "provider" }) else { return nil }
        let json = field.json ?? field.member.map { JSONText.raw(bytes, envelope.members[$0].value) }
        return json.flatMap { try? JSONValue(parsing: ByteBuffer(string: $0)) }
    }

    private func has(_ name: String) -> Bool { fields.contains { $0.name == name } }

    private mutating func set(_ name: String, _ json: String) {
        guard has(name) else { return fields.append(Field(name: name, json: json)) }
        for index in fields.indices where fields[index].name == name { fields[index].json = json }
    }

    private mutating func askForUsage() {
        guard has("stream_options") else { return set("stream_options", "{\"include_usage\":true}") }
        for index in fields.indices where fields[index].name == "stream_options" { fields[index].asksForUsage = true }
    }

    // MARK: Writing

    private func write() -> ByteBuffer {
        let bytes = envelope.body.readableBytesUInt8Span
        var splice = BodySplice()
        var kept: Set<Int> = []
        for case (let field, let index?) in fields.map({ ($0, $0.member) }) {
            kept.insert(index)
            let member = envelope.members[index]
            if field.isRenamed { splice.replace(member.key, with: String(quoted(field.name).dropFirst().dropLast())) }
            if let json = field.json {
                splice.replace(member.value, with: json)
            } else if field.asksForUsage {
                editStreamOptions(member, bytes, &splice)
            }
        }
        // Added fields go right behind the opening brace.
        let added = fields.filter { $0.member == nil }.map { quoted($0.name) + ":" + ($0.json ?? "null") }
        if !added.isEmpty {
            var brace = 0
            JSONScanner.skipWhitespace(bytes, &brace)
            splice.insert(added.joined(separator: ",") + (kept.isEmpty ? "" : ","), at: brace + 1)
        }
        splice.remove(from: envelope.members, except: kept)
        return splice.applied(to: envelope.body)
    }

    private func quoted(_ text: String) -> String { JSONValue.string(text).text }

    private func editStreamOptions(_ member: JSONMember, _ bytes: Span<UInt8>, _ splice: inout BodySplice) {
        guard member.kind == .object else { return splice.replace(member.value, with: "{\"include_usage\":true}") }
        if let flag = JSONPath.member("include_usage", of: member.value.lowerBound, bytes) {
            if !JSONScanner.equals(bytes, flag.value, "true") { splice.replace(flag.value, with: "true") }
            return
        }
        let comma = OpenAIFacts.isEmpty(member, bytes) ? "" : ","
        splice.insert("\"include_usage\":true\(comma)", at: member.value.lowerBound + 1)
    }
}
