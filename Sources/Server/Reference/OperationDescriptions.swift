import Config
import RouterCore
import Storage

/// Logs, channels, routing and the gateway itself.
enum OperationDescriptions {
    // MARK: Logs

    private static let attempt = APIShape(
        name: "Attempt", meaning: "One call to a vendor.",
        fields: [
            APIField("channel_id", .id, "The channel."), APIField("upstream_model", .string, "The vendor's name of the model."),
            APIField("status", .count, "HTTP status; null = there was no answer.").orNull,
            APIField("failure", .choice(FailureKind.allCases.map(\.rawValue)), "Null = none.").orNull,
            APIField("ms", .count, "Milliseconds, of the one that answered to its first content."),
            APIField("billed_tokens", .count, "Tokens of a failed call that the vendor said it bills.").orNull,
            APIField("upstream_cost", .usd, "What the vendor said that the failed call cost.").orNull,
            APIField("vendor_cost", .usd, "What the failed call costs us, where that is known. For admins.").orNull.optional,
        ])

    private static let logRow = APIShape(
        name: "LogRow", meaning: "One finished model call.",
        fields: [
            .id("row"), APIField("request_id", .string, "The answer's `X-Request-Id`."), APIField("user_id", .id, "Who asked."),
            APIField("account_id", .id, "The organization that pays; null = the user.").orNull,
            APIField("token_id", .id, "Which key.").orNull, APIField("channel_id", .id, "The channel that answered.").orNull,
            APIField("provider", .string, "Its provider."), APIField("model_name", .string, "Public name of the model."),
            APIField("upstream_model", .string, "The vendor's name."),
            APIField("endpoint", .choice(Endpoint.allCases.map(\.rawValue)), "What was asked."),
            APIField("prompt_tokens", .count, "All of the prompt."), APIField("completion_tokens", .count, "All of the answer."),
            APIField("cached_tokens", .count, "Of the prompt, from the vendor's cache."),
            APIField("cache_write_tokens", .count, "Of the prompt, written to it."),
            APIField("reasoning_tokens", .count, "Of the answer, thought."), APIField("images", .count, "Pictures."),
            APIField("searches", .count, "Searches by the vendor."), APIField("characters", .count, "Characters of a text to be spoken."),
            APIField("audio_milliseconds", .count, "Length of sound."),
            APIField("image_input_tokens", .count, "The part of `prompt_tokens` that pictures to be edited were."),
            APIField("service_tier", .string, "As the vendor said.").orNull, APIField("cost", .usd, "What was charged."),
            APIField("uncharged", .usd, "Usage beyond the hold, which strict admission does not charge."),
            APIField("upstream_cost", .usd, "What the vendor said that it cost.").orNull,
            APIField("usage_source", .choice(UsageSource.allCases.map(\.rawValue)), "Whose count the charge rests on."),
            APIField("pricing_version", .count, "Version of the price."),
            APIField("outcome", .choice(["completed", "truncated", "client_gone", "failed", "recovered"]), "How it ended."),
            APIField("status", .count, "HTTP status as the client saw it."),
            APIField("error_code", .string, "Null = all went well.").orNull, APIField("is_stream", .boolean, "Whether it was streamed."),
            APIField("attempts", .count, "Calls to vendors."), APIField("attempt_list", .list(.shape(attempt)), "Each of them."),
            APIField(
                "dropped_fields", .list(.string),
                "Names of the fields that a conversion left out of the request, and of the vendors' tools that have no price."),
            APIField("generation_id", .string, "The vendor's name for the answer.").orNull,
            APIField("answer_id", .string, "The name in the answer's body, where it is another one.").orNull,
            APIField("finish_reason", .string, "`stop`, `length`, `tool_calls` or `content_filter`; null where there was none.").orNull,
            APIField("latency_ms", .count, "Milliseconds to the last byte."),
            APIField("first_token_ms", .count, "Milliseconds to the first content.").orNull,
            APIField("client_ip", .string, "The client's address."), .createdAt,
            APIField("token_name", .string, "Name of the key; null = it is gone.").orNull,
            APIField("channel_name", .string, "Name of the channel; null = it is gone. For admins.").orNull.optional,
            APIField("username", .string, "Whose key; null = the account is gone. For admins.").orNull.optional,
            APIField("vendor_cost", .usd, "What vendors bill us, failed calls included; null = unknown. For admins.").orNull.optional,
            APIField(
                "vendor_cost_source", .choice(VendorCost.Source.allCases.map(\.rawValue)),
                "`reported` by the vendor, or `computed` from the usage and the channel's cost price. For admins."
            ).orNull.optional,
            APIField("margin", .usd, "`cost` less `vendor_cost`; null = unknown. For admins.").orNull.optional,
        ])

