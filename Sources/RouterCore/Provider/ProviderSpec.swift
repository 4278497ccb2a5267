/// A vendor as its file in `providers/` describes it: data only. The adaptor of its family reads it.
public struct ProviderSpec: Sendable, Hashable {
    /// Equal to the file name without `.yaml`.
    public var name: String
    public var displayName: String
    public var family: AdaptorID
    /// No trailing slash. `builtin:simulator` names the demo upstream that the server starts in process.
    public var baseURL: String
    /// Environment variable of the default credential.
    public var keyEnv: String?
    public var auth: AuthStyle
    /// Static headers in order. Values may come from the environment, so they are secrets.
    public var headers: [StaticHeader]
    /// Endpoints served; the value is a path when it differs from the family's.
    public var endpoints: [Endpoint: String?]
    public var request: RequestRules
    public var usage: UsageRules
    /// First match wins, before the family's rules.
    public var errors: [ErrorRule]
    public var billing: BillingTraits
    public var models: [ProviderModel]
    /// For models that the file does not list (a local server); nil = they have no price.
    public var defaultPrice: ModelPrice?
    /// The vendor's Responses keep state: what it has answered can be retrieved, continued and deleted there, by the account that made it.
    public var keepsResponses = false
    /// It makes background responses, where it keeps responses.
    public var makesBackgroundResponses = false
    /// All keys belong to one account, so that a full quota or an empty balance met with one of them holds for all.
    public var keysShareAccount: Bool
    public var catalogue: CatalogueRules
    /// Files and batches as OpenAI has them; nil = the vendor has none.
    public var batches: BatchSupport?
    /// The vendor's page where one gets a key: `https://…`.
    public var keyURL: String?

    public init(
        name: String, displayName: String? = nil, family: AdaptorID, baseURL: String, keyEnv: String? = nil,
        auth: AuthStyle = .bearer, headers: [StaticHeader] = [],
        endpoints: [Endpoint: String?] = [
            .chat: nil, .messages: nil, .completions: nil, .embeddings: nil, .models: nil,
        ],
        request: RequestRules = RequestRules(), usage: UsageRules = UsageRules(), errors: [ErrorRule] = [],
        billing: BillingTraits = BillingTraits(), models: [ProviderModel] = [], defaultPrice: ModelPrice? = nil,
        keysShareAccount: Bool = false, catalogue: CatalogueRules = CatalogueRules(), batches: BatchSupport? = nil
    ) {
        self.name = name
        self.displayName = displayName ?? name
        self.family = family
        self.baseURL = baseURL
        self.keyEnv = keyEnv
        self.auth = auth
        self.headers = headers
        self.endpoints = endpoints
        self.request = request
        self.usage = usage
        self.errors = errors
        self.billing = billing
        self.models = models
        self.defaultPrice = defaultPrice
        self.keysShareAccount = keysShareAccount
        self.catalogue = catalogue
        self.batches = batches
    }
}

public struct StaticHeader: Sendable, Hashable {
    public var name: String
    public var value: Secret
    public init(name: String, value: Secret) {
        self.name = name
        self.value = value
    }
}

extension ProviderSpec {
    /// Responses go to the vendor as they are, and it keeps them, unless the file forbids that.
    public var holdsResponses: Bool {
        keepsResponses && endpoints[.responses] != nil && !request.set.contains { $0.name == "store" && $0.json == "false" }
    }
}

extension ProviderSpec {
    /// Responses of the background are started there; elsewhere the gateway makes them itself.
    public var runsBackground: Bool { makesBackgroundResponses && holdsResponses }
}

/// How the credential travels.
public enum AuthStyle: Sendable, Hashable {
    /// `Authorization: Bearer <key>`
    case bearer
    case header(name: String, prefix: String)
    case query(name: String)
    case none
}

/// Operations on the JSON body, applied in this order: rename, drop, default, set. Keys are top-level field names.
public struct RequestRules: Sendable, Hashable {
    /// A field of the JSON body with its value as JSON text.
    public struct Field: Sendable, Hashable {
        public var name: String
        public var json: String
        public init(name: String, json: String) {
            self.name = name
            self.json = json
        }
    }
    /// A renamed field; when the new name is present as well, the new one wins and the old one is dropped.
    public struct Rename: Sendable, Hashable {
        public var from: String
        public var to: String
        public init(from: String, to: String) {
            self.from = from
            self.to = to
        }
    }
    public var rename: [Rename]
    public var drop: [String]
    /// Added when absent.
    public var defaults: [Field]
    /// Always this value.
    public var set: [Field]

    public init(rename: [Rename] = [], drop: [String] = [], defaults: [Field] = [], set: [Field] = []) {
        self.rename = rename
        self.drop = drop
        self.defaults = defaults
        self.set = set
    }

