import Config
import RouterCore

/// Channels: those of channels.yaml and those of the console.
enum ChannelDescriptions {
    private static let health = APIShape(
        name: "HealthRecord", meaning: "What is remembered of failures.",
        fields: [
            APIField("key", .count, "Index of the channel's key; null = all.").orNull, APIField("model", .string, "`*` = all models."),
            APIField("account", .string, "Of the whole account, across channels.").orNull,
            APIField("failures", .count, "In a row."), APIField("openings", .count, "How often it cooled in a row."),
            APIField("last_failure", .choice(FailureKind.allCases.map(\.rawValue)), "Null = none.").orNull,
            APIField("state", .choice(["closed", "open", "half_open"]), "`open` = it cools."),
            APIField("open_for_ms", .integer(.min ... .max), "Milliseconds until it is tried again; only while it cools.").optional,
        ])

    static let source = APIShape(
        name: "Source", meaning: "Where something is declared.",
        fields: [
            APIField("kind", .choice(["file", "console"]), "`file` = it can be changed in the file only."),
            APIField("file", .string, "Path.").optional, APIField("line", .integer(1 ... .max), "From 1.").optional,
        ])

    private static let modelName = APIShape(
        name: "ModelName", meaning: "A name or pattern that a channel serves.",
        fields: [APIField("name", .string, "Public."), APIField("upstream", .string, "The vendor's; the same where nothing else is set.")])

    private static let timeoutNames = [
        ("connect", "Name look-up, TCP and TLS"), ("first_byte", "To the head of the answer"), ("first_content", "To the first content"),
        ("idle", "Silence between two pieces"), ("total", "The whole call"),
    ]
    private static let timeouts = APIField(
        "timeouts", .object(timeoutNames.map { APIField($0.0, .text(20), "\($0.1): `500ms`, `30s`, `5m`.").optional }),
        "Bounds of its calls; what is not named is as the gateway has it.")

    private static let channelFields: [APIField] = [
        .id("channel"), APIField("name", .string, "For people."), APIField("provider", .string, "Name of its provider."),
        APIField("enabled", .boolean, "By its declaration."),
        APIField("disabled_reason", .string, "Why it is off although nobody wants that: a missing key, or an error.").orNull,
        APIField("status", OperationDescriptions.statuses, "`off` by its declaration, `disabled` and `draining` by an operator."),
        APIField("in_flight", .count, "Calls under way."), APIField("weight", .count, "Share within one priority."),
        APIField("priority", .integer(.min ... .max), "Higher first."),
        APIField("groups", .list(.string), "Whose it is."),
        APIField("models", .list(.string), "Names and patterns."), APIField("keys", .count, "Number of its keys."),
        APIField("account", .string, "Whose money its keys share.").orNull,
        APIField(
            "conversion", .choice(ConversionMode.allCases.map(\.rawValue)), "How its requests are converted; null = as the gateway says."
        ).orNull,
        APIField(
            "limits",
            .object([
                APIField("rpm", .count, "Calls per minute.").orNull, APIField("tpm", .count, "Tokens per minute.").orNull,
                APIField("concurrency", .count, "Calls at the same time.").orNull,
            ]), "Null = none."),
        APIField("health", .list(.shape(health)), "Records that bear on it."), APIField("source", .shape(source), "Where it is declared."),
        APIField("display", .string, "Its provider's name for people."),
        APIField("base_url", .string, "Its own, or its provider's."),
        APIField("proxy", .string, "Without user and password.").orNull, timeouts,
        APIField("model_map", .list(.shape(modelName)), "The models with the vendor's names."),
        APIField("missing_secrets", .list(.string), "Variables of its keys that have no value: `PUT /api/secret/{name}` gives one."),
    ]

    private static let shape = APIShape(
        name: "Channel", meaning: "A way to a vendor, from channels.yaml or the console.", fields: channelFields)

    static let list = RouteDescription(
        id: "listChannels", chapter: .channels, summary: "All channels, and how they are.", answer: .data(.list(.shape(shape))))

    private static let path = [APIField("id", .id, "The channel's id.")]
    private static let notFound = (status: 404, when: "there is no such channel")
    private static let ofFile = (status: 409, when: "the channel is declared in a file, or the files have errors")
    private static let refused: [(status: Int, when: String)] = [
        (400, "the channel would not be valid; the message names fields, with what is allowed"),
        (403, "`base_url`, `proxy` and `headers` are root's to set, and so is what would send another key there"),
    ]

