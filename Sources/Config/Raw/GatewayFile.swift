import RouterCore

/// `gateway.yaml`.
struct GatewayFile {
    var configuration = GatewayConfiguration()
    var routing = RoutingSettings()
    var providersDirectory = "../providers"
    var channelsFile = "channels.yaml"
    /// Folder of the file, for relative paths.
    let folder: String

    /// A million dollars: more is a slip of the finger.
    private static let largestFloor: Int64 = 1_000_000_000_000_000

    init(_ cursor: YAMLCursor, folder: String) {
        self.folder = folder
        configuration.dataDirectory = Paths.join(folder, "../data")
        guard
            let root = cursor.object([
                "server", "data_dir", "storage", "providers_dir", "channels", "routing", "metering", "journal", "groups", "log",
                "models",
            ])
        else { return }
        if let server = root["server"] { readServer(server) }
        if let path = root["data_dir"]?.string("a path") { configuration.dataDirectory = Paths.join(folder, path) }
        configuration.storage = .sqlite(path: configuration.dataDirectory + "/apirouter.db")
        if let storage = root["storage"] { readStorage(storage) }
        if let path = root["providers_dir"]?.string("a path") { providersDirectory = path }
        if let path = root["channels"]?.string("a path") { channelsFile = path }
        if let routing = root["routing"] { readRouting(routing) }
        if let metering = root["metering"] { readMetering(metering) }
        if let journal = root["journal"] { readJournal(journal) }
        if let groups = root["groups"] { readGroups(groups) }
        if let log = root["log"] { readLog(log) }
        if let models = root["models"] { readModels(models) }
    }

    private mutating func readServer(_ cursor: YAMLCursor) {
        guard
            let server = cursor.object([
                "host", "port", "threads", "max_body_bytes", "max_calls", "max_lag", "drain_timeout", "registration",
                "trusted_proxies", "public_url", "sessions", "max_connections", "max_connections_per_address", "cors_origins",
            ])
        else { return }
        if let host = server["host"]?.string("an address") { configuration.server.host = host }
        if let port = server["port"]?.integer(0...65_535) { configuration.server.port = Int(port) }
        if let count = server["threads"]?.integer(1...1_024) { configuration.server.threads = Int(count) }
        if let bytes = server["max_body_bytes"]?.integer(1_024...1_073_741_824) {
            configuration.server.maxBodyBytes = Int(bytes)
        }
        if let count = server["max_calls"]?.integer(1...1_000_000) { configuration.server.maxCalls = Int(count) }
        if let count = server["max_connections"]?.integer(1...1_000_000) { configuration.server.maxConnections = Int(count) }
        if let count = server["max_connections_per_address"]?.integer(0...1_000_000) {
            configuration.server.maxConnectionsPerAddress = Int(count)
        }
        if let origins = server["cors_origins"]?.list("a list of origins") { configuration.server.corsOrigins = origins.compactMap(origin) }
        if let duration = server["max_lag"]?.duration(allowsZero: true) { configuration.server.maxLag = duration }
        if let duration = server["drain_timeout"]?.duration() { configuration.server.drainTimeout = duration }
        if let flag = server["registration"]?.boolean() { configuration.server.registration = flag }
        DoorsSection.read(server, into: &configuration.server)
    }

