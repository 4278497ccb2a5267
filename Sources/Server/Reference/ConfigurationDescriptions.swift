import RouterCore

/// The files of the configuration.
enum ConfigurationDescriptions {
    private static let path = APIField("path", .text(256), "The name of a file, as `GET /api/config` lists it.")
    private static let text = APIField("text", .text(1_048_576), "The whole text.")
    private static let etag = APIField("etag", .string, "Changes with the text.")

    private static let diagnostics = APIField(
        "diagnostics",
        .list(
            .object([
                APIField("file", .string, "The name of the file, or `environment`."), APIField("line", .count, "From 1."),
                APIField("column", .count, "From 1."),
                APIField("severity", .choice(["error", "warning"]), "Errors keep it from being used."),
                APIField("message", .string, "What was found, and what is allowed."),
            ])), "What there is to say about the whole configuration.")

    private static let noFile = (status: 404, when: "the configuration has no file of this name")

    static let list = RouteDescription(
        id: "listConfiguration", chapter: .operations, summary: "The files of the configuration, with what is wrong in them.",
        notes: "gateway.yaml, the file of channels and the provider files; others can be neither read nor written here.",
        answer: .data(
            .object([
                APIField(
                    "files",
                    .list(
                        .object([
                            APIField("path", .string, "Its name."),
                            APIField("kind", .choice(ConfigurationFiles.Kind.allCases.map(\.rawValue)), "What it holds."),
                            APIField("bytes", .count, "Its size; null where it cannot be read.").orNull,
                            APIField("etag", .string, "Null where it cannot be read.").orNull,
                            APIField("writable", .boolean, "Whether it can be saved here."),
                        ])), "The files."),
                APIField("read_only", .boolean, "None of them can be saved here."), diagnostics,
            ])))

    static let file = RouteDescription(
        id: "getConfigurationFile", chapter: .operations, summary: "The text of a file of the configuration, as it is on the disk.",
        notes: "Keys of vendors are `${VARIABLE}` in it as a rule; one that is written out is in the answer.",
        query: [path],
        answer: .data(.object([APIField("path", .string, "Its name."), APIField("text", .string, "The whole text."), etag])),
        errors: [noFile, (409, "it is larger than 1 MiB, or no text")], example: .init(path: "/api/config/file?path=gateway.yaml"))

    static let check = RouteDescription(
        id: "checkConfigurationFile", chapter: .operations,
        summary: "What the configuration would be with another text, without saving it.",
        body: .json([path, text]), answer: .data(.object([diagnostics])), errors: [noFile],
        example: .init(body: ["path": "channels.yaml", "text": "channels: []\n"]))

    static let save = RouteDescription(
        id: "saveConfigurationFile", chapter: .operations, summary: "Replaces a file of the configuration at once, and loads it.",
        notes: """
            Only where the whole configuration is valid with it; a mistake that another provider file has already does not count. \
            `channels` and `providers_dir` of gateway.yaml, which say where the other files are, are changed on the disk only. \
            A session of a browser has to be a fresh one.
            """,
        headers: [APIField("If-Match", .string, "The etag of the text that is replaced, in quotes.")], body: .json([path, text]),
        answer: .data(.object([etag, diagnostics])),
        errors: [
            noFile, (400, "`config_invalid`: the configuration would have mistakes; `details.diagnostics` has them"),
            (409, "`read_only`: the file, or its folder, cannot be written"), (412, "`etag_mismatch`: it has changed since it was read"),
        ], example: .init(body: ["path": "channels.yaml", "text": "channels: []\n"], status: 400))

    // MARK: The system

    private static let gateway = APIShape(
        name: "GatewayLife", meaning: "A gateway of this ledger.",
        fields: [
            APIField("id", .string, "The same over restarts."), APIField("started_at", .time, "The start of this life of it."),
            APIField("seen_at", .time, "Its last sign of life."), APIField("silent_seconds", .count, "Since then."),
            APIField("is_fenced", .boolean, "A later life has its place."), APIField("is_this", .boolean, "The one that answers."),
        ])

