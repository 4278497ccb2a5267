/// `responses:` of gateway.yaml.
enum ResponsesKeys {
    private static let terabyte: Int64 = 1_099_511_627_776

    static let section = ConfigSection<GatewayConfiguration.Responses>([
        .boolean(
            "store", \.isStored,
            """
            whether responses and conversations can be referred to later, see [responses.md](responses.md); turning it on takes a restart
            """),
        .duration(
            "keep", \.keep, within: .init(lower: .seconds(60), upper: DurationBounds.year), "for how long each is kept"),
        .integer("max_bytes", \.maxBytes, 65_536...terabyte, unit: "bytes", "what those of all users may take up"),
        .integer("max_bytes_per_user", \.maxBytesPerUser, 65_536...terabyte, unit: "bytes", "what those of one user may take up"),
        .integer(
            "max_background", \.maxBackground, 0...100_000,
            "background responses that are not over, of all users: those that this gateway makes, and those that vendors make"),
        .integer("max_background_per_user", \.maxBackgroundPerUser, 0...100_000, "the same of one user"),
        .duration(
            "poll_interval", \.pollInterval, within: .init(lower: .milliseconds(100), upper: .seconds(3_600)),
            "how soon a vendor is asked about a new background response that it makes; later a tenth of the response's age"),
        .duration(
            "max_poll_interval", \.maxPollInterval, within: .init(lower: .milliseconds(100), upper: .seconds(86_400)),
            "how often it is asked at least"),
    ])
}
