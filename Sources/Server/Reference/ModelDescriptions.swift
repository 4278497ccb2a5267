import RouterCore

/// Model calls and lists of models.
enum ModelDescriptions {
    // MARK: Calls

    private static let openAI = "https://platform.openai.com/docs/api-reference/"
    private static let model = APIField("model", .text(8_192), "Public name of a model that the key may use.")
    private static let stream = APIField("stream", .boolean, "True = server-sent events.").optional
    private static let models = APIField("models", .list(.string), "Further models to try, in this order, as OpenRouter has it.").optional
    private static let provider = APIField(
        "provider", .any,
        "OpenRouter's wishes about channels, such as `order`, `only` and `sort` ([routing.md](routing.md))."
    ).optional
    private static let session = APIField("session_id", .text(8_192), "Name of the conversation, which keeps it on one channel.").optional
    private static let routing = [models, provider, session]
    private static let sessionHeader = APIField("x-session-id", .text(8_192), "The same as `session_id`, where the body has none.").optional

    private static let notes = """
        Only the fields that mean something to the gateway are listed; the vendor's description has the others. What a model of another \
        family cannot say is refused ([dialects.md](dialects.md)).
        """

    private static let errors: [(status: Int, when: String)] = [
        (402, "the balance or a total budget does not cover what the call may cost"),
        (404, "no such model, or no channel is left by the request's `provider`"),
        (429, "a limit or budget of key or user, or every channel is at its limit; `Retry-After`"), (502, "every channel failed"),
        (504, "no channel answered in time"),
    ]

    private static let sse = "text/event-stream"
    private static let streamed = Answer.raw(
        ["application/json", sse], "As the vendor's description has it; `usage.cost` is what was charged, USD.")
    private typealias Answer = RouteDescription.Answer

    private static func call(
        _ id: String, _ summary: String, _ reference: String, _ fields: [APIField], _ answer: RouteDescription.Answer, _ body: JSONValue?,
        mediaType: String = "application/json", notes: String = notes
    ) -> RouteDescription {
        RouteDescription(
            id: id, chapter: .calls, summary: summary, notes: notes, reference: reference, headers: [sessionHeader],
            body: .vendor(fields, mediaType: mediaType),
            answer: answer, errors: errors, example: .init(body: body))
    }

    private static func said(_ text: String, _ more: [JSONValue.Member] = []) -> JSONValue {
        .object([.init("model", "demo/echo"), .init("messages", [["role": "user", "content": .string(text)]])] + more)
    }

    /// The description of a model call, by its endpoint.
    static func relay(_ endpoint: Endpoint) -> RouteDescription {
        switch endpoint {
        case .chat, .completions, .responses, .messages, .gemini: conversation(endpoint)
        case .compact, .embeddings, .images, .imageEdits, .speech, .transcriptions, .translations, .moderations, .rerank, .models:
            other(endpoint)
        }
    }

    private static func conversation(_ endpoint: Endpoint) -> RouteDescription {
        switch endpoint {
        case .responses:
            call(
                "createResponse", "A turn of a conversation, in OpenAI's Responses ([responses.md](responses.md)).",
                openAI + "responses/create",
                [
                    model, APIField("input", .any, "Text, or a list of items.").optional, stream,
                    APIField("store", .boolean, "False = the response is not stored.").optional,
                    APIField("previous_response_id", .text(256), "The response that this one continues.").optional,
                    APIField("conversation", .any, "Id of the conversation that it belongs to, or an object with it.").optional,
                ] + routing, streamed,
                ["model": "demo/echo", "input": "Hello"])
        case .messages:
            call(
                "createMessage", "A turn of a conversation, in Anthropic's Messages.", "https://docs.anthropic.com/en/api/messages",
                [
                    model, APIField("messages", .list(.any), "The conversation."), APIField("max_tokens", .count, "Bound of the answer."),
                    stream,
                ]
                    + routing, streamed, said("Hello", [.init("max_tokens", .number("100"))]))
        case .completions:
            call(
                "createCompletion", "A text that goes on, in OpenAI's older form.", openAI + "completions/create",
                [model, APIField("prompt", .any, "Text, or a list of texts."), stream] + routing, streamed,
                ["model": "demo/echo", "prompt": "Hello"])
        default:
            call(
                "createChatCompletion", "A turn of a conversation, in OpenAI's Chat Completions.", openAI + "chat/create",
                [model, APIField("messages", .list(.any), "The conversation."), stream] + routing, streamed,
                said("Hello", [.init("stream", true)]))
        }
    }

