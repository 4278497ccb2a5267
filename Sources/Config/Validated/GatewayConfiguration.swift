public import RouterCore

/// A whole configuration that has been found valid. Only ``ConfigLoader`` makes one.
public struct GatewayConfiguration: Sendable {
    public struct Server: Sendable {
        public var host = "127.0.0.1"
        /// 0 = any free port (tests).
        public var port = 3000
        public var maxBodyBytes = 33_554_432
        public var drainTimeout = Duration.seconds(30)
        /// Event loops; nil = as many as the process may use cores.
        public var threads: Int?
        /// Model calls at work at a time; more are refused with 503.
        public var maxCalls = 10_000
        /// Client connections in all, and from one address (one /64 of IPv6); zero = no limit of its own for an address.
        public var maxConnections = 16_384
        public var maxConnectionsPerAddress = 1_024
        /// Whose pages may call the model areas from a browser: exact origins, or `*`.
        public var corsOrigins: [String] = []
        /// When a new call would wait longer than this for its event loop, it is refused with 503; zero = never.
        public var maxLag = Duration.milliseconds(200)
        /// Whether strangers may register.
        public var registration = false
        /// Peers whose `X-Forwarded-For` and `Forwarded` are believed.
        public var trustedProxies: [AddressRange] = []
        /// Where browsers find this gateway; nil = at the `Host` that they name.
        public var publicURL: PublicURL?
        public var sessions = Sessions()
    }

    /// How long a login lasts.
    public struct Sessions: Sendable {
        /// Without use.
        public var idle = Duration.seconds(12 * 3_600)
        /// In all.
        public var lifetime = Duration.seconds(7 * 86_400)

        public init() {}
    }

    /// `https://gateway.example.org`: what browsers call an origin.
    public struct PublicURL: Sendable, Hashable {
        public var isHTTPS: Bool
        /// Host and, unless it is the scheme's own, port; in small letters.
        public var authority: String

        public var origin: String { (isHTTPS ? "https://" : "http://") + authority }

        /// - Returns: nil for anything but an http or https URL of a host, with or without a slash behind it.
        public init?(_ text: String) {
            let lower = text.lowercased()
            isHTTPS = lower.hasPrefix("https://")
            guard isHTTPS || lower.hasPrefix("http://") else { return nil }
            var rest = lower.dropFirst(isHTTPS ? 8 : 7)
            if rest.hasSuffix("/") { rest.removeLast() }
            let isPlain = rest.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || [0x2D, 0x2E, 0x3A, 0x5B, 0x5D, 0x5F].contains(byte)
            }
            guard isPlain, !rest.isEmpty, rest.utf8.count <= 255, !rest.hasPrefix(":"), !rest.hasSuffix(":") else { return nil }
            let port = isHTTPS ? ":443" : ":80"
            authority = String(rest.hasSuffix(port) ? rest.dropLast(port.count) : rest)
        }
    }

    public enum StorageURL: Sendable {
        case sqlite(path: String)
        case postgres(Secret)
    }

    public enum Admission: String, Sendable, CaseIterable {
        case standard, strict
        /// No holds, no charges, no rows: for a gateway whose users are all the operator's own, and for measuring what the books cost.
        case off
    }
    public enum UnknownPrice: String, Sendable, CaseIterable { case reject, free }
    public enum DisconnectPolicy: String, Sendable, CaseIterable { case auto, cancel, drain }

    public struct Metering: Sendable {
        public var admission = Admission.standard
        public var defaultHoldOutputTokens: Int64 = 4096
        public var unknownPrice = UnknownPrice.reject
        public var onClientDisconnect = DisconnectPolicy.auto
        /// How long an upstream call is read on for its figures after its client has left.
        public var drainTimeout = Duration.seconds(120)
        /// How many such calls there may be at a time.
        public var maxDrains = 256
        /// Tokens a second that a model is taken to think with while nobody has measured it. Faster than most models
        /// that hide their thoughts (January 2026: 50 to 250), so that a guess does not fall short of the vendor's
        /// bill; the hold bounds it.
        public var thinkingRate: Int64 = 300
        /// What is held for models that are charged by the vendor's reported cost, before the group ratio.
        public var upstreamCostHold = NanoUSD(nanos: 500_000_000)
        /// What a balance less the holds must not go below when a hold is taken; negative = credit, positive = a reserve.
        public var overdraftFloor = NanoUSD.zero
        /// How long a request waits for money that is there, but leased to another gateway or held by requests that are about to end.
        public var balanceWait = Duration.seconds(2)
        /// Top-level fields of requests, beside those that are known, that strict admission takes: the operator knows that they cost
        /// nothing.
        public var strictFields: Set<String> = []
        /// After this time without renewal other gateways may take this one's leases.
        public var leaseLifetime = Duration.seconds(120)
    }

    public enum Durability: String, Sendable, CaseIterable { case process, power }

    public struct Journal: Sendable {
        /// What a journaled record survives: the end of the process, or of the machine's power.
        public var durability = Durability.process
        /// Disk space for settlements while the ledger's database is away; further requests are refused then.
        public var maxBytes: Int64 = 1 << 30
        /// For how long files stay whose settlements the ledger has, so that a ledger restored from a backup can be completed; zero = not
        /// at all.
        public var keep = Duration.seconds(86_400)
        /// Disk space for those files; the oldest goes when they need more.
        public var keepBytes: Int64 = 1 << 30
    }

    public struct Log: Sendable {
        public enum Format: String, Sendable, CaseIterable { case text, json }
        public var level = "info"
        public var format = Format.text
    }

    public struct Models: Sendable {
        /// How often prices and limits are refreshed from vendors' lists; nil = only by command.
        public var syncInterval: Duration?
        /// What a request for moderation means that names no model.
        public var moderation = "omni-moderation-latest"
    }

    /// From the environment only.
    public struct Bootstrap: Sendable {
        public var rootPassword: Secret?
        public var rootAccessToken: Secret?
        public var rootToken: Secret?
        public var sessionSecret: Secret?
    }

    public var server = Server()
    /// Absolute or relative to the working directory; files of the gateway's own live there.
    public var dataDirectory = "data"
    public var storage = StorageURL.sqlite(path: "data/apirouter.db")
    public var metering = Metering()
    public var journal = Journal()
    public var groups: [String: PriceRatio] = ["default": .one]
    /// What each user of a group may do who has no limits of their own; groups without any are left out.
    public var groupLimits: [String: RateLimits] = [:]
    public var log = Log()
    public var models = Models()
    public var bootstrap = Bootstrap()
    public var providers: [ProviderSpec] = []
    public var routes = RouteTable(channels: [])
    public var warnings: [Diagnostic] = []
    /// Files and folders whose change is a reason to reload.
    public var watchedPaths: [String] = []

    init() {}
}
