import HTTPTypes
import NIOCore
import RouterCore

/// A member of the OpenAI family: what it does otherwise than OpenAI in ways that a provider file cannot say. ``OpenAIProvider`` does
/// everything else for all of them, so that nothing has to be passed on by hand.
struct OpenAIVariant: Sendable {
    /// Paths behind the base URL, with `{model}` where the model's name belongs.
    var paths: [Endpoint: String] = [
        .chat: "/chat/completions", .completions: "/completions", .embeddings: "/embeddings", .models: "/models",
        .responses: "/responses", .compact: "/responses/compact", .images: "/images/generations", .imageEdits: "/images/edits",
        .speech: "/audio/speech",
        .transcriptions: "/audio/transcriptions", .translations: "/audio/translations", .moderations: "/moderations", .rerank: "/rerank",
    ]
    var dialect = OpenAIDialect.plain
    /// Files and batches, for a provider file that says that the vendor has them.
    var batches = BatchSupport(files: "/files", batches: "/batches", urls: BatchSupport.clientURLs)
    /// ``Provider/passesPreferencesOn``
    var passesPreferencesOn = false
    /// The header of an answer that tells the vendor's id of the generation.
    var generationHeader: HTTPField.Name?
    /// The path of a generation's record, up to its id.
    var generationPath: String?
    var activityPath: String?
    var readModels: @Sendable (ByteBuffer) -> [ListedModel]? = OpenAIVariant.modelNames
    var readGeneration: @Sendable (ByteBuffer) -> Usage? = { _ in nil }
    var readActivity: @Sendable (ByteBuffer) -> [DailyCost]? = { _ in nil }

    /// `{"object":"list","data":[{"id"}]}`: names only (https://platform.openai.com/docs/api-reference/models/list). Some servers
    /// add limits of their own, of which `context_length` and vLLM's `max_model_len` are read.
    private static func modelNames(_ body: ByteBuffer) -> [ListedModel]? {
        ModelList.read(body, under: "data") { entry in
            entry["id"]?.stringValue.map { id in
                ListedModel(
                    id: id, contextLength: ModelList.tokens(entry["context_length"]) ?? ModelList.tokens(entry["max_model_len"]))
            }
        }
    }

    func path(of side: SideCall) -> String? {
        switch side {
        case .listModels: return paths[.models]
        case .activity: return activityPath
        case .response: return nil
        case .generation(let id):
            guard OpenAIDialect.isGenerationID(id) else { return nil }
            return generationPath.map { $0 + id }
        }
    }

    func generationID(_ head: UpstreamHead) -> String? {
        guard let generationHeader, let id = head.headers[generationHeader], OpenAIDialect.isGenerationID(id) else { return nil }
        return id
    }
}

/// A vendor of the family, passed on by reference: answers and streams keep what they need to read it.
final class OpenAIVendor: Sendable {
    let spec: ProviderSpec
    let dialect: OpenAIDialect

    init(spec: ProviderSpec, dialect: OpenAIDialect) {
        self.spec = spec
        self.dialect = dialect
    }
}

/// How requests, answers and errors of members of the family differ.
struct OpenAIDialect: Sendable, Hashable {
    /// `usage.cost` is what the vendor bills us.
    var reportsCost = false
    /// Top-level request fields that are for the gateway, not for the vendor.
    var gatewayFields: Set<String> = ["models", "provider", "session_id"]
    /// The client's `provider` preferences choose among hosts of different prices.
    var boundsHostPrices = false
    /// 403 can mean moderation of the client's input.
    var forbiddenMayBeModeration = false
    /// `X-RateLimit-Reset` is a Unix time in milliseconds.
    var readsRateLimitReset = false
    /// Fields beyond OpenAI's own that may be sent when another dialect is converted.
    var readsTopK = false
    var readsReasoningDetails = false
    var readsCacheControl = false
    var readsFileURLs = false
    /// `images` of an assistant's message, as its answers have them.
    var readsAnswerImages = false

    static let plain = OpenAIDialect()
    /// For bodies of another dialect, where no field is the gateway's.
    static let verbatim = OpenAIDialect(gatewayFields: [])

    /// Whether an id is fit to be stored and to be put into a URL again.
    static func isGenerationID(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 128
            && text.utf8.allSatisfy {
                ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == 0x2D || $0 == 0x5F
            }
    }
}