    static let userID = APIField("user_id", .id, "Only of this user.").optional
    static let provider = APIField("provider", .string, "Only of this provider's channels.").optional
    private static let cursorNotes = """
        With `before_id` (`0` = the newest) the rows before that one are answered, as `{"items", "next_before_id"}` without a total: this \
        takes milliseconds however long the log is. `next_before_id` is the next call's `before_id`, null = that was all. A call looks at a \
        few thousand rows at most: where few of them meet the filters, there may be fewer items than asked for, or none, and yet more to \
        come.
        """
    private static let filters: [APIField] = APIField.pages + logFilters
    /// Parameters that ask for the rows of an organisation, or of one of its members.
    static let ofOrganization: [APIField] = [
        .organizationID, APIField("user_id", .id, "With `organization_id`: only of this member.").optional,
    ]

    static let logFilters: [APIField] = [
        APIField("token_id", .id, "Only of this key.").optional, APIField("channel_id", .id, "Only of this channel.").optional,
        APIField("model", .string, "Only of this model (its public name).").optional,
        APIField("from", .time, "From this second on.").optional,
        APIField("to", .time, "Up to this second.").optional,
        APIField("request_id", .string, "The request with this id, a UUID.").optional,
        APIField("outcome", .choice(RequestRecord.Outcome.allCases.map(\.rawValue)), "Only what ended so.").optional,
    ]

    static let log = RouteDescription(
        id: "listLog", chapter: .logs, summary: "Finished model calls of all users, newest first.", notes: cursorNotes,
        query: filters + [.beforeID, userID, provider], answer: .page(logRow), example: .init(path: "/api/log?model=demo/echo&page_size=5"))

    static let ownLog = RouteDescription(
        id: "listOwnLog", chapter: .logs, summary: "Finished model calls of the caller, newest first.", notes: cursorNotes,
        query: filters + [.beforeID] + ofOrganization, answer: .page(logRow), example: .init(path: "/api/log/self?page_size=5"))

    static let statistics = RouteDescription(
        id: "getLogSums", chapter: .logs, summary: "Sums over the log: an admin's over all users, everybody else's over their own calls.",
        query: logFilters + [userID],
        answer: .data(
            .object([
                APIField("requests", .count, "Model calls."), APIField("prompt_tokens", .count, "Tokens of prompts."),
                APIField("completion_tokens", .count, "Tokens of answers."), APIField("cost", .usd, "What was charged."),
                APIField("upstream_cost", .usd, "What vendors said that it cost."),
            ])), example: .init(path: "/api/log/stat?from=1767225600"))

    static let audit = RouteDescription(
        id: "listAudit", chapter: .logs, summary: "Who did what, newest first.",
        notes: "[accounts.md](accounts.md) has the actions. Root's alone, because it watches the admins. "
            + "With `before_id` the answer has no `total`, `page` and `page_size`, but `next_before_id`: the `before_id` of the next rows, or "
            + "null. Names of actors and the other conditions come with it.",
        query: APIField.pages + [
            APIField("before_id", .count, "Rows with smaller ids; 0 = from the newest on.").optional,
            APIField("actor_id", .id, "Who.").optional,
            APIField("action", .string, "The action, or the part before its point: `user`.").optional,
            APIField("from", .time, "Unix seconds.").optional, APIField("to", .time, "Unix seconds, exclusive.").optional,
        ],
        answer: .page(
            APIShape(
                name: "AuditRow", meaning: "One change.",
                fields: [
                    .id("row"), APIField("actor_id", .id, "Who; null = the gateway itself, or a stranger.").orNull,
                    APIField("actor_name", .string, "The name; null by page, and where nobody is known.").orNull,
                    APIField("action", .string, "Such as `user.create`."),
                    APIField("detail", .any, "Ids, amounts and names of fields; an object, or text in rows of old programs."),
                    APIField("client_ip", .string, "From where."), .createdAt,
                ])))

