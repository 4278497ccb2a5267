import RouterCore
import Yams

/// `channels.yaml`.
struct ChannelsFile {
    let providers: [String: ProviderSpec]
    /// Names of provider files that exist but have errors.
    let brokenProviders: Set<String>
    let groups: Set<String>
    let environment: [String: String]
    /// Values for keys whose variable the environment does not have.
    var secrets: [String: Secret] = [:]
    /// Names of providers of the console.
    var storedProviders: Set<String> = []
    var unseen = UnseenProviders.named([])
    /// Filled while channels are read.
    let notes = Notes()

    /// Facts about channels beside their values. Confined to one load.
    final class Notes {
        var sources: [Int64: ConfigSource] = [:]
        var keyNames: [Int64: [String]] = [:]
        var unseenProviders: Set<String> = []
    }

    func read(_ cursor: YAMLCursor) -> (channels: [Channel], models: [ModelRouting]) {
        guard let root = cursor.object(["channels", "models"]) else { return ([], []) }
        let models = root["models"].map(readModelRules) ?? []
        guard let list = root.require("channels")?.list("a list of channels") else { return ([], models) }
        return (readChannels(list), models)
    }

    private func readChannels(_ list: [YAMLCursor]) -> [Channel] {
        var ids: Set<Int64> = []
        var names: Set<String> = []
        return list.compactMap { entry in
            guard let channel = readChannel(entry) else { return nil }
            if !ids.insert(channel.id).inserted { entry.error("the id \(channel.id) is used twice") }
            if !names.insert(channel.name).inserted { entry.error("the name \(channel.name) is used twice") }
            notes.sources[channel.id] = .file(entry.context.file, line: entry.node.mark?.line ?? 1)
            return channel
        }
    }

    /// An entry of `channels:`, or a stored channel in the same form.
    func readChannel(_ cursor: YAMLCursor) -> Channel? {
        let keys = [
            "id", "name", "provider", "keys", "models", "weight", "priority", "groups", "enabled", "base_url", "proxy",
            "headers", "timeouts", "limits", "account", "probe", "conversion", "cost",
        ]
        guard let object = cursor.object(keys) else { return nil }
        let id = object.require("id")?.integer(1...1_000_000_000)
        let name = object.require("name")?.string("a name")
        let provider = object.require("provider").flatMap(readProvider)
        let models = readModels(object)
        guard let id, let name, let provider else { return nil }
        var channel = Channel(id: id, name: name, provider: provider, keys: [], models: [])
        channel.isEnabled = object["enabled"]?.boolean() ?? true
        if let weight = object["weight"]?.integer(0...1_000_000) { channel.weight = UInt32(weight) }
        if let priority = object["priority"]?.integer(-1_000_000...1_000_000) { channel.priority = Int(priority) }
        channel.models = models
        if let groups = object["groups"] { channel.groups = readGroups(groups) }
        if let url = object["base_url"] { channel.baseURL = CommonSections.baseURL(url) }
        if let proxy = object["proxy"] { channel.proxy = readProxy(proxy) }
        if let headers = object["headers"] { channel.headers = CommonSections.headers(headers) }
        if let timeouts = object["timeouts"] { channel.timeouts = TimeoutKeys.overrides(timeouts) }
        if let limits = object["limits"] { channel.limits = CommonSections.limits(limits) }
        channel.account = object["account"]?.string("a name") ?? (provider.keysShareAccount ? provider.name : nil)
        channel.conversion = object["conversion"]?.choice(ConversionMode.self)
        if let probe = object["probe"] { channel.probe = readProbe(probe) }
        if let cost = object["cost"] { channel.cost = CostSection.read(cost, of: channel) }
        if brokenProviders.contains(provider.name) {
            channel.isEnabled = false
            let isStored = storedProviders.contains(provider.name)
            channel.disabledReason = "the provider \(isStored ? provider.name : "file \(provider.name).yaml") has errors"
        } else if notes.unseenProviders.contains(provider.name) {
            channel.isEnabled = false
            let reason = "no file declares the provider \(provider.name), and the console was not asked"
            channel.disabledReason = reason
            object["provider"]?.warning("the channel \(name) is off: \(reason)")
        }
        readKeys(object, provider, &channel)
        return channel
    }

    private func readProvider(_ cursor: YAMLCursor) -> ProviderSpec? {
        guard let name = cursor.string("the name of a provider file") else { return nil }
        if let spec = providers[name] { return spec }
        if !brokenProviders.contains(name), unseen.has(name) { notes.unseenProviders.insert(name) }
        if brokenProviders.contains(name) || unseen.has(name) {
            return ProviderSpec(name: name, family: AdaptorID(rawValue: ""), baseURL: "")
        }
        let known = providers.keys.sorted()
        let nearest = NearestWord.suggestion(for: name, among: known)
        cursor.mismatch(
            nearest.isEmpty ? "the name of a file in providers_dir (\(known.joined(separator: ", ")))" : "a provider",
            suggestion: nearest)
        return nil
    }

