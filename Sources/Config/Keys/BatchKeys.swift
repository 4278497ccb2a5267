import RouterCore

/// `batches:` of gateway.yaml.
enum BatchKeys {
    static let section = ConfigSection<GatewayConfiguration.Batches>([
        .integer(
            "max_lines", \.maxLines, 1...1_000_000, unit: "lines",
            "an input file with more is refused; its size is bounded by `server.max_body_bytes`"),
        .integer("max_open", \.maxOpen, 1...100_000, "a user with so many batches that are not settled starts no other"),
        .duration(
            "poll_interval", \.pollInterval, within: .init(lower: .milliseconds(100), upper: .seconds(3_600)),
            "how soon the vendor is asked about a new batch; later a tenth of the batch's age"),
        .duration(
            "max_poll_interval", \.maxPollInterval, within: .init(lower: .milliseconds(100), upper: .seconds(86_400)),
            "how often the vendor is asked at least"),
    ])
}
