/// A channel that takes model names which no file lists, ready to be asked: the same answers as ``Channel/match(_:listed:)``.
struct OpenEnded: Sendable {
    private struct Pattern: Sendable {
        var bytes: [UInt8]
        var isAnything: Bool
        var upstream: String?
        var timeouts: TimeoutOverrides
    }

    /// Its index in the table.
    private let channel: Int
    private let exact: [String: Channel.Model]
    private let patterns: [Pattern]
    /// What the provider lists; empty = anything.
    private let listed: Set<String>

    /// - Returns: nil for a channel that serves nothing but what is listed.
    init?(_ channel: Channel, at index: Int) {
        let open = channel.models.filter { $0.pattern.utf8.contains(UInt8(ascii: "*")) }
        guard !open.isEmpty, channel.provider.models.isEmpty || open.contains(where: { $0.upstream != nil }) else { return nil }
        self.channel = index
        let names = channel.models.filter { !$0.pattern.utf8.contains(UInt8(ascii: "*")) }
        exact = Dictionary(names.map { ($0.pattern, $0) }) { first, _ in first }
        patterns = open.map {
            Pattern(bytes: Array($0.pattern.utf8), isAnything: $0.pattern == "*", upstream: $0.upstream, timeouts: $0.timeouts)
        }
        listed = Set(channel.provider.models.map(\.id))
    }

    /// - Parameter bytes: of the model's name.
    func serving(_ model: String, _ bytes: [UInt8]) -> RouteTable.Serving? {
        if !exact.isEmpty, let found = exact[model] {
            return RouteTable.Serving(channel: channel, upstream: found.upstream ?? model, timeouts: found.timeouts)
        }
        guard let match = patterns.first(where: { $0.isAnything || Channel.matches($0.bytes, bytes) }) else { return nil }
        let upstream = match.upstream ?? model
        guard listed.isEmpty || listed.contains(upstream) else { return nil }
        return RouteTable.Serving(channel: channel, upstream: upstream, timeouts: match.timeouts)
    }
}