    static let system = RouteDescription(
        id: "getSystem", chapter: .operations, summary: "The state of this gateway.",
        answer: .data(
            .object([
                APIField("version", .string, "Of the program."), APIField("started_at", .time, "Its start."),
                APIField("uptime", .count, "Seconds since then."), APIField("pid", .count, "The process."),
                APIField("memory_bytes", .count, "Resident memory."), APIField("cpu_seconds", .count, "Processor time since the start."),
                APIField(
                    "database",
                    .object([
                        APIField("kind", .choice(["sqlite", "postgres"]), "The ledger's."),
                        APIField("answers", .boolean, "Whether it does."),
                    ]), "The ledger's database."),
                APIField(
                    "journal",
                    .object([
                        APIField("unposted", .count, "Settlements that are not in the ledger yet."),
                        APIField("bytes", .count, "On the disk."),
                        APIField("fsync", .boolean, "Whether it survives the loss of power."),
                        APIField("poison", .count, "Records that the ledger has refused since the start."),
                    ]), "The journal."), APIField("gateways", .list(.shape(gateway)), "Those that the ledger knows."),
                APIField(
                    "readiness",
                    .object([
                        APIField("ready", .boolean, "Whether it takes calls."), APIField("problems", .list(.string), "Why not, in words."),
                    ]), "As `GET /health/ready` says."), APIField("streams", .count, "Model calls under way."),
                APIField("connections", .count, "Clients' connections."),
                APIField("background_responses", .count, "Background responses that this gateway makes."),
            ])))

    static let verify = RouteDescription(
        id: "verifyLedger", chapter: .money, summary: "Recomputes every balance from the rows, as `apirouter ledger verify` does.",
        answer: .data(
            .object([
                APIField("ok", .boolean, "There is no difference."), APIField("checked", .count, "Rows of the ledger."),
                APIField("users", .count, "Users."), APIField("differences", .list(.string), "One text each, with ids and both amounts."),
            ])))

    static let poison = RouteDescription(
        id: "listPoisonRecords", chapter: .money, summary: "Finished requests that the ledger has refused, newest first.",
        notes: "Their charges are in no balance. At most a thousand.",
        answer: .data(
            .list(
                .object([
                    APIField("request_id", .string, "The request."), APIField("reason", .string, "In the database's words."), .createdAt,
                ]))))
}

/// Prices as an admin looks after them.
enum PriceReviewDescriptions {
    static let history = RouteDescription(
        id: "listPriceVersions", chapter: .prices, summary: "What the price of a model was, newest first.",
        notes: "`created_at` is the time from which a version was there. At most two hundred.",
        query: [APIField("model", .string, "Public name of the model.")], answer: .data(.list(.shape(PriceDescriptions.price))),
        example: .init(path: "/api/pricing/history?model=demo/echo"))

    static let missing = RouteDescription(
        id: "listUnpricedModels", chapter: .prices, summary: "Models that a channel would serve if they had a price.",
        answer: .data(
            .list(
                .object([
                    APIField("model", .string, "What requests would name."), APIField("channels", .list(.string), "Names of the channels."),
                    APIField("reason", .string, "Where it is named."),
                ]))))

    static let sync = RouteDescription(
        id: "syncPrices", chapter: .prices, summary: "Asks vendors' lists and the price list what has changed; takes it with `apply`.",
        notes: "Asking takes as long as the vendors take. What an admin has set is left alone.",
        body: .json([
            APIField("apply", .boolean, "False (as without it) = nothing is written.").optional,
            APIField("models", .list(.string, maximum: 5_000), "Only these are taken; needs `apply`.").optional,
        ]),
        answer: .data(
            .object([
                APIField(
                    "changes",
                    .list(
                        .object([
                            APIField("model", .string, "Public name."), APIField("provider", .string, "Whose list says so."),
                            APIField("field", .string, "Such as `input`; prices in USD per million tokens, or per unit."),
                            APIField("old", .string, "As it is."), APIField("new", .string, "As the list says."),
                        ])), "Rows that a list says otherwise."),
                APIField("new_models", .list(.shape(PriceDescriptions.price)), "Models that the table does not have."),
                APIField(
                    "held",
                    .list(
                        .object([
                            APIField("model", .string, "Public name."), APIField("provider", .string, "Whose list says so."),
                            APIField("changes", .string, "In words."),
                        ])), "Prices that fall too far to be believed; `POST /api/models/held/accept` takes one."),
                APIField(
                    "problems",
                    .list(.object([APIField("provider", .string, "Whose list."), APIField("message", .string, "Why it cannot be had.")])),
                    "Lists that could not be had."), APIField("written", .count, "Rows that were written."),
            ])), example: .init(body: ["apply": false]))
}
