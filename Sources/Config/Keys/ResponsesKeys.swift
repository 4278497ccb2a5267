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
    ])
}