    private static func other(_ endpoint: Endpoint) -> RouteDescription {
        let json = Answer.raw(["application/json"], "As the vendor's description has it; `usage.cost` is what was charged, USD.")
        switch endpoint {
        case .compact:
            return call(
                "compactResponse", "A conversation made shorter, by a vendor that does so.", openAI + "responses/compact",
                [
                    model, APIField("input", .any, "Text, or a list of items.").optional,
                    APIField("previous_response_id", .text(256), "The response whose conversation it is.").optional,
                ] + routing, json, ["model": "openai/gpt-5", "input": "Hello"])
        case .embeddings:
            return call(
                "createEmbedding", "Vectors of texts.", openAI + "embeddings/create",
                [model, APIField("input", .any, "A text, or a list of texts or of tokens.")] + routing, json,
                ["model": "openai/text-embedding-3-small", "input": "Hello"])
        case .images:
            return call(
                "createImage", "Pictures from words.", openAI + "images/create",
                [model, APIField("prompt", .string, "The words.")] + routing, json,
                ["model": "openai/gpt-image-1", "prompt": "a lighthouse"])
        case .imageEdits:
            return call(
                "editImage", "Pictures from pictures and words.", openAI + "images/createEdit",
                [
                    APIField("image", .file, "The picture; several are sent as `image[]`."),
                    APIField("mask", .file, "Where it changes.").optional,
                    model, APIField("prompt", .string, "The words."), stream,
                ] + routing,
                .raw(["application/json", sse], "The pictures; `usage.cost` is what was charged, USD."), nil,
                mediaType: "multipart/form-data")
        case .speech:
            return call(
                "createSpeech", "Sound from words.", openAI + "audio/createSpeech",
                [model, APIField("input", .text(1_048_576), "The words."), APIField("voice", .string, "As the vendor calls it.")] + routing,
                .raw(["audio/mpeg", "application/octet-stream"], "The sound, as it comes."),
                ["model": "openai/tts-1", "input": "Hello", "voice": "alloy"])
        case .transcriptions:
            return call(
                "createTranscription", "Words from sound.", openAI + "audio/createTranscription",
                [APIField("file", .file, "The sound."), model, stream] + routing,
                .raw(["application/json", "text/plain", sse], "The words."), nil,
                mediaType: "multipart/form-data")
        case .translations:
            return call(
                "createTranslation", "English words from sound.", openAI + "audio/createTranslation",
                [APIField("file", .file, "The sound."), model] + routing,
                .raw(["application/json", "text/plain"], "The words."), nil,
                mediaType: "multipart/form-data")
        case .rerank:
            return call(
                "rerank", "Documents ordered by relevance.", "https://docs.cohere.com/reference/rerank",
                [
                    model, APIField("query", .string, "What they are to be relevant to."),
                    APIField("documents", .list(.any), "The documents."),
                ]
                    + routing, json,
                ["model": "cohere/rerank-v3.5", "query": "capital", "documents": ["Paris", "an apple"]])
        default:
            return call(
                "createModeration", "Whether a text or a picture is harmful.", openAI + "moderations/create",
                [
                    APIField("model", .text(8_192), "`models.moderation` of gateway.yaml by default.").optional,
                    APIField("input", .any, "What is looked at."),
                ] + routing, json, ["input": "Hello"])
        }
    }

    /// Counting tokens is free and calls no vendor.
    static let count = RouteDescription(
        id: "countMessageTokens", chapter: .calls,
        summary: "The gateway's own count of a Messages body's tokens ([token-counting.md](token-counting.md)).",
        notes: "No vendor is asked, nothing is charged, and no limit counts it.",
        reference: "https://docs.anthropic.com/en/api/messages-count-tokens",
        body: .vendor([model, APIField("messages", .list(.any), "The conversation.")]),
        answer: .json(.object([APIField("input_tokens", .count, "Tokens of the prompt.")])), errors: [(404, "no such model")],
        example: .init(body: said("Hello")))