    /// As browsers write an origin: scheme and host, in small letters, a port where it is not the scheme's own, nothing behind.
    private func origin(_ cursor: YAMLCursor) -> String? {
        guard let text = cursor.string("an origin") else { return nil }
        if text == "*" { return text }
        for (scheme, port) in [("https://", ":443"), ("http://", ":80")] where text.hasPrefix(scheme) {
            let host = text.dropFirst(scheme.count)
            let isPlain = host.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || "-._:[]".utf8.contains(byte)
            }
            if !host.isEmpty, isPlain, !host.hasSuffix(port), !host.hasSuffix(":") { return text }
        }
        cursor.mismatch("\"*\", or an origin as browsers send it, such as https://app.example.com")
        return nil
    }

    private mutating func readStorage(_ cursor: YAMLCursor) {
        guard let storage = cursor.object(["url"]), let url = storage.require("url"), let text = url.string("a URL") else { return }
        if let parsed = StorageURLText.parse(text, folder: folder) {
            configuration.storage = parsed
        } else {
            url.error("expected sqlite:<path> or postgres://user:password@host:port/database")
        }
    }

    private mutating func readRouting(_ cursor: YAMLCursor) {
        guard
            let object = cursor.object([
                "strategy", "affinity", "max_attempts", "retry_budget", "retry_wait", "keep_alive", "timeouts", "cooldown",
            ])
        else { return }
        if let strategy = object["strategy"]?.choice(among: RoutingStrategy.configurable) { routing.strategy = strategy }
        if let affinity = object["affinity"]?.choice(Affinity.self) { routing.affinity = affinity }
        if let attempts = object["max_attempts"]?.integer(1...20) { routing.maxAttempts = Int(attempts) }
        if let budget = object["retry_budget"]?.object(["percent", "per_minute"]) {
            if let percent = budget["percent"]?.integer(0...10_000) { routing.retryBudget.percent = percent }
            if let floor = budget["per_minute"]?.integer(0...1_000_000) { routing.retryBudget.perMinute = floor }
        }
        if let wait = object["retry_wait"]?.duration(allowsZero: true) { routing.retryWait = wait }
        if let interval = object["keep_alive"]?.duration(allowsZero: true) { routing.keepAlive = interval }
        if let timeouts = object["timeouts"] { routing.timeouts = TimeoutsSection.read(timeouts).applied(to: routing.timeouts) }
        if let cooldown = object["cooldown"]?.object(["base", "max"]) {
            if let base = cooldown["base"]?.duration() { routing.cooldownBase = base }
            if let max = cooldown["max"]?.duration() { routing.cooldownMax = max }
        }
    }

    private mutating func readMetering(_ cursor: YAMLCursor) {
        guard
            let object = cursor.object([
                "admission", "default_hold_output_tokens", "unknown_price", "on_client_disconnect", "upstream_cost_hold",
                "balance_wait", "lease_lifetime", "strict_fields", "drain_timeout", "max_drains", "thinking_rate",
                "overdraft_floor",
            ])
        else { return }
        if let value = object["admission"]?.choice(GatewayConfiguration.Admission.self) {
            configuration.metering.admission = value
        }
        if let value = object["default_hold_output_tokens"]?.integer(1...10_000_000) {
            configuration.metering.defaultHoldOutputTokens = value
        }
        if let value = object["unknown_price"]?.choice(GatewayConfiguration.UnknownPrice.self) {
            configuration.metering.unknownPrice = value
        }
        if let value = object["on_client_disconnect"]?.choice(GatewayConfiguration.DisconnectPolicy.self) {
            configuration.metering.onClientDisconnect = value
        }
        if let value = object["drain_timeout"]?.duration() { configuration.metering.drainTimeout = value }
        if let value = object["max_drains"]?.integer(0...100_000) { configuration.metering.maxDrains = Int(value) }
        if let value = object["thinking_rate"]?.integer(1...100_000) { configuration.metering.thinkingRate = value }
        if let value = object["balance_wait"]?.duration(allowsZero: true) { configuration.metering.balanceWait = value }
        if let fields = object["strict_fields"]?.list("a list of names of request fields") {
            configuration.metering.strictFields = Set(fields.compactMap { $0.string("the name of a top-level field of requests") })
        }
        if let cursor = object["lease_lifetime"], let value = cursor.duration() {
            if value >= .seconds(10) {
                configuration.metering.leaseLifetime = value
            } else {
                cursor.mismatch("a duration from 10s")
            }
        }
        if let cursor = object["upstream_cost_hold"], let text = cursor.string("USD as quoted text, such as \"0.50\"") {
            if let amount = try? NanoUSD(usd: text), !amount.isNegative, amount.nanos <= 1_000_000_000_000 {
                configuration.metering.upstreamCostHold = amount
            } else {
                cursor.mismatch("USD from 0 to 1000 with at most nine decimals")
            }
        }
        if let cursor = object["overdraft_floor"] {
            let expected = "USD from -1000000 to 1000000 with at most nine decimals"
            guard let text = cursor.decimal(expected) else { return }
            if let amount = try? NanoUSD(usd: text), (-Self.largestFloor...Self.largestFloor).contains(amount.nanos) {
                configuration.metering.overdraftFloor = amount
            } else {
                cursor.mismatch(expected)
            }
        }
    }

    private mutating func readJournal(_ cursor: YAMLCursor) {
        guard let object = cursor.object(["durability", "max_bytes", "keep", "keep_bytes"]) else { return }
        if let value = object["durability"]?.choice(GatewayConfiguration.Durability.self) { configuration.journal.durability = value }
        if let value = object["max_bytes"]?.integer(65_536...1_099_511_627_776) { configuration.journal.maxBytes = value }
        if let value = object["keep_bytes"]?.integer(0...1_099_511_627_776) { configuration.journal.keepBytes = value }
        guard let keep = object["keep"], let value = keep.duration(allowsZero: true) else { return }
        if value <= .seconds(3_600 * 24 * 366) {
            configuration.journal.keep = value
        } else {
            keep.mismatch("a duration up to 8784h, or 0s for nothing")
        }
    }

    private mutating func readModels(_ cursor: YAMLCursor) {
        guard let object = cursor.object(["sync_interval", "moderation"]) else { return }
        if let name = object["moderation"].flatMap(CommonSections.modelName) { configuration.models.moderation = name }
        guard let interval = object["sync_interval"], let value = interval.duration(allowsZero: true) else { return }
        if value == .zero {
            configuration.models.syncInterval = nil
        } else if value >= .seconds(60), value <= .seconds(3_600 * 24 * 366) {
            configuration.models.syncInterval = value
        } else {
            interval.mismatch("a duration from 1m to 8784h, or 0s for never")
        }
    }

    private mutating func readGroups(_ cursor: YAMLCursor) {
        guard let entries = cursor.entries("a mapping from group names to { ratio: \"1.0\", limits: { rpm: 60 } }") else { return }
        var groups: [String: PriceRatio] = [:]
        for (name, value) in entries {
            guard let group = value.object(["ratio", "limits"]) else { continue }
            groups[name] = .one
            if let limits = group["limits"] {
                let limits = CommonSections.limits(limits)
                if !limits.isEmpty { configuration.groupLimits[name] = limits }
            }
            guard let ratio = group["ratio"], let text = ratio.string("a ratio as quoted text, such as \"1.0\"") else { continue }
            if let value = try? PriceRatio(text: text) {
                groups[name] = value
            } else {
                ratio.mismatch("a number from 0 to 1000000 with at most six decimals")
            }
        }
        // The group that users have by default always exists.
        groups["default"] = groups["default"] ?? .one
        configuration.groups = groups
    }

    private mutating func readLog(_ cursor: YAMLCursor) {
        guard let object = cursor.object(["level", "format"]) else { return }
        if let level = object["level"]?.choice(LogLevelName.self) { configuration.log.level = level.rawValue }
        if let format = object["format"]?.choice(GatewayConfiguration.Log.Format.self) { configuration.log.format = format }
    }
}

