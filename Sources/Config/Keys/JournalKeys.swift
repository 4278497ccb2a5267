import RouterCore
import Yams

/// `journal:` of gateway.yaml.
enum JournalKeys {
    private static let terabyte: Int64 = 1_099_511_627_776

    static let section = ConfigSection<GatewayConfiguration.Journal>([
        .choice(
            "durability", \.durability,
            """
            what a record survives, in the journal and in the ledger: `process` = `kill -9` (one write per record), `power` = loss of power \
            (one fsync per group; each commit of SQLite waits for the disk; a PostgreSQL server with `fsync` off is refused): see \
            [operations.md](operations.md)
            """),
        .integer(
            "max_bytes", \.maxBytes, 65_536...terabyte, unit: "bytes",
            "what the journal's files may take up on the disk before further requests get 503"),
        .duration(
            "keep", \.keep, within: .init(upper: DurationBounds.year, zero: "nothing"),
            "for how long files are kept whose settlements the ledger has, for `apirouter ledger replay`"),
        .integer(
            "keep_bytes", \.keepBytes, 0...terabyte, unit: "bytes",
            "what these files may take up on top of `max_bytes`; the oldest goes first"),
    ])
}

/// `models:` of gateway.yaml.
enum ModelsKeys {
    static let interval = DurationBounds(lower: .seconds(60), upper: DurationBounds.year, zero: "never")

    static let section = ConfigSection<GatewayConfiguration.Models>([
        .value(
            "sync_interval", \.syncInterval, type: interval.type, standard: { $0.map { DurationText.text($0) } ?? "each provider file's" },
            """
            how often prices and limits are refreshed from the lists of all vendors in use; without it as often as each provider file says \
            (OpenRouter's: daily), with a price list daily, see [providers.md](providers.md#prices-and-models-from-the-vendor)
            """
        ) { cursor -> Duration?? in interval.read(cursor).map { .some($0) } },
        .value(
            "price_list", \.priceList, type: "URL, http or https", standard: { $0 ?? "none" },
            """
            a list of prices in LiteLLM's form (`model_prices_and_context_window.json`) for models that neither a file nor a vendor's list \
            nor an admin has priced, see [providers.md](providers.md#a-public-price-list)
            """
        ) { cursor -> String?? in priceListURL(cursor).map { .some($0) } },
        .value("moderation", \.moderation, type: "name of a model", standard: { $0 }, "what `/v1/moderations` without `model` means") {
            CommonSections.modelName($0)
        },
    ])

    private static func priceListURL(_ cursor: YAMLCursor) -> String? {
        let expected = "an absolute http:// or https:// URL without user and fragment"
        guard let text = cursor.string(expected) else { return nil }
        let rest = text.hasPrefix("https://") ? text.dropFirst(8) : text.hasPrefix("http://") ? text.dropFirst(7) : ""
        let host = rest.prefix { $0 != "/" && $0 != "?" }
        let isBad = text.utf8.contains { $0 <= 0x20 || $0 >= 0x7F || $0 == UInt8(ascii: "\\") }
        guard !host.isEmpty, !host.contains("@"), !text.contains("#"), !isBad, text.utf8.count <= 2_048 else {
            cursor.mismatch(expected)
            return nil
        }
        return text
    }
}

/// `log:` of gateway.yaml.
enum LogKeys {
    static let section = ConfigSection<GatewayConfiguration.Log>([
        .value(
            "level", \.level, type: LogLevelName.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", "), standard: { $0 },
            "the least that is logged"
        ) { $0.choice(LogLevelName.self)?.rawValue },
        .choice("format", \.format, "lines for people, or one JSON object a line"),
    ])
}

enum LogLevelName: String, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}

/// `groups:` of gateway.yaml: a price factor and limits for each group of users.
enum GroupKeys {
    struct Group: Sendable {
        var ratio = PriceRatio.one
        var limits = RateLimits()
    }

    private static let expected = "a mapping from group names to { ratio: 1.0, limits: { rpm: 60 } }"

    private static let section = ConfigSection<Group>([
        .value(
            "ratio", \.ratio, type: "number, 0 to 1000000", standard: { _ in "1" },
            "factor on prices for users of the group",
            read: ratio),
        .value(
            "limits", \.limits, type: "`{ rpm, tpm, concurrency }`, each \(RateLimits.range.lowerBound) to \(RateLimits.range.upperBound)",
            standard: { _ in "none" },
            "what each user of the group may do who has no such limit of their own, see [limits.md](limits.md)"
        ) { CommonSections.limits($0) },
    ])

    static let key = ConfigKey<GatewayConfiguration>(name: "groups") { cursor, configuration in
        guard let entries = cursor.entries(expected) else { return }
        var groups: [String: PriceRatio] = [:]
        for (name, value) in entries {
            guard case .mapping = value.node else {
                _ = value.object(section.keys.map(\.name))
                continue
            }
            var group = Group()
            section.read(value, into: &group)
            groups[name] = group.ratio
            if !group.limits.isEmpty { configuration.groupLimits[name] = group.limits }
        }
        // The default group of users always exists.
        groups["default"] = groups["default"] ?? .one
        configuration.groups = groups
    } rows: { whole, _ in
        section.rows("\(whole).<name>", Group())
    }

    @Sendable static func ratio(_ cursor: YAMLCursor) -> PriceRatio? {
        let expected = "a number from 0 to 1000000 with at most six decimals"
        guard let text = cursor.decimal(expected) else { return nil }
        guard let value = try? PriceRatio(text: text) else {
            cursor.mismatch(expected)
            return nil
        }
        return value
    }
}
