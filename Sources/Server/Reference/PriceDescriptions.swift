import RouterCore

/// The catalogue of models and the price table.
enum PriceDescriptions {
    private static let tierRates: [APIField] = [
        APIField("input", .string, "USD per prompt token."), APIField("output", .string, "USD per token of the answer."),
        APIField("cache_read", .string, "USD per prompt token that came from the vendor's cache.").optional,
        APIField("cache_write", .string, "USD per prompt token written to it, for five minutes.").optional,
        APIField("cache_write_1h", .string, "The same for an hour.").optional,
        APIField("reasoning", .string, "USD per token of thought.").optional,
        APIField("audio_input", .string, "USD per token of sound in the prompt.").optional,
        APIField("audio_output", .string, "USD per token of sound in the answer.").optional,
    ]
    private static let tier = APIShape(
        name: "PriceTier", meaning: "Prices, as exact text, of whole requests with a longer prompt.",
        fields: [APIField("above", .count, "Prompt tokens above which they apply.")] + tierRates)
    private static let serviceTier = APIShape(
        name: "ServiceTierPrice", meaning: "Prices, as exact text, of answers that the vendor says to be of another service tier.",
        fields: [APIField("name", .string, "As the vendor calls it.")] + tierRates + [
            APIField("tiers", .list(.shape(tier)), "Prices for longer prompts.").optional
        ])

    private static let tokenPrices: [APIField] = [
        APIField("pricing_input", .price, "Per prompt token."), APIField("pricing_output", .price, "Per token of the answer."),
        APIField("pricing_cache_read", .price, "Per prompt token that came from the vendor's cache; null = as `pricing_input`.").orNull,
        APIField("pricing_cache_write", .price, "Per prompt token written to it, for five minutes; null = as `pricing_input`.").orNull,
        APIField("pricing_cache_write_1h", .price, "The same for an hour; null = as `pricing_cache_write`.").orNull,
        APIField("pricing_reasoning", .price, "Per token of thought; null = as `pricing_output`.").orNull,
        APIField("pricing_audio_input", .price, "Per token of sound in the prompt; null = as `pricing_input`.").orNull,
        APIField("pricing_audio_output", .price, "Per token of sound in the answer; null = as `pricing_output`.").orNull,
    ]
    private static let unitPrices: [APIField] = [
        APIField("pricing_image", .price, "Per picture that a vendor reports."), APIField("pricing_request", .price, "Per request."),
        APIField("pricing_search", .price, "Per search that a vendor makes."),
    ]
    private static let mediaPrices: [APIField] = [
        APIField("pricing_character", .price, "Per character of a text to be spoken."),
        APIField("pricing_audio_second", .price, "Per second of sound."),
    ]
    private static let tiers: [APIField] = [
        APIField("tiers", .list(.shape(tier)), "Prices for longer prompts."),
        APIField("service_tiers", .list(.shape(serviceTier)), "Prices of other service tiers."),
        imageInput.orNull, APIField("image_sizes", .list(.shape(imageSize)), "Prices of images by size and quality."),
    ]
    private static let imageInput = APIField(
        "pricing_image_input", .price, "Per token of a picture that is to be edited; null = as `pricing_input`.")
    private static let imageSize = APIShape(
        name: "ImageSizePrice",
        meaning: "The price of an image of a size, a quality, or both; `pricing_image` is that of the vendor's default.",
        fields: [
            APIField("size", .string, "As requests write it; null = any.").orNull,
            APIField("quality", .string, "As requests write it; null = any.").orNull,
            APIField("price", .string, "USD per image, as exact text."),
        ])
    private static let basis = APIField(
        "basis", .choice(["metered", "upstream_cost"]), "`upstream_cost` = charged by what the vendor reports; the prices say nothing then."
    )
    private static let context = APIField("context_length", .integer(1 ... .max), "Tokens of prompt and answer; null = not known.").orNull
    private static let output = APIField("max_output_tokens", .integer(1 ... .max), "Tokens of an answer; null = not known.").orNull

    static let price = APIShape(
        name: "Price", meaning: "A row of the price table. All prices are USD per unit, exact to fifteen decimals.",
        fields: [
            APIField("id", .count, "The row's id."), APIField("model_name", .string, "Public name of the model."),
            APIField("display_name", .string, "For people."), APIField("provider", .string, "Whose price it is."),
            APIField("description", .string, "May be empty."), context, output, basis,
        ] + tokenPrices + unitPrices + mediaPrices + tiers + [
            APIField("is_active", .boolean, "False = the price does not count."),
            APIField("is_edited", .boolean, "True = set by people: files and lists no longer change it. Not in a history.").optional,
            APIField("version", .count, "Raised with every change; each charge names its own."), .createdAt,
            APIField("updated_at", .time, "The last change."),
        ])