    // MARK: Channels

    static let statuses = APIField.Kind.choice(["on", "off", "disabled", "draining", "drained"])

    private static let path = [APIField("id", .id, "The channel's id.")]
    private static let notFound = (status: 404, when: "there is no such channel")

    private static func turn(
        _ id: String, _ verb: String, _ summary: String, _ notes: String, _ errors: [(status: Int, when: String)] = []
    )
        -> RouteDescription
    {
        RouteDescription(
            id: id, chapter: .channels, summary: summary, notes: notes, path: path,
            answer: .data(
                .object([
                    .id("channel"), APIField("status", statuses, "What it is now."), APIField("in_flight", .count, "Calls under way."),
                ])), errors: [notFound] + errors, example: .init(path: "/api/channel/1/\(verb)"))
    }

    static let enable = turn(
        "enableChannel", "enable", "Lets a channel take calls again.", "Its cool-downs are forgotten.",
        [(409, "the channel is off by its configuration")])
    static let disable = turn(
        "disableChannel", "disable", "Takes a channel out of use, for good until it is enabled.", "What is under way goes on to its end.")
    static let drain = turn(
        "drainChannel", "drain", "The same, shown as `drained` once nothing is under way.", "What is under way goes on to its end.")

    static let test = RouteDescription(
        id: "testChannel", chapter: .channels, summary: "Makes one cheap real call through a channel, whatever its state.",
        notes: "It costs money at the vendor and is booked to nobody. A call that fails is a result: 200 with `ok` false.", path: path,
        body: .json(
            [APIField("model", .text(200), "Public name; the cheapest that the channel's file lists by default.").optional],
            isOptional: true),
        answer: .data(
            .object([
                APIField("ok", .boolean, "Whether it worked."), APIField("model", .string, "Public name of the model."),
                APIField("upstream_model", .string, "The vendor's name."), APIField("status", .count, "HTTP status.").orNull,
                APIField("first_content_ms", .count, "Milliseconds to the first content.").orNull,
                APIField("total_ms", .count, "Milliseconds in all."), APIField("prompt_tokens", .count, "By the vendor.").orNull,
                APIField("completion_tokens", .count, "By the vendor.").orNull,
                APIField("charge", .usd, "What a user of the group `default` would pay.").orNull,
                APIField("upstream_cost", .usd, "What the vendor said that it cost.").orNull,
                APIField("failure", .choice(FailureKind.allCases.map(\.rawValue)), "Null = none.").orNull,
                APIField("detail", .string, "The failure in words.").orNull,
            ])),
        errors: [notFound, (409, "the channel cannot be tested: it has no key or no adaptor")],
        example: .init(path: "/api/channel/1/test", body: ["model": "demo/echo"]))

    static let explain = RouteDescription(
        id: "explainRoute", chapter: .channels, summary: "What the router would do now, and why. It asks nobody and changes nothing.",
        query: [
            APIField("model", .string, "Public name of the model."),
            APIField("group", .string, "Group of the user; `default` by default.").optional,
            APIField("endpoint", .choice(Endpoint.allCases.map(\.rawValue)), "`chat` by default.").optional,
            APIField("session", .string, "Name of a conversation.").optional,
            APIField("provider", .string, "A request's `provider` object, as JSON.").optional,
        ], answer: .data(.object(plan)), errors: [(400, "`model` is missing, or a parameter is wrong")],
        example: .init(path: "/api/route/explain?model=demo/echo&session=a"))

