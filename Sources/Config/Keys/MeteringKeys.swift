import RouterCore

/// `metering:` of gateway.yaml.
enum MeteringKeys {
    static let section = ConfigSection<GatewayConfiguration.Metering>([
        .choice(
            "admission", \.admission, "`standard` holds an estimate, `strict` an upper bound, `off` nothing: see [ledger.md](ledger.md)"),
        .integer(
            "default_hold_output_tokens", \.defaultHoldOutputTokens, 1...10_000_000, unit: "tokens", "held when the client names no maximum"
        ),
        .choice("unknown_price", \.unknownPrice, "what becomes of a request for a model without a price"),
        .choice(
            "on_client_disconnect", \.onClientDisconnect,
            """
            what a client's leaving does to the upstream call: `auto` decides by vendor and model, `cancel` ends it, `drain` reads it on for \
            its figures; see [ledger.md](ledger.md), "Leaving early"
            """),
        .value(
            "upstream_cost_hold", \.upstreamCostHold, type: "USD, 0 to 1000", standard: { $0.usdText },
            "held for models charged by the vendor's reported cost", read: hold),
        .duration(
            "balance_wait", \.balanceWait, within: .init(zero: "never"),
            "how long a request waits for money that others hold or have leased"),
        .duration(
            "lease_lifetime", \.leaseLifetime, within: .init(lower: .seconds(10)),
            "a gateway that has given no sign of life for so long loses its leases to the others"),
        .value(
            "strict_fields", \.strictFields, type: "list of names", standard: { _ in "[]" },
            "top-level fields of requests that strict admission takes beside those it knows, because they cannot make an answer dearer"
        ) { cursor in
            cursor.list("a list of names of request fields").map { list in
                Set(list.compactMap { $0.string("the name of a top-level field of requests") })
            }
        },
        .duration(
            "drain_timeout", \.drainTimeout,
            "how long a call whose client has left is read on; then it is cut and charged by estimate"),
        .integer(
            "max_drains", \.maxDrains, 0...100_000,
            "how many are read on at a time, over all users; one more cuts the oldest; 0 = none"),
        .integer(
            "thinking_rate", \.thinkingRate, 1...100_000, unit: "tokens a second",
            "how fast a model is taken to think in secret while this gateway has not measured it"),
        .value(
            "overdraft_floor", \.overdraftFloor, type: "USD, -1000000 to 1000000", standard: { $0.usdText },
            """
            no hold may take a balance less its holds below this: negative = credit, positive = a reserve, see \
            [ledger.md](ledger.md#the-floor)
            """, read: floor),
    ])

    @Sendable private static func hold(_ cursor: YAMLCursor) -> NanoUSD? {
        let expected = "USD from 0 to 1000 with at most nine decimals"
        guard let text = cursor.decimal(expected) else { return nil }
        guard let amount = try? NanoUSD(usd: text), !amount.isNegative, amount.nanos <= 1_000_000_000_000 else {
            cursor.mismatch(expected)
            return nil
        }
        return amount
    }

    /// A million dollars in nano-dollars: a larger value is a typing error.
    private static let largestFloor: Int64 = 1_000_000_000_000_000

    @Sendable private static func floor(_ cursor: YAMLCursor) -> NanoUSD? {
        let expected = "USD from -1000000 to 1000000 with at most nine decimals"
        guard let text = cursor.decimal(expected) else { return nil }
        guard let amount = try? NanoUSD(usd: text), (-largestFloor...largestFloor).contains(amount.nanos) else {
            cursor.mismatch(expected)
            return nil
        }
        return amount
    }
}