    private static let model = APIShape(
        name: "Model", meaning: "A model that an enabled channel serves and that has a price. Prices are USD per unit.",
        fields: [
            APIField("model_name", .string, "What requests name."), APIField("display_name", .string, "For people."),
            APIField("description", .string, "May be empty."), APIField("provider", .string, "The first of `providers`."),
            APIField("providers", .list(.string), "Whose channels serve it."),
            APIField("endpoints", .list(.choice(Endpoint.allCases.map(\.rawValue))), "What it can be asked."),
            APIField("input_modalities", .list(.string), "What it takes; null where no vendor's list told.").orNull,
            APIField("output_modalities", .list(.string), "What it gives; null where no vendor's list told.").orNull,
            context, output, basis, tokenPrices[0].orNull, tokenPrices[1].orNull,
        ] + tokenPrices[2...] + unitPrices + tiers)

    static let catalogue = RouteDescription(
        id: "listCatalogue", chapter: .prices, summary: "What this gateway serves, for people who choose a model.",
        notes: "A model is listed once, whatever the number of its channels. All conditions hold together.",
        query: [
            APIField("q", .string, "Part of the name.").optional, APIField("provider", .string, "One that serves the model.").optional,
            APIField("modality", .string, "What the model takes or gives, such as `image`.").optional,
            APIField("max_price", .string, "Bound of input and output price, USD per million tokens, such as `0.5`.").optional,
        ], answer: .data(.list(.shape(model))), errors: [(400, "`max_price` is no price")],
        example: .init(path: "/api/models?q=echo&max_price=5"))

    static let list = RouteDescription(
        id: "listPrices", chapter: .prices, summary: "The price table.",
        query: [APIField("provider", .string, "Only rows of this provider.").optional], answer: .data(.list(.shape(price))),
        example: .init(path: "/api/models/pricing?provider=demo"))

    static let one = RouteDescription(
        id: "getPrice", chapter: .prices, summary: "The price of one model.",
        path: [APIField("model", .string, "Name of the model, slashes included.")], answer: .data(.shape(price)),
        errors: [(404, "the table has no such model")], example: .init(path: "/api/models/pricing/demo/echo"))

    static let change = RouteDescription(
        id: "changePrice", chapter: .prices, summary: "Sets what is named of a model's price, from the next request on.",
        notes: """
            A new model needs `pricing_input` and `pricing_output`. Naming one of the two drops the tiers, and makes a model that was \
            charged by the vendor's cost a metered one. Prices are numbers or text, USD per unit; null takes an optional one away.
            """,
        body: .json(
            [APIField("model_name", .text(256), "Public name of the model.")]
                + (tokenPrices + unitPrices + mediaPrices + [imageInput]).map { APIField($0.name, $0.kind, $0.meaning).optional } + [
                    APIField(
                        "image_sizes", .list(.any, maximum: PicturePrices.maximumSizes),
                        "Prices of images by size and quality: `{\"size\", \"quality\", \"price\"}`; one of the first two may be left out."
                    ).optional,
                    APIField("display_name", .text(200), "For people.").optional,
                    APIField("provider", .text(50), "Whose price it is.").optional,
                    APIField("description", .text(2_000), "For people.").optional,
                    APIField("context_length", .integer(1 ... .max), "Tokens of prompt and answer.").optional,
                    APIField("max_output_tokens", .integer(1 ... .max), "Tokens of an answer.").optional,
                    APIField("is_active", .boolean, "False = the price does not count.").optional,
                ]), answer: .data(.shape(price)),
        example: .init(body: ["model_name": "demo/echo", "pricing_input": .number("0.000001"), "pricing_output": "0.000002"]))

    private static let heldPrice = APIShape(
        name: "HeldPrice", meaning: "A price of a list that fell to a tenth or to nothing and waits for an admin's word.",
        fields: [
            APIField("model_name", .string, "Public name of the model."), APIField("provider", .string, "Whose price it would be."),
            APIField(
                "source", .choice(["vendor", "price_list"]), "`vendor` = the vendor's own list, `price_list` = that of `models.price_list`."
            ),
            APIField("changes", .string, "What would change, in USD per million tokens: `input 3 → 0.2`."), basis, tokenPrices[0],
            tokenPrices[1],
        ])

    static let held = RouteDescription(
        id: "listHeldPrices", chapter: .prices, summary: "Prices that lists have let fall too far to be believed.",
        notes: """
            A price stays as it is when a list says a tenth of it or less, and a model that a public list calls free gets no price by that. \
            The held price is dropped when the list changes its mind.
            """, answer: .data(.list(.shape(heldPrice))))

    static let accept = RouteDescription(
        id: "acceptHeldPrice", chapter: .prices, summary: "Accepts a held price, from the next request on.",
        notes: "The list goes on to set the price, as if it had not been held.",
        body: .json([APIField("model_name", .text(256), "Public name of the model.")]), answer: .data(.shape(price)),
        errors: [(404, "no price of this model is held, or an admin has set one")], example: .init(body: ["model_name": "demo/held"]))
}
