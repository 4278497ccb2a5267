public import RouterCore

/// Everything that the console has stored in the ledger's database, opened and parsed: one more source of a configuration beside the files.
/// ``ConfigLoader`` reads no database; whoever loads a configuration passes this in.
public struct ConsoleConfiguration: Sendable, Hashable {
    public struct Channel: Sendable, Hashable {
        public var id: Int64
        /// The keys of an entry of channels.yaml as a JSON object, without secrets.
        public var config: JSONValue
        public var secrets: ChannelSecrets
        /// Why the row cannot be used at all (its seal does not open, its text is no JSON); the channel is off then.
        public var problem: String?

        public init(id: Int64, config: JSONValue, secrets: ChannelSecrets = ChannelSecrets(), problem: String? = nil) {
            self.id = id
            self.config = config
            self.secrets = secrets
            self.problem = problem
        }
    }

    /// The parts of a channel that are never shown.
    public struct ChannelSecrets: Sendable, Hashable {
        /// nil = the key that the provider names (`key_env`).
        public var keys: [Secret]?
        public var proxy: Secret?
        /// In order.
        public var headers: [StaticHeader]

        public init(keys: [Secret]? = nil, proxy: Secret? = nil, headers: [StaticHeader] = []) {
            self.keys = keys
            self.proxy = proxy
            self.headers = headers
        }

        public var isEmpty: Bool { keys == nil && proxy == nil && headers.isEmpty }
    }

    public struct Provider: Sendable, Hashable {
        public var name: String
        /// The keys of a provider file as a JSON object, without `headers`.
        public var config: JSONValue
        /// In order; their values are never shown.
        public var headers: [StaticHeader]
        public var problem: String?

        public init(name: String, config: JSONValue, headers: [StaticHeader] = [], problem: String? = nil) {
            self.name = name
            self.config = config
            self.headers = headers
            self.problem = problem
        }
    }

    public var channels: [Channel]
    public var providers: [Provider]
    /// Values of `${NAME}` in the keys of channels.yaml, where the environment has none.
    public var secrets: [String: Secret]
    /// Sealed secrets that cannot be opened, by name, with the reason.
    public var secretProblems: [String: String]

    public init(
        channels: [Channel] = [], providers: [Provider] = [], secrets: [String: Secret] = [:], secretProblems: [String: String] = [:]
    ) {
        self.channels = channels
        self.providers = providers
        self.secrets = secrets
        self.secretProblems = secretProblems
    }

    public var isEmpty: Bool { channels.isEmpty && providers.isEmpty && secrets.isEmpty && secretProblems.isEmpty }
}

/// Providers of the console that channels.yaml may name, for those who load a configuration without the ledger's database. Their channels
/// are off, with a warning; every other unknown name is an error.
public enum UnseenProviders: Sendable, Hashable {
    /// Every name without a file may be in the console: the configuration is only good for finding the database, or for what needs no
    /// channels.
    case any
    case named(Set<String>)

    func has(_ name: String) -> Bool {
        switch self {
        case .any: true
        case .named(let names): names.contains(name)
        }
    }
}

/// The place where a channel or a provider is declared.
public enum ConfigSource: Sendable, Hashable {
    /// - Parameter line: from 1.
    case file(String, line: Int)
    case console
}

/// Where the parts of a configuration come from, and what is wrong with those of the console.
public struct ConfigOrigins: Sendable, Hashable {
    public enum SecretState: String, Sendable, CaseIterable {
        case environment, console, missing
    }

    public internal(set) var channels: [Int64: ConfigSource] = [:]
    public internal(set) var providers: [String: ConfigSource] = [:]
    /// Providers that channels.yaml names, that no file declares, and that may be in the console, which was not passed in.
    public internal(set) var unseenProviders: Set<String> = []
    /// Variables that a channel's keys name, in order; without those that have a default.
    public internal(set) var keyNames: [Int64: [String]] = [:]
    /// Where the value of each of them comes from.
    public internal(set) var secrets: [String: SecretState] = [:]
    /// Errors and warnings of channels and providers of the console, which are off because of errors. `path` is the field.
    public internal(set) var channelNotes: [Int64: [Diagnostic]] = [:]
    public internal(set) var providerNotes: [String: [Diagnostic]] = [:]
    /// Channels of the console that are not in the table, because a file's channel has their id.
    public internal(set) var shadowed: [Channel] = []

    /// Variables of a channel's keys that have no value anywhere.
    public func missingSecrets(_ channelID: Int64) -> [String] {
        (keyNames[channelID] ?? []).filter { secrets[$0] == .missing }
    }
}
