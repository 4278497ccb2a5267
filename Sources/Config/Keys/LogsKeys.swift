/// `logs:` of gateway.yaml.
enum LogsKeys {
    static let section = ConfigSection<GatewayConfiguration.Logs>([
        .duration(
            "keep", \.keep, within: .init(lower: .seconds(86_400), upper: .seconds(10 * 366 * 86_400), zero: "for ever"),
            """
            for how long rows of the request log are kept, such as `90d`; then they are deleted, in small portions. The ledger's rows and \
            the sums behind the statistics stay for ever, see [ledger.md](ledger.md#how-long-rows-of-the-log-are-kept)
            """)
    ])
}
