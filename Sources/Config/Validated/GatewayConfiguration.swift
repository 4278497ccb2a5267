public import RouterCore

/// A complete and valid configuration. Only ``ConfigLoader`` creates one.
public struct GatewayConfiguration: Sendable {
    public struct Server: Sendable {
        public var host = "127.0.0.1"
        /// 0 = any free port (tests).
        public var port = 3000
        public var maxBodyBytes = 33_554_432
        public var drainTimeout = Duration.seconds(30)
        /// Number of event loops; nil = the number of cores that the process may use.
        public var threads: Int?
        /// Maximum number of concurrent model calls; more are refused with 503.
        public var maxCalls = 10_000
        /// Maximum number of client connections in all, and from one address (one /64 of IPv6); zero = no limit per address.
        public var maxConnections = 16_384
        public var maxConnectionsPerAddress = 1_024
        /// Sites whose pages may call the model areas from a browser: exact origins, or `*`.
        public var corsOrigins: [String] = []
        /// A new call that would wait longer than this for its event loop is refused with 503; zero = never.
        public var maxLag = Duration.milliseconds(200)
        /// Whether anyone may register.
        public var registration = false
        /// Peers whose `X-Forwarded-For` and `Forwarded` are trusted.
        public var trustedProxies: [AddressRange] = []
        /// The URL at which browsers reach this gateway; nil = the `Host` of the request.
        public var publicURL: PublicURL?
        public var sessions = Sessions()
    }

    /// Lifetimes of a login.
    public struct Sessions: Sendable {
        /// Maximum time without use.
        public var idle = Duration.seconds(12 * 3_600)
        /// Maximum total time.
        public var lifetime = Duration.seconds(7 * 86_400)

        public init() {}
    }

    /// `https://gateway.example.org`: an origin in the browsers' sense.
    public struct PublicURL: Sendable, Hashable {
        public var isHTTPS: Bool
        /// Host and, unless it is the scheme's default, port; in lower case.
        public var authority: String

        public var origin: String { (isHTTPS ? "https://" : "http://") + authority }

        /// - Returns: nil for anything but an http or https URL of a host, with or without a trailing slash.
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
        /// No holds, no charges, no rows: for a gateway whose users all belong to the operator, and for measuring the cost of metering.
        case off
    }
    public enum UnknownPrice: String, Sendable, CaseIterable { case reject, free }
    public enum DisconnectPolicy: String, Sendable, CaseIterable { case auto, cancel, drain }

    public struct Metering: Sendable {
        public var admission = Admission.standard
        public var defaultHoldOutputTokens: Int64 = 4096
        public var unknownPrice = UnknownPrice.reject
        public var onClientDisconnect = DisconnectPolicy.auto
        /// How long an upstream call is read for its usage after its client has left.
        public var drainTimeout = Duration.seconds(120)
        /// Maximum number of such calls at a time.
        public var maxDrains = 256
        /// Tokens per second that a model is assumed to reason at until its speed has been measured. Faster than most models that hide
        /// their reasoning (January 2026: 50 to 250), so that the estimate is not below the vendor's bill; the hold bounds it.
        public var thinkingRate: Int64 = 300
        /// The hold for models that are charged by the vendor's reported cost, before the group ratio.
        public var upstreamCostHold = NanoUSD(nanos: 500_000_000)
        /// The least that must remain of a balance, after all holds, when a hold is taken; negative = credit, positive = a reserve.
        public var overdraftFloor = NanoUSD.zero
        /// How long a request waits for money that exists but is leased to another gateway, or held by requests that are about to end.
        public var balanceWait = Duration.seconds(2)
        /// Top-level request fields that strict admission accepts in addition to the known ones: the operator knows that they cost nothing.
        public var strictFields: Set<String> = []
        /// After this time without renewal, other gateways may take this gateway's leases.
        public var leaseLifetime = Duration.seconds(120)
    }

    public enum Durability: String, Sendable, CaseIterable { case process, power }

    public struct Journal: Sendable {
        /// The failure that a journaled record survives: the end of the process, or a loss of power.
        public var durability = Durability.process
        /// Disk space for settlements while the ledger's database is away; further requests are refused then.
        public var maxBytes: Int64 = 1 << 30
        /// How long files are kept whose settlements are in the ledger, so that a ledger restored from a backup can be completed; zero =
        /// they are not kept.
        public var keep = Duration.seconds(86_400)
        /// Disk space for those files; the oldest are removed when they need more.
        public var keepBytes: Int64 = 1 << 30
    }

