/// A response, or a conversation, that its user can refer to later (OpenAI's Responses): kept here, or known to be kept by the vendor.
public struct StoredResponse: Sendable, Hashable {
    public enum Kind: Int64, Sendable {
        case response = 1
        case conversation = 2
    }

    public enum Holder: String, Sendable {
        /// The gateway keeps the items itself.
        case gateway
        /// The vendor does; only the place is known here.
        case vendor
    }

    /// Ids are unique within one user's: vendors choose theirs without knowing of each other.
    public struct Key: Sendable, Hashable {
        public var userID: Int64
        public var id: String

        public init(userID: Int64, id: String) {
            self.userID = userID
            self.id = id
        }
    }

    public var key: Key
    public var kind: Kind
    public var holder: Holder
    /// The public name; empty for a conversation.
    public var model: String
    /// The vendor's name for it.
    public var upstreamModel: String
    /// The channel that answered; 0 for a conversation.
    public var channelID: Int64
    /// A fingerprint of the channel's key that was used; empty where there was none.
    public var keyFingerprint: String
    /// Tokens of prompt and answer by the vendor's count: what the vendor will read again when the response is continued there.
    public var contextTokens: Int64
    /// The input items as a JSON array, or all items of a conversation; empty when the vendor has them.
    public var items: [UInt8]
    /// The response or conversation as a JSON object; empty when the vendor has it.
    public var body: [UInt8]
    /// Unix seconds.
    public var createdAt: Int64
    /// Unix seconds; from here on it is as if it had never been.
    public var expiresAt: Int64

    public init(
        key: Key, kind: Kind = .response, holder: Holder = .gateway, model: String = "", upstreamModel: String = "", channelID: Int64 = 0,
        keyFingerprint: String = "", contextTokens: Int64 = 0, items: [UInt8] = [], body: [UInt8] = [], createdAt: Int64, expiresAt: Int64
    ) {
        self.key = key
        self.kind = kind
        self.holder = holder
        self.model = model
        self.upstreamModel = upstreamModel
        self.channelID = channelID
        self.keyFingerprint = keyFingerprint
        self.contextTokens = contextTokens
        self.items = items
        self.body = body
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }

    /// About what a row takes up besides items and body, in bytes.
    private static let rowBytes = 256

    /// The size in bytes that counts towards the bounds of the store.
    public var bytes: Int64 { Int64(items.count + body.count + Self.rowBytes) }
}

/// The bounds of stored responses, in bytes.
public struct ResponseStoreLimits: Sendable, Hashable {
    public var total: Int64
    public var perUser: Int64

    public init(total: Int64, perUser: Int64) {
        self.total = total
        self.perUser = perUser
    }
}
