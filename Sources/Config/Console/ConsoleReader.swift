import RouterCore
import Yams

/// Reads the channels and providers of the console with the rules of the files. Nothing here is fatal: what has errors is off, and says
/// why.
struct ConsoleReader {
    let console: ConsoleConfiguration
    /// As diagnostics name it.
    static let place = "console"

    private func cursor(_ members: [JSONValue.Member], _ collector: DiagnosticCollector) -> YAMLCursor {
        YAMLCursor(
            node: JSONNode.node(.object(members)), path: "",
            context: YAMLCursor.Context(file: Self.place, diagnostics: collector, expansion: .literal))
    }

    // MARK: Providers

    /// Adds the providers that files do not have.
    /// - Parameters:
    ///   - broken: names of provider files with errors; those with errors here are added.
    func addProviders(to providers: inout [String: ProviderSpec], broken: inout Set<String>, _ origins: inout ConfigOrigins) {
        for stored in console.providers {
            let collector = DiagnosticCollector()
            if origins.providers[stored.name] != nil {
                // The file wins; its channels go on as they are.
                collector.add(problem("name", "there is a provider file with this name; the file is used"))
                origins.providerNotes[stored.name] = collector.all
                continue
            }
            origins.providers[stored.name] = .console
            var members = stored.config.members.filter { !["name", "headers"].contains($0.name) }
            members.append(.init("name", .string(stored.name)))
            if !stored.headers.isEmpty { members.append(.init("headers", Self.object(stored.headers))) }
            let spec = ProviderFile.read(cursor(members, collector), fileName: stored.name)
            if let text = stored.problem { collector.add(problem("", text)) }
            origins.providerNotes[stored.name] = collector.all
            if let spec, collector.errors.isEmpty { providers[stored.name] = spec } else { broken.insert(stored.name) }
        }
    }

    private static func object(_ headers: [StaticHeader]) -> JSONValue {
        .object(headers.map { JSONValue.Member($0.name, .string($0.value.reveal())) })
    }

    private func problem(_ path: String, _ text: String) -> Diagnostic { Diagnostic(.error, file: Self.place, path: path, message: text) }

    // MARK: Channels

    /// - Parameters:
    ///   - others: the channels of the files, whose ids and names come first.
    /// - Returns: the channels that go into the table, and warnings for those that are off because of errors.
    func channels(
        _ file: ChannelsFile, others: [Channel], _ origins: inout ConfigOrigins
    ) -> (channels: [Channel], warnings: [Diagnostic]) {
        let taken = Set(others.map(\.id))
        var names = Set(others.map(\.name))
        var channels: [Channel] = []
        var warnings: [Diagnostic] = []
        // In the order in which they are given, the store's by id and a draft last: what speaks against two of one name is said of the
        // draft.
        for stored in console.channels {
            let collector = DiagnosticCollector()
            var channel = read(stored, file, collector)
            if !names.insert(channel.name).inserted {
                collector.add(problem("name", "another channel has the name \(channel.name)"))
            }
            let isDouble = taken.contains(stored.id)
            if isDouble { collector.add(problem("id", "a channel of channels.yaml has the id \(stored.id)")) }
            if let first = collector.errors.first {
                channel.isEnabled = false
                channel.disabledReason = (first.path.isEmpty ? "" : "\(first.path): ") + first.message
                warnings.append(
                    Diagnostic(
                        .warning, file: Self.place, path: "channel \(stored.id)",
                        message: "it is off: \(channel.disabledReason ?? "")"))
            }
            warnings += collector.warnings
            origins.channelNotes[stored.id] = collector.all
            if isDouble {
                origins.shadowed.append(channel)
            } else {
                origins.channels[stored.id] = .console
                channels.append(channel)
            }
        }
        return (channels, warnings)
    }

    private func read(
        _ stored: ConsoleConfiguration.Channel, _ file: ChannelsFile, _ collector: DiagnosticCollector
    ) -> Channel {
        let hidden = ["id", "keys", "proxy", "headers"]
        var members = stored.config.members.filter { !hidden.contains($0.name) }
        members.append(.init("id", .integer(stored.id)))
        if let keys = stored.secrets.keys { members.append(.init("keys", .array(keys.map { .string($0.reveal()) }))) }
        if let proxy = stored.secrets.proxy { members.append(.init("proxy", .string(proxy.reveal()))) }
        if !stored.secrets.headers.isEmpty { members.append(.init("headers", Self.object(stored.secrets.headers))) }
        let channel = file.readChannel(cursor(members, collector))
        if let text = stored.problem { collector.add(problem("", text)) }
        if let channel { return channel }
        // Enough to be listed, mended and deleted.
        let provider = stored.config["provider"]?.stringValue ?? ""
        return Channel(
            id: stored.id, name: stored.config["name"]?.stringValue ?? "channel \(stored.id)",
            provider: file.providers[provider] ?? ProviderSpec(name: provider, family: AdaptorID(rawValue: ""), baseURL: ""), keys: [],
            models: [], isEnabled: false)
    }
}

extension JSONValue {
    /// Those of an object; none for every other value.
    var members: [Member] { if case .object(let members) = self { members } else { [] } }
}