    public struct Log: Sendable {
        public enum Format: String, Sendable, CaseIterable { case text, json }
        public var level = "info"
        public var format = Format.text
    }

    /// The log of requests.
    public struct Logs: Sendable {
        /// How long its rows are kept; zero = for ever.
        public var keep = Duration.zero
    }

    public struct Models: Sendable {
        /// How often prices and limits are refreshed from vendors' lists; zero = only by command, nil = as each provider file says.
        public var syncInterval: Duration?
        /// URL of a price list in LiteLLM's form.
        public var priceList: String?
        /// The model of a moderation request that names none.
        public var moderation = "omni-moderation-latest"
    }

    /// Responses that can be asked for again.
    public struct Responses: Sendable {
        /// Whether any are kept.
        public var isStored = true
        public var keep = Duration.seconds(7 * 86_400)
        /// Bytes of all users, and of each.
        public var maxBytes: Int64 = 1 << 30
        public var maxBytesPerUser: Int64 = 64 << 20
        /// Maximum number of background responses that are not over, of all users and of each.
        public var maxBackground = 1_000
        public var maxBackgroundPerUser = 50
        /// How soon a vendor is asked for a background response that it makes, and how often at least later.
        public var pollInterval = Duration.seconds(2)
        public var maxPollInterval = Duration.seconds(60)

        public init() {}

        public var limits: ResponseStoreLimits { ResponseStoreLimits(total: maxBytes, perUser: maxBytesPerUser) }
    }

    public struct Batches: Sendable {
        /// Maximum number of lines of an input file.
        public var maxLines = 50_000
        /// Maximum number of batches of a user that are not settled.
        public var maxOpen = 100
        /// How soon a vendor is asked for a new batch, and how often at most and at least later.
        public var pollInterval = Duration.seconds(10)
        public var maxPollInterval = Duration.seconds(300)
    }

    /// The pages for people.
    public struct Console: Sendable {
        /// Readers of the rankings of models.
        public enum Rankings: String, Sendable, CaseIterable { case users, everyone, off }

        public var isEnabled = true
        public var rankings = Rankings.users

        public init() {}
    }

    /// Settings that only come from the environment.
    public struct Bootstrap: Sendable {
        public var rootPassword: Secret?
        public var rootAccessToken: Secret?
        public var rootToken: Secret?
        public var sessionSecret: Secret?
    }

    public var server = Server()
    /// Absolute or relative to the working directory; the gateway's own files are stored there.
    public var dataDirectory = "data"
    public var storage = StorageURL.sqlite(path: "data/apirouter.db")
    public var metering = Metering()
    public var journal = Journal()
    public var groups: [String: PriceRatio] = ["default": .one]
    /// Limits for each user of a group who has no limits of their own; groups without limits are left out.
    public var groupLimits: [String: RateLimits] = [:]
    /// The amounts that accounts have to recharge for a group, in the order of the amounts.
    public var levels: [AccountLevel] = []
    public var log = Log()
    public var logs = Logs()
    public var models = Models()
    public var responses = Responses()
    public var batches = Batches()
    public var console = Console()
    public var bootstrap = Bootstrap()
    public var providers: [ProviderSpec] = []
    public var routes = RouteTable(channels: [])
    public var warnings: [Diagnostic] = []
    public var origins = ConfigOrigins()
    /// Files and directories whose changes cause a reload.
    public var watchedPaths: [String] = []

    init() {}

    /// How often a vendor's list of models is read; nil = only by command. With a price list every list is read: it says which models there
    /// are to be priced.
    public func refreshInterval(of provider: ProviderSpec) -> Duration? {
        let interval = models.syncInterval ?? provider.catalogue.refresh ?? priceListInterval
        return interval == .zero ? nil : interval
    }

    /// How often the price list is read; nil = only by command, or there is none.
    public var priceListInterval: Duration? {
        guard models.priceList != nil, models.syncInterval != .zero else { return nil }
        return models.syncInterval ?? .seconds(86_400)
    }
}