    static let one = RouteDescription(
        id: "getChannel", chapter: .channels, summary: "One channel, with its declaration.", path: path,
        answer: .data(
            .object(
                channelFields + [
                    APIField(
                        "config", .any,
                        "As `POST /api/channel` takes it; keys are objects with a `hint`, values of headers null.")
                ])), errors: [notFound], example: .init(path: "/api/channel/1"))

    private static let fields: [APIField] = [
        APIField("keys", .list(.text(8_192), maximum: ChannelBody.maximumKeys), "The vendor's keys. They are sealed and never shown again.")
            .optional.orNull,
        APIField("weight", .integer(0...1_000_000), "Share within one priority; 100 by default.").optional.orNull,
        APIField("priority", .integer(-1_000_000...1_000_000), "Higher first; 0 by default.").optional.orNull,
        APIField("groups", .list(.text(64), maximum: 100), "Groups of users who may use it; `default` by default.").optional.orNull,
        APIField(
            "limits",
            .object(
                ["rpm", "tpm", "concurrency"].map { APIField($0, .integer(RateLimits.range), "See [limits.md](limits.md).").optional }),
            "Bounds of what is sent to it."
        ).optional.orNull,
        APIField("enabled", .boolean, "True by default.").optional.orNull,
        APIField("base_url", .text(2_048), "In the place of the provider's. Root's to set.").optional.orNull,
        APIField("proxy", .text(8_192), "`http://`, `https://`, `socks5://` or `socks5h://`. Sealed. Root's to set.").optional.orNull,
        APIField("headers", .any, "An object of further headers. Sealed; in a change null keeps a value. Root's to set.").optional.orNull,
        timeouts.optional.orNull, APIField("account", .text(200), "Channels of one account share its quota and money.").optional.orNull,
        APIField(
            "probe",
            .object([
                APIField("interval", .text(20), "How often: at least `1s`."), APIField("timeout", .text(20), "`10s` by default.").optional,
            ]), "A cheap call beside the traffic that tells whether it answers."
        ).optional.orNull,
        APIField("conversion", .choice(ConversionMode.allCases.map(\.rawValue)), "As the gateway says by default.").optional.orNull,
        APIField(
            "cost", .any,
            """
            What the vendor bills us, where that is not its list price: `{"ratio": "0.8"}` of the list price, and \
            `{"models": {NAME: prices}}` by the vendor's names, with prices as in a provider file: \
            `{"input": "0.25", "output": "1.00"}` (USD per million tokens).
            """
        ).optional.orNull,
    ]
    private static let name = APIField("name", .text(200), "For people; unique.")
    private static let provider = APIField("provider", .text(64), "Name of a provider.")
    private static let models = APIField(
        "models", .list(.any, maximum: ChannelBody.maximumModels), "Names, patterns with `*`, or `{name, upstream, timeouts}`.")
    private static let id = APIField("id", .integer(1...1_000_000_000), "The next one from 1,000,000 on by default.").optional

    static let create = RouteDescription(
        id: "createChannel", chapter: .channels, summary: "Makes a channel in the console.",
        notes: "It is checked as channels.yaml is, kept in the ledger's database and in force at all its gateways within seconds. "
            + "[console-channels.md](console-channels.md).",
        body: .json([id, name, provider, models] + fields), answer: .data(.shape(shape)),
        errors: refused + [(409, "the id is taken, there are too many, or the files have errors")],
        example: .init(body: ["name": "spare", "provider": "demo", "models": ["demo/echo"], "weight": .integer(10)]))

    static let change = RouteDescription(
        id: "changeChannel", chapter: .channels, summary: "Changes a channel of the console.",
        notes: "What is absent stays; null takes a value away. With another `provider` or `base_url` the keys have to be sent again. "
            + "Root sends `keys`, `proxy` and `headers` together where the stored ones do not open.",
        path: path, body: .json([name.optional, provider.optional, models.optional] + fields), answer: .data(.shape(shape)),
        errors: refused + [notFound, ofFile], example: .init(path: "/api/channel/1000000", body: ["weight": .integer(50)]))

    static let delete = RouteDescription(
        id: "deleteChannel", chapter: .channels, summary: "Deletes a channel of the console.",
        notes: "Calls under way are finished. The id is not given again.", path: path, answer: .data(nil),
        errors: [
            notFound,
            (
                409,
                "the channel is declared in a file, the files have errors, or batches or background responses are under way with it"
            ),
        ],
        example: .init(path: "/api/channel/1000000"))