    private static let plan: [APIField] = [
        APIField("model", .string, "As asked."), APIField("group", .string, "As asked."), APIField("endpoint", .string, "As asked."),
        APIField("is_known", .boolean, "Whether any channel has the model."),
        APIField("strategy", .choice(RoutingStrategy.allCases.map(\.rawValue)), "How candidates of one priority are ordered."),
        APIField("affinity", .choice(Affinity.allCases.map(\.rawValue)), "What keeps a conversation on one channel."),
        APIField("by_session", .boolean, "Whether the conversation chose the first candidate."),
        APIField("max_attempts", .count, "How many channels are tried."),
        APIField(
            "candidates",
            .list(
                .object([
                    APIField("position", .count, "From 1, in the order of attempts."), APIField("channel_id", .id, "The channel."),
                    APIField("name", .string, "Its name."), APIField("provider", .string, "Its provider."),
                    APIField("key", .integer(-1 ... .max), "Index of its key; -1 = it needs none."),
                    APIField("upstream_model", .string, "The vendor's name of the model."),
                    APIField("priority", .integer(.min ... .max), "Higher first."),
                    APIField("weight", .count, "Share within one priority."),
                    APIField("in_flight", .count, "Calls under way."), APIField("is_tried", .boolean, "Within `max_attempts`."),
                    APIField("cooling_for_ms", .count, "Where nobody is well: milliseconds until its cool-down ends.").orNull,
                ])), "In the order in which they would be tried."),
        APIField("is_last_resort", .boolean, "Nobody is well: channels that cool are asked all the same."),
        APIField(
            "dropped",
            .list(
                .object([
                    APIField("channel_id", .id, "The channel."), APIField("name", .string, "Its name."),
                    APIField("reason", .string, "Why it is left out."),
                    APIField("for_ms", .count, "For how long; null = not by time.").orNull,
                ])), "What is left out."),
        APIField("retry_after_ms", .count, "When a client should ask again; null = now.").orNull,
    ]

    // MARK: The gateway

    static let reload = RouteDescription(
        id: "reloadConfiguration", chapter: .operations, summary: "Reads the configuration again; one with a mistake changes nothing.",
        answer: .data(.object([APIField("warnings", .list(.string), "With file, line and column.")])),
        errors: [(400, "the configuration has mistakes; `message` has them all")])

    static let status = RouteDescription(
        id: "getStatus", chapter: .operations, summary: "What this gateway is.",
        answer: .data(
            .object([
                APIField("name", .choice(["APIRouter"]), "The program."), APIField("version", .string, "Of the program."),
                APIField("started_at", .time, "Its start."), APIField("models", .count, "Models with a name in the configuration."),
                APIField("served_models", .count, "Models of `GET /api/models`."),
                APIField("registration", .boolean, "Whether strangers may register."),
                APIField("currency", .choice(["USD"]), "The only one."),
                APIField("public_url", .string, "`server.public_url`; null = none is set.").orNull,
                APIField("console", .boolean, "Whether the gateway serves pages."),
                APIField(
                    "rankings", .choice(GatewayConfiguration.Console.Rankings.allCases.map(\.rawValue)),
                    "Who sees which models are used most: those who are logged in, everyone, or nobody."),
            ])))

    static let live = RouteDescription(
        id: "getLive", chapter: .operations, summary: "Whether the process answers.",
        answer: .json(.object([APIField("status", .choice(["live"]), "Always.")])))

    static let ready = RouteDescription(
        id: "getReady", chapter: .operations, summary: "Whether this gateway takes calls, for load balancers.",
        notes:
            "Answered from memory, so that asking often costs nothing. A 503 has `status` (`not ready`) and `problems`, a list of texts.",
        answer: .json(.object([APIField("status", .choice(["ready"]), "It does.")])),
        errors: [(503, "it is fenced, the ledger does not answer, or settlements cannot be posted")],
        unavailable: .object([
            APIField("status", .choice(["not ready"]), "It does not."), APIField("problems", .list(.string), "Why, in words."),
        ]))

    static let metrics = RouteDescription(
        id: "getMetrics", chapter: .operations, summary: "Counters and gauges ([metrics.md](metrics.md)).",
        notes:
            """
            Open to the loopback address; elsewhere it takes an admin's management token \
            ([configuration.md](configuration.md#behind-a-proxy)).
            """,
        answer: .raw(["text/plain; version=0.0.4; charset=utf-8"], "The text format of Prometheus."),
        errors: [(401, "not from the loopback address, and not an admin's token")])

    static let openAPI = RouteDescription(
        id: "getOpenAPI", chapter: .operations, summary: "This reference for programs: an OpenAPI 3.1 document.",
        notes: "It changes with the version of the program only. `If-None-Match` with the `ETag` of an earlier answer gets 304.",
        answer: .json(.any), errors: [(304, "it is still the same")])
}
