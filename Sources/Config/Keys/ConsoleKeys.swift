/// `console:` of gateway.yaml.
enum ConsoleKeys {
    static let section = ConfigSection<GatewayConfiguration.Console>([
        .boolean("enabled", \.isEnabled, "whether the gateway serves its pages; off, it serves the APIs only"),
        .choice(
            "rankings", \.rankings,
            "who sees which models are used most: `users` who are logged in, `everyone`, or nobody (`off`)"),
    ])
}