    static let google = RouteDescription(
        id: "google", chapter: .calls, summary: "Calls in Google's dialect: a turn of a conversation, embeddings, a count of tokens.",
        notes: """
            `streamGenerateContent` answers with one JSON array, with `?alt=sse` with server-sent events. `countTokens` is the \
            gateway's own count and costs nothing. The key may come in `x-goog-api-key` or as `?key=`. Any other method gets a 404.
            """,
        reference: "https://ai.google.dev/api/generate-content",
        path: [APIField("model", .string, "Public name of a model that the key may use, slashes included.")],
        query: [
            APIField("alt", .choice(["sse"]), "How `streamGenerateContent` answers.").optional,
            APIField("key", .string, "The API key, where no header has it.").optional,
        ],
        body: .vendor([
            APIField("contents", .list(.any), "The conversation (`generateContent`, `streamGenerateContent`, `countTokens`).").optional,
            APIField("content", .any, "What is embedded (`embedContent`).").optional,
            APIField("requests", .list(.any), "What is embedded (`batchEmbedContents`).").optional,
        ]),
        answer: .raw(["application/json", sse], "As the vendor's description has it."), errors: errors,
        example: .init(
            path: "/v1beta/models/demo/echo:generateContent", body: ["contents": [["parts": [["text": "Hello"]]]]]),
        methods: ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"])

    // MARK: Lists

    private static let anthropicVersion = APIField("anthropic-version", .string, "The answer is in Anthropic's form.").optional
    private static let googleKey = APIField("x-goog-api-key", .string, "The API key; the answer is in Google's form.").optional

    static let anthropicPage: [APIField] = [
        APIField("limit", .integer(1...1_000), "With `anthropic-version`: models of a page; all by default.").optional,
        APIField("after_id", .string, "With `anthropic-version`: the page behind this model.").optional,
        APIField("before_id", .string, "With `anthropic-version`: the page before this model.").optional,
    ]
    static let googlePage: [APIField] = [
        APIField("pageSize", .count, "In Google's form: models of a page; 1000 by default.").optional,
        APIField("pageToken", .string, "In Google's form: `nextPageToken` of the page before.").optional,
    ]

    private static let listed = APIShape(
        name: "ListedModel", meaning: "A model in OpenAI's form, with OpenRouter's prices.",
        fields: [
            APIField("id", .string, "Public name."), APIField("object", .choice(["model"]), "Always."),
            APIField("created", .time, "When its price was first known; 0 = not known."), APIField("owned_by", .string, "Its provider."),
            APIField("name", .string, "For people; only where it has a price, like the next two.").optional,
            APIField("context_length", .count, "Tokens of prompt and answer.").optional.orNull,
            APIField(
                "pricing",
                .object([
                    APIField("prompt", .string, "USD per token, exact; `-1` = by the vendor's reported cost."),
                    APIField("completion", .string, "The same for the answer."),
                ]), "What it costs."
            ).optional,
        ])

    private static let googleModel = APIShape(
        name: "GoogleModel", meaning: "A model in Google's form.",
        fields: [
            APIField("name", .string, "`models/` and the public name."), APIField("version", .choice(["1"]), "Always."),
            APIField("displayName", .string, "For people."), APIField("inputTokenLimit", .count, "Where it is known.").optional,
            APIField("outputTokenLimit", .count, "Where it is known.").optional,
            APIField("supportedGenerationMethods", .list(.string), "What it can be asked."),
        ])

    static let list = RouteDescription(
        id: "listModels", chapter: .lists, summary: "The models that the key may use.",
        notes: """
            In OpenAI's form with OpenRouter's prices; in Anthropic's (`data`, `has_more`, `first_id`, `last_id`) for clients that send \
            `anthropic-version`, in Google's for those that send `x-goog-api-key`.
            """,
        reference: openAI + "models/list", query: anthropicPage + googlePage, headers: [anthropicVersion, googleKey],
        answer: .json(.object([APIField("object", .choice(["list"]), "Always."), APIField("data", .list(.shape(listed)), "The models.")])),
        errors: [(400, "a parameter is wrong")])

    static let one = RouteDescription(
        id: "getModel", chapter: .lists, summary: "One of the models that the key may use.", notes: "In the same forms as the list.",
        reference: openAI + "models/retrieve", path: [APIField("model", .string, "Public name, slashes included.")],
        headers: [anthropicVersion, googleKey], answer: .json(.shape(listed)), errors: [(404, "the key may use no such model")],
        example: .init(path: "/v1/models/demo/echo"))

    static let googleList = RouteDescription(
        id: "listGoogleModels", chapter: .lists, summary: "The models that the key may use, in Google's form.",
        reference: "https://ai.google.dev/api/models", query: googlePage,
        answer: .json(
            .object([
                APIField("models", .list(.shape(googleModel)), "The models."),
                APIField("nextPageToken", .string, "Where there are more.").optional,
            ])), errors: [(400, "a parameter is wrong")])

    static let googleOne = RouteDescription(
        id: "getGoogleModel", chapter: .lists, summary: "One of the models that the key may use, in Google's form.",
        reference: "https://ai.google.dev/api/models", path: [APIField("model", .string, "Public name, slashes included.")],
        answer: .json(.shape(googleModel)), errors: [(404, "the key may use no such model")],
        example: .init(path: "/v1beta/models/demo/echo"))
}