enum LogLevelName: String, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}

enum StorageURLText {
    static func parse(_ text: String, folder: String) -> GatewayConfiguration.StorageURL? {
        if text.hasPrefix("sqlite:") {
            var path = String(text.dropFirst("sqlite:".count))
            if path.hasPrefix("//") { path = String(path.dropFirst(2)) }
            return path.isEmpty ? nil : .sqlite(path: Paths.join(folder, path))
        }
        if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") { return .postgres(Secret(text)) }
        return nil
    }
}

/// `timeouts: { connect, first_byte, first_content, idle, total }`, each optional.
enum TimeoutsSection {
    static func read(_ cursor: YAMLCursor) -> TimeoutOverrides {
        guard let object = cursor.object(["connect", "first_byte", "first_content", "idle", "total"]) else {
            return TimeoutOverrides()
        }
        return TimeoutOverrides(
            connect: object["connect"]?.duration(), firstByte: object["first_byte"]?.duration(),
            firstContent: object["first_content"]?.duration(), idle: object["idle"]?.duration(),
            total: object["total"]?.duration())
    }
}

enum Paths {
    /// A path relative to a folder, with `.` and `..` worked out as text.
    static func join(_ folder: String, _ path: String) -> String {
        let whole = path.hasPrefix("/") || folder.isEmpty || folder == "." ? path : folder + "/" + path
        var parts: [Substring] = []
        for part in whole.split(separator: "/") {
            if part == "." { continue }
            if part == "..", let last = parts.last, last != ".." {
                parts.removeLast()
            } else if part != ".." || !whole.hasPrefix("/") {
                parts.append(part)
            }
        }
        let joined = parts.joined(separator: "/")
        return whole.hasPrefix("/") ? "/" + joined : (joined.isEmpty ? "." : joined)
    }

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