    static let check = RouteDescription(
        id: "checkChannel", chapter: .channels, summary: "Says what is wrong with a channel, and saves nothing.",
        notes: "With the `id` of a channel of the console, the fields are taken as changes of it.",
        body: .json([id, name.optional, provider.optional, models.optional] + fields),
        answer: .data(
            .object([
                APIField(
                    "diagnostics",
                    .list(
                        .object([
                            APIField("severity", .choice(["error", "warning"]), "An error would be refused."),
                            APIField("message", .string, "What was found, and what is allowed."),
                            APIField("field", .string, "Such as `models[0].name`; empty = the whole."),
                        ])), "Empty = it is fine.")
            ])), errors: [(403, "`base_url`, `proxy` and `headers` are root's to set"), (409, "the files have errors")],
        example: .init(body: ["name": "next", "provider": "demo", "models": ["demo/echo"]]))

    static let export = RouteDescription(
        id: "exportChannel", chapter: .channels, summary: "A channel as an entry for channels.yaml.",
        notes: "Keys and other secrets are `${NAME}`.", path: path, answer: .data(.object([APIField("yaml", .string, "The text.")])),
        errors: [notFound], example: .init(path: "/api/channel/1/export"))

    static let fetchModels = RouteDescription(
        id: "fetchModels", chapter: .channels, summary: "Asks a vendor which models it has.",
        notes: "With a key that is in no channel yet, or with the channel's.",
        body: .json([
            provider, APIField("key", .text(8_192), "Else the channel's, or that of any channel of the provider.").optional.orNull,
            APIField("base_url", .text(2_048), "In the place of the provider's, with a `key` of its own. Root's to set.").optional.orNull,
            APIField("channel_id", .id, "A channel of this provider, for its key, address and proxy.").optional.orNull,
        ]),
        answer: .data(
            .list(
                .object([
                    APIField("id", .string, "The vendor's name."), APIField("name", .string, "For people.").orNull,
                    APIField("context_length", .count, "Tokens.").orNull,
                    APIField("price_known", .boolean, "Whether calls can be charged."),
                ]))), errors: [(403, "`base_url` is root's to set"), (502, "the vendor refused, or sent no list")],
        example: .init(body: ["provider": "demo"]))
}

/// Providers: those of files and those that root has declared in the console.
enum ProviderDescriptions {
    private static let model = APIShape(
        name: "ProviderModel", meaning: "A model that a provider lists.",
        fields: [
            APIField("name", .string, "The vendor's name."),
            APIField("pricing_input", .price, "Per prompt token; null = not metered.").orNull,
            APIField("pricing_output", .price, "Per token of the answer.").orNull,
            APIField("context_length", .count, "Tokens.").orNull,
        ])

    private static let shape = APIShape(
        name: "ProviderEntry", meaning: "A vendor, by its file or the console.",
        fields: [
            APIField("name", .string, "Identifies it."), APIField("display_name", .string, "For people."),
            APIField("family", .string, "The protocol family."), APIField("base_url", .string, "Where it is."),
            APIField("key_url", .string, "The vendor's page where one gets a key.").orNull,
            APIField("source", .shape(ChannelDescriptions.source), "Where it is declared."),
            APIField("problem", .string, "Why it is not in use although it is declared.").orNull,
            APIField("env", .list(.string), "The variable of its key."), APIField("needs_key", .boolean, "False = it takes none."),
            APIField("free", .boolean, "Models that it does not list are free."),
            APIField("models", .list(.shape(model)), "Those that it lists."), APIField("model_count", .count, "Number of them."),
        ])

    private static let detail = APIShape(
        name: "ProviderDetail", meaning: "A vendor with its declaration.",
        fields: shape.fields + [
            APIField(
                "config", .any, "As `POST /api/provider` takes it, values of headers null; null for a provider of a file."
            ).orNull
        ])

    private static let path = [APIField("name", .string, "The provider's name.")]
    private static let notFound = (status: 404, when: "there is no such provider")

    static let list = RouteDescription(
        id: "listProviderEntries", chapter: .channels, summary: "All providers with their models.", answer: .data(.list(.shape(shape))))

    static let one = RouteDescription(
        id: "getProviderEntry", chapter: .channels, summary: "One provider.", path: path, answer: .data(.shape(detail)), errors: [notFound],
        example: .init(path: "/api/provider/demo"))