    private func readModels(_ object: YAMLObject) -> [Channel.Model] {
        guard let list = object.require("models")?.list("a list of model names, patterns or { name, upstream }") else {
            return []
        }
        return list.compactMap { entry in
            if case .mapping = entry.node {
                guard let pair = entry.object(["name", "upstream", "timeouts"]),
                    let name = pair.require("name").flatMap(CommonSections.modelName)
                else { return nil }
                return Channel.Model(
                    pattern: name, upstream: pair["upstream"].flatMap(CommonSections.modelName),
                    timeouts: pair["timeouts"].map(TimeoutKeys.overrides) ?? TimeoutOverrides())
            }
            return CommonSections.modelName(entry).map { Channel.Model(pattern: $0) }
        }
    }

    /// `models:` of channels.yaml: routing rules for some models.
    private func readModelRules(_ cursor: YAMLCursor) -> [ModelRouting] {
        var seen: Set<String> = []
        return (cursor.list("a list of { name, strategy, affinity, max_attempts, timeouts }") ?? []).compactMap { entry in
            guard let object = entry.object(["name", "strategy", "affinity", "max_attempts", "timeouts"]),
                let name = object.require("name").flatMap(CommonSections.modelName)
            else { return nil }
            if !seen.insert(name).inserted { entry.error("the model \(name) is listed twice") }
            return ModelRouting(
                pattern: name, strategy: object["strategy"]?.choice(among: RoutingStrategy.configurable),
                affinity: object["affinity"]?.choice(Affinity.self),
                maxAttempts: object["max_attempts"]?.integer(RoutingKeys.maxAttempts).map { Int($0) },
                timeouts: object["timeouts"].map(TimeoutKeys.overrides) ?? TimeoutOverrides())
        }
    }

    private func readProbe(_ cursor: YAMLCursor) -> Channel.Probe? {
        guard let object = cursor.object(["interval", "timeout"]), let interval = object.require("interval")?.duration() else {
            return nil
        }
        guard interval >= .seconds(1) else {
            object["interval"]?.mismatch("a duration of at least 1s")
            return nil
        }
        return Channel.Probe(interval: interval, timeout: object["timeout"]?.duration() ?? .seconds(10))
    }

    private func readGroups(_ cursor: YAMLCursor) -> Set<String> {
        let known = groups.sorted()
        let names = (cursor.list("a list of group names") ?? []).compactMap { entry -> String? in
            guard let name = entry.string("a group name") else { return nil }
            guard groups.contains(name) else {
                entry.mismatch(
                    "a group of gateway.yaml (\(known.joined(separator: ", ")))",
                    suggestion: NearestWord.suggestion(for: name, among: known))
                return nil
            }
            return name
        }
        return Set(names)
    }

    private func readProxy(_ cursor: YAMLCursor) -> Secret? {
        guard let text = cursor.string("a proxy URL") else { return nil }
        guard ["http://", "https://", "socks5://", "socks5h://"].contains(where: { text.hasPrefix($0) }) else {
            cursor.error("expected a URL that begins with http://, https://, socks5:// or socks5h://")
            return nil
        }
        return Secret(text)
    }

    // MARK: Keys

    /// Keys whose variable is unset are left out, with one warning; a channel without any key is off.
    private func readKeys(_ object: YAMLObject, _ provider: ProviderSpec, _ channel: inout Channel) {
        guard provider.auth != .none else { return }
        var unset: [String] = []
        var names: [String] = []
        // The environment wins. Only keys are read with these: a secret that an admin gives must not be able to become an address.
        let given = environment.filter { !$0.value.isEmpty }
        let expansion = Expansion(environment: secrets.mapValues { $0.reveal() }.merging(given) { _, real in real })
        if let cursor = object["keys"] {
            for entry in cursor.list("a list of keys, such as [\"${NAME}\"]") ?? [] {
                if !entry.context.expansion.isLiteral { names += Expansion.names(in: entry.node.scalar?.string ?? "") }
                switch entry.scalar("a key") {
                case .value(let scalar):
                    if scalar.isNull { entry.error("the key is empty") } else { add(scalar.text, entry, &channel) }
                case .unset(let missing):
                    if case .expanded(let text) = expansion.expand(entry.node.scalar?.string ?? "") {
                        add(text, entry, &channel)
                    } else {
                        unset += missing.filter { expansion.environment[$0] == nil }
                    }
                case .none: break
                }
            }
        } else if let name = provider.keyEnv {
            names.append(name)
            if let key = expansion.environment[name] { channel.keys.append(Secret(key)) } else { unset.append(name) }
        }
        // A stored channel that has a file's id is not in use.
        if notes.keyNames[channel.id] == nil { notes.keyNames[channel.id] = names }
        guard channel.isEnabled else { return }
        let list = unset.joined(separator: ", ")
        let variables = unset.count == 1 ? "environment variable \(list) is" : "environment variables \(list) are"
        if channel.keys.isEmpty {
            channel.isEnabled = false
            channel.disabledReason = unset.isEmpty ? "it has no key" : "\(variables) not set"
            object.cursor.warning("the channel \(channel.name) is off: \(channel.disabledReason ?? "")")
        } else if !unset.isEmpty {
            object.cursor.warning("the channel \(channel.name) runs with fewer keys: \(variables) not set")
        }
    }

    private func add(_ text: String, _ entry: YAMLCursor, _ channel: inout Channel) {
        if text.isEmpty {
            entry.error("the key is empty")
        } else if text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) {
            entry.error("a key must not have spaces or line breaks")
        } else {
            channel.keys.append(Secret(text))
        }
    }
}
