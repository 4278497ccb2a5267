/// Every metric of the gateway: `GET /metrics` has exactly these, in this order, and docs/metrics.md describes them. To add one, add a case
/// here and count it where it happens. Labels are bounded: route templates, statuses, configured channels and kinds of failures; never
/// models, users or client addresses.
package enum Metric: String, Sendable, CaseIterable {
    case requests = "apirouter_requests_total"
    case attempts = "apirouter_attempts_total"
    case lastResorts = "apirouter_last_resorts_total"
    case probes = "apirouter_probes_total"
    case outcomes = "apirouter_outcomes_total"
    case refusedByLoad = "apirouter_refused_by_load_total"
    case refusedConnections = "apirouter_refused_connections_total"
    case charged = "apirouter_charged_usd_total"
    case uncharged = "apirouter_uncharged_usd_total"
    case overhead = "apirouter_overhead_seconds"
    case openHolds = "apirouter_open_holds"
    case clientConnections = "apirouter_client_connections"
    case drains = "apirouter_drains"
    case drainsEnded = "apirouter_drains_ended"
    case runningCalls = "apirouter_running_calls"
    case postedRecords = "apirouter_posted_records"
    case ledgerHealthy = "apirouter_ledger_healthy"
    case fenced = "apirouter_fenced"
    case liveGateways = "apirouter_live_gateways"
    case unpostedRecords = "apirouter_unposted_records"
    case poisonRecords = "apirouter_poison_records"
    case journalBytes = "apirouter_journal_bytes"
    case retriesRefused = "apirouter_retries_refused"
    case storedResponses = "apirouter_stored_responses"
    case responseBytes = "apirouter_response_bytes"
    case responsesWaiting = "apirouter_responses_waiting"
    case channelUp = "apirouter_channel_up"
    case channelInFlight = "apirouter_channel_in_flight"
    case channelCooling = "apirouter_channel_cooling"

    package var name: String { rawValue }

    package enum Kind: String, Sendable {
        /// Counts up from zero at the start of the process.
        case counter
        /// The present value at the time of reading.
        case gauge
        /// Counts in buckets, with the sum of the values.
        case histogram
    }

    package struct Declaration: Sendable {
        package var kind: Kind
        package var unit: String
        package var labels: [Label]
        /// The `HELP` line.
        package var help: String

        init(_ kind: Kind, _ unit: String, by labels: [Label] = [], _ help: String) {
            self.kind = kind
            self.unit = unit
            self.labels = labels
            self.help = help
        }
    }

    package struct Label: Sendable {
        package var name: String
        /// The possible values of a label, for the documents.
        package var values: String

        static let route = Label(name: "route", values: "template of the path, `-` = none")
        static let status = Label(name: "status", values: "HTTP status")
        static let channel = Label(name: "channel", values: "id from channels.yaml")
        static let result = Label(name: "result", values: "`ok`, or the kind of failure ([routing.md](routing.md))")
        static let outcome = Label(name: "outcome", values: "`completed`, `truncated`, `client_gone`, `failed`, `recovered`")
        static let fate = Label(name: "fate", values: "`kept`, `refused` (no room), `lost` (the disk was too slow)")
        static let end = Label(name: "end", values: "`answer`, `time`, `room`")
    }

    package var declaration: Declaration {
        switch self {
        case .requests: .init(.counter, "requests", by: [.route, .status], "Requests by route template and status.")
        case .attempts: .init(.counter, "attempts", by: [.channel, .result], "Upstream attempts by channel and result.")
        case .lastResorts:
            .init(
                .counter, "attempts", by: [.channel, .result],
                "Those of the attempts that asked a channel although it cooled, because nobody else was left.")
        case .probes: .init(.counter, "probes", by: [.channel, .result], "Active probes by channel and result.")
        case .outcomes: .init(.counter, "requests", by: [.outcome], "Finished model requests by outcome.")
        case .refusedByLoad: .init(.counter, "requests", "Model calls refused because the gateway was at its limit.")
        case .refusedConnections: .init(.counter, "connections", "Connections closed at once because there were too many.")
        case .charged: .init(.counter, "USD", "Sum of charges in USD.")
        case .uncharged: .init(.counter, "USD", "Usage beyond the hold that strict admission did not charge, in USD.")
        case .overhead: .init(.histogram, "seconds", "Time spent in the gateway itself, upstream waits excluded.")
        case .openHolds: .init(.gauge, "requests", "Requests that hold money.")
        case .clientConnections: .init(.gauge, "connections", "Open client connections.")
        case .drains: .init(.gauge, "calls", "Upstream calls that are read on for their figures although the client has left.")
        case .drainsEnded: .init(.gauge, "calls", by: [.end], "Such calls since the start, by what ended them.")
        case .runningCalls: .init(.gauge, "calls", "Model calls at work, those whose client has left included.")
        case .postedRecords: .init(.gauge, "records", "Records posted to the ledger since the start.")
        case .ledgerHealthy: .init(.gauge, "0 or 1", "1 while settlements can be posted.")
        case .fenced: .init(.gauge, "0 or 1", "1 while this gateway has lost its place at the ledger and takes no calls.")
        case .liveGateways: .init(.gauge, "gateways", "Gateways at work on this ledger.")
        case .unpostedRecords: .init(.gauge, "records", "Settled requests that are not in the ledger yet.")
        case .poisonRecords: .init(.gauge, "records", "Records that the ledger refused since the start.")
        case .journalBytes: .init(.gauge, "bytes", "Bytes that the journal's records take up.")
        case .retriesRefused: .init(.gauge, "retries", "Retries that the retry budget did not allow.")
        case .storedResponses: .init(.gauge, "responses", by: [.fate], "Answers to be kept since the start, by what became of them.")
        case .responseBytes: .init(.gauge, "bytes", "Bytes that stored responses take up, as far as this gateway knows.")
        case .responsesWaiting: .init(.gauge, "responses", "Stored responses that have not been written yet.")
        case .channelUp: .init(.gauge, "0 or 1", by: [.channel], "1 while the channel takes requests (by its file and by operators).")
        case .channelInFlight: .init(.gauge, "calls", by: [.channel], "Upstream calls under way.")
        case .channelCooling:
            .init(.gauge, "records", by: [.channel], "Health records of the channel (or its account) that are open.")
        }
    }
}