    private static let fields: [APIField] =
        [
            APIField("display_name", .text(200), "For people.").optional.orNull,
            APIField("family", .choice(ProviderFamilies.names), "The protocol that it speaks; `openai` by default.").optional.orNull,
            APIField("key_url", .text(500), "The vendor's page where one gets a key: `https://…`.").optional.orNull,
            APIField("needs_key", .boolean, "False = it takes no key. True by default.").optional,
            APIField("free", .boolean, "Models that are not listed cost nothing.").optional,
            APIField("headers", .any, "An object of headers for its calls. Sealed; in a change null keeps a value.").optional.orNull,
            APIField(
                "models", .list(.any, maximum: ChannelBody.maximumModels),
                """
                `{"name", "pricing_input", "pricing_output"}` (USD per token), `{"name", "price": {…}}` (as in a provider file, USD per million \
                tokens) or `{"name", "free": true}`; also `display_name`, `description`, `context_length`, `max_output_tokens`, `endpoints`, \
                `reasoning`
                """
            ).optional,
        ] + ProviderBody.plain.map { APIField($0, .any, "As in a provider file ([providers.md](providers.md)).").optional.orNull }
    private static let baseURL = APIField("base_url", .text(2_048), "Where its API is: `https://llm.example.org/v1`.")

    static let create = RouteDescription(
        id: "createProvider", chapter: .channels, summary: "Declares a provider of one's own: any API of a known family.",
        notes: "[console-channels.md](console-channels.md)",
        body: .json([APIField("name", .text(64), "Small letters, digits, `-`, `_`, `.`."), baseURL] + fields),
        answer: .data(.shape(detail)),
        errors: [(400, "it would not be valid"), (409, "the name is taken, or the files have errors")],
        example: .init(
            body: [
                "name": "own", "base_url": "http://127.0.0.1:8000/v1", "models": [["name": "own-large", "free": true]], "needs_key": false,
            ]))

    static let change = RouteDescription(
        id: "changeProvider", chapter: .channels, summary: "Changes a provider of the console.",
        notes: "What is absent stays; null takes a value away.", path: path,
        body: .json([baseURL.optional] + fields), answer: .data(.shape(detail)),
        errors: [notFound, (409, "it is declared in a file, or the files have errors")],
        example: .init(path: "/api/provider/acme", body: ["display_name": "Acme AI"]))

    static let delete = RouteDescription(
        id: "deleteProvider", chapter: .channels, summary: "Deletes a provider of the console.", path: path, answer: .data(nil),
        errors: [notFound, (409, "it is declared in a file, or channels use it")], example: .init(path: "/api/provider/acme"))
}

/// Values of variables in the keys of channels.yaml.
enum SecretDescriptions {
    private static let shape = APIShape(
        name: "SecretEntry", meaning: "A variable that keys of channels.yaml name. Its value is never shown.",
        fields: [
            APIField("name", .string, "Of the variable."),
            APIField("status", .choice(["environment", "console", "missing"]), "Where its value comes from; the environment wins."),
            APIField("problem", .string, "Why a sealed value cannot be used.").orNull,
            APIField(
                "used_by",
                .list(
                    .object([
                        APIField("kind", .choice(["channel"]), "What uses it."), APIField("id", .id, "Which."),
                        APIField("name", .string, "Its name."),
                    ])), "Whose keys name it."),
        ])
    private static let path = [APIField("name", .string, "Of the variable.")]

    static let list = RouteDescription(
        id: "listSecrets", chapter: .channels, summary: "The variables that keys name, and whether they have values.",
        answer: .data(.list(.shape(shape))))

    static let set = RouteDescription(
        id: "setSecret", chapter: .channels, summary: "Gives a variable a value, sealed in the ledger's database.",
        notes:
            "It holds where the environment has none, in the keys of channels and nowhere else. Admins give those that a channel misses.",
        path: path, body: .json([APIField("value", .text(SecretText.maximumBytes), "Never shown again.")]), answer: .data(.shape(shape)),
        errors: [(403, "only root replaces a value, or sets one that no channel misses")],
        example: .init(path: "/api/secret/ACME_API_KEY", body: ["value": "a-key-of-the-examples"]))

    static let delete = RouteDescription(
        id: "deleteSecret", chapter: .channels, summary: "Forgets a sealed value.", path: path, answer: .data(nil),
        errors: [(404, "there is none")], example: .init(path: "/api/secret/ACME_API_KEY"))
}
