import RouterCore

/// `routing:` of gateway.yaml.
enum RoutingKeys {
    static let section = ConfigSection<RoutingSettings>([
        .choice(
            "strategy", \.strategy, among: RoutingStrategy.configurable,
            "how channels of one priority are ordered, see [routing.md](routing.md)"),
        .choice("affinity", \.affinity, "what keeps a conversation on one channel"),
        .integer("max_attempts", \.maxAttempts, maxAttempts, "channels tried for one request"),
        .section(
            "retry_budget", \.retryBudget,
            ConfigSection([
                .integer("percent", \.percent, 0...10_000, "retries per hundred requests"),
                .integer("per_minute", \.perMinute, 0...1_000_000, "retries a minute that need no traffic"),
            ])),
        .duration("retry_wait", \.retryWait, within: .init(zero: "never"), "longest wait before the only channel is asked again"),
        .duration(
            "keep_alive", \.keepAlive, within: .init(zero: "never"),
            "comments (empty lines to Google's clients) to a client whose stream has no content yet, so often"),
        .choice(
            "conversion", \.conversion,
            """
            `lenient`: what only steers the upkeep of another vendor is left out of converted requests and named in `X-Dropped-Fields`; \
            `strict`: it is refused
            """),
        .choice(
            "below_cost", \.belowCost,
            "what becomes of a channel that would sell a request below its cost: it serves, is tried last, or is left out; see "
                + "[routing.md](routing.md#below-cost)"),
        .section("timeouts", \.timeouts, TimeoutKeys.section),
        .group(
            "cooldown",
            ConfigSection([
                .duration("base", \.cooldownBase, "how long a first failure keeps a channel out"),
                .duration("max", \.cooldownMax, "the longest that failures in a row keep it out"),
            ])),
    ])

    /// Maximum number of channels tried for one request; also the range for single models.
    static let maxAttempts: ClosedRange<Int64> = 1...20
}

/// `timeouts: { connect, first_byte, first_content, idle, total }`: the gateway's values, and the overrides of channels and models.
enum TimeoutKeys {
    private static let all:
        [(
            name: String, base: ConfigKey<AttemptTimeouts>.Path<Duration>, override: ConfigKey<TimeoutOverrides>.Path<Duration?>,
            meaning: String
        )] = [
            ("connect", \.connect, \.connect, "name look-up, TCP and TLS"),
            ("first_byte", \.firstByte, \.firstByte, "start of the call to the head of the answer"),
            ("first_content", \.firstContent, \.firstContent, "start of the call to the first content of a stream"),
            ("idle", \.idle, \.idle, "longest silence between two pieces of an answer"),
            ("total", \.total, \.total, "the whole call, and the whole request with all its attempts"),
        ]

    static let section = ConfigSection(all.map { key in ConfigKey.duration(key.name, key.base, key.meaning) })

    private static let overrides = ConfigSection(
        all.map { key in
            ConfigKey<TimeoutOverrides>.value(
                key.name, key.override, type: DurationBounds().type, standard: { _ in "that of `routing.timeouts`" }, key.meaning
            ) { cursor in cursor.duration().map { .some($0) } }
        })

    /// The overrides of a channel, a model or a provider file.
    static func overrides(_ cursor: YAMLCursor) -> TimeoutOverrides {
        var read = TimeoutOverrides()
        overrides.read(cursor, into: &read)
        return read
    }
}
