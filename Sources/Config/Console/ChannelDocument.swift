public import RouterCore

/// A channel in the words of channels.yaml.
public enum ChannelDocument {
    /// The entry of a channel as a JSON object, without keys, proxy and headers.
    public static func json(_ channel: Channel) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("name", .string(channel.name)), .init("provider", .string(channel.provider.name)),
            .init("models", .array(channel.models.map(model))), .init("weight", .integer(channel.weight)),
            .init("priority", .integer(channel.priority)), .init("groups", .array(channel.groups.sorted().map { .string($0) })),
            // Off for a reason of its own, not because somebody wants it.
            .init("enabled", .boolean(channel.isEnabled || channel.disabledReason != nil)),
        ]
        if let url = channel.baseURL { members.append(.init("base_url", .string(url))) }
        let timeouts = timeouts(channel.timeouts)
        if timeouts != .object([]) { members.append(.init("timeouts", timeouts)) }
        let limits = ChannelLimit.allCases.compactMap { limit in
            channel.limits[limit].map { JSONValue.Member(limit.rawValue, .integer($0)) }
        }
        if !limits.isEmpty { members.append(.init("limits", .object(limits))) }
        if let account = channel.account, account != (channel.provider.keysShareAccount ? channel.provider.name : nil) {
            members.append(.init("account", .string(account)))
        }
        if let probe = channel.probe {
            members.append(
                .init("probe", ["interval": .string(text(probe.interval)), "timeout": .string(text(probe.timeout))]))
        }
        if let conversion = channel.conversion { members.append(.init("conversion", .string(conversion.rawValue))) }
        if let cost = channel.cost { members.append(.init("cost", CostSection.json(cost))) }
        return .object(members)
    }

    private static func model(_ model: Channel.Model) -> JSONValue {
        let timeouts = timeouts(model.timeouts)
        guard model.upstream != nil || timeouts != .object([]) else { return .string(model.pattern) }
        var members = [JSONValue.Member("name", .string(model.pattern))]
        if let upstream = model.upstream { members.append(.init("upstream", .string(upstream))) }
        if timeouts != .object([]) { members.append(.init("timeouts", timeouts)) }
        return .object(members)
    }

    /// `{"first_byte": "30s"}`, with those that are set.
    public static func timeouts(_ timeouts: TimeoutOverrides) -> JSONValue {
        let all = [
            ("connect", timeouts.connect), ("first_byte", timeouts.firstByte), ("first_content", timeouts.firstContent),
            ("idle", timeouts.idle), ("total", timeouts.total),
        ]
        return .object(all.compactMap { name, value in value.map { .init(name, .string(text($0))) } })
    }

    private static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        return attoseconds == 0 ? "\(seconds)s" : "\(seconds * 1_000 + attoseconds / 1_000_000_000_000_000)ms"
    }

    // MARK: YAML

    /// Placeholders for what an export leaves out.
    public struct Placeholders: Sendable {
        /// Names of variables, one for each key.
        public var keys: [String]
        public var proxy: String?
        /// Headers with the names of the variables of their values.
        public var headers: [(name: String, variable: String)]

        public init(keys: [String], proxy: String? = nil, headers: [(name: String, variable: String)] = []) {
            self.keys = keys
            self.proxy = proxy
            self.headers = headers
        }

        var all: [String] { keys + [proxy].compactMap { $0 } + headers.map(\.variable) }
    }

    /// An entry for channels.yaml.
    /// - Parameter entry: as ``json(_:)`` has it; `id` comes before it.
    public static func yaml(id: Int64, _ entry: JSONValue, _ placeholders: Placeholders) -> String {
        var lines = placeholders.all.isEmpty ? [] : ["# Set in the environment or in .env: " + placeholders.all.joined(separator: ", ")]
        lines += ["channels:", "  - id: \(id)"]
        for member in entry.members where !member.value.isNull && member.name != "id" {
            lines.append("    \(member.name): \(flow(member.value))")
            if member.name == "provider" {
                if !placeholders.keys.isEmpty { lines.append("    keys: [\(placeholders.keys.map(reference).joined(separator: ", "))]") }
                if let proxy = placeholders.proxy { lines.append("    proxy: \(reference(proxy))") }
                let headers = placeholders.headers.map { "\(quoted($0.name)): \(reference($0.variable))" }
                if !headers.isEmpty { lines.append("    headers: { \(headers.joined(separator: ", ")) }") }
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func reference(_ variable: String) -> String { "\"${\(variable)}\"" }

    /// JSON's quotes are YAML's double quotes; a reference is written so that it stays text.
    private static func quoted(_ text: String) -> String {
        var output = ""
        for character in JSONValue.string(text).text {
            // `$${` is a literal `${`.
            if character == "{", output.hasSuffix("$") { output += "$" }
            output.append(character)
        }
        return output
    }

    private static func flow(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .array(let elements): "[" + elements.map(flow).joined(separator: ", ") + "]"
        case .object(let members): "{ " + members.map { "\(quoted($0.name)): \(flow($0.value))" }.joined(separator: ", ") + " }"
        default: value.text
        }
    }
}