    /// The service tier that the vendor is asked for when the client asks for `asked`.
    public func serviceTier(asked: String?) -> String? {
        func text(_ field: Field) -> String { String(field.json.drop { $0 == "\"" }.prefix { $0 != "\"" }) }
        if let field = set.last(where: { $0.name == "service_tier" }) { return text(field) }
        if let asked, !drop.contains("service_tier") { return asked }
        return defaults.last { $0.name == "service_tier" }.map(text)
    }

    public var isEmpty: Bool { rename.isEmpty && drop.isEmpty && defaults.isEmpty && set.isEmpty }
}

/// Where a vendor's usage differs from its family's. Paths are dotted, from the root of the answer or chunk.
public struct UsageRules: Sendable, Hashable {
    public var cachedTokens: String?
    public var cacheWriteTokens: String?
    public var reasoningTokens: String?
    /// Whether cached tokens are counted inside the prompt tokens. nil = the family's rule.
    public var cachedInsidePrompt: Bool?
    /// Whether `stream_options.include_usage` may be sent. nil = the family's rule (yes).
    public var streamUsageOption: Bool?
    /// Whether reasoning tokens are counted inside the completion tokens. nil = the family's rule.
    public var reasoningInsideCompletion: Bool?

    public init(
        cachedTokens: String? = nil, cacheWriteTokens: String? = nil, reasoningTokens: String? = nil,
        cachedInsidePrompt: Bool? = nil, streamUsageOption: Bool? = nil, reasoningInsideCompletion: Bool? = nil
    ) {
        self.reasoningInsideCompletion = reasoningInsideCompletion
        self.cachedTokens = cachedTokens
        self.cacheWriteTokens = cacheWriteTokens
        self.reasoningTokens = reasoningTokens
        self.cachedInsidePrompt = cachedInsidePrompt
        self.streamUsageOption = streamUsageOption
    }
}

/// One rule of `errors:`; all conditions that are given must hold.
public struct ErrorRule: Sendable, Hashable {
    public var status: Int?
    /// Case-insensitive.
    public var bodyContains: String?
    /// Equal to `error.code` or `error.type` of the body, as text.
    public var code: String?
    public var kind: FailureKind

    public init(status: Int? = nil, bodyContains: String? = nil, code: String? = nil, kind: FailureKind) {
        self.status = status
        self.bodyContains = bodyContains
        self.code = code
        self.kind = kind
    }
}

public struct BillingTraits: Sendable, Hashable {
    /// Closing the connection of a stream ends the vendor's billing.
    public var cancelStopsBilling: Bool
    /// Nobody bills anything: a server of one's own.
    public var isFree: Bool
    /// Tokens that a model may think beside what the request's bound on its output counts; 0 = thoughts count as output.
    public var thinkingBeyondLimit: Int64
    public init(cancelStopsBilling: Bool = false, isFree: Bool = false, thinkingBeyondLimit: Int64 = 0) {
        self.cancelStopsBilling = cancelStopsBilling
        self.isFree = isFree
        self.thinkingBeyondLimit = thinkingBeyondLimit
    }
}

/// How the models of a vendor are renewed at run time.
public struct CatalogueRules: Sendable, Hashable {
    /// How often the vendor's own list is read while an enabled channel uses the vendor; nil = the gateway's setting alone decides.
    public var refresh: Duration?
    /// The vendor's names in LiteLLM's price list (`litellm_provider`); nil = the same as here, empty = the list does not cover it.
    public var priceListNames: [String]?

    public init(refresh: Duration? = nil, priceListNames: [String]? = nil) {
        self.refresh = refresh
        self.priceListNames = priceListNames
    }
}

/// A model that a vendor serves, with its list price.
public struct ProviderModel: Sendable, Hashable {
    /// The vendor's name, which is also the default public name.
    public var id: String
    public var displayName: String?
    public var description: String?
    /// Tokens.
    public var contextLength: Int64?
    public var maxOutputTokens: Int64?
    /// nil: the file gives no price.
    public var price: ModelPrice?
    public var endpoints: Set<Endpoint>?
    /// The model may think before it answers; nil: its name says (``ThinkingModels``).
    public var reasoning: Bool?

    public init(
        id: String, displayName: String? = nil, description: String? = nil, contextLength: Int64? = nil,
        maxOutputTokens: Int64? = nil, price: ModelPrice? = nil, endpoints: Set<Endpoint>? = nil, reasoning: Bool? = nil
    ) {
        self.reasoning = reasoning
        self.id = id
        self.displayName = displayName
        self.description = description
        self.contextLength = contextLength
        self.maxOutputTokens = maxOutputTokens
        self.price = price
        self.endpoints = endpoints
    }
}
