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

    /// Where a response is made that is not over yet, or whose end has not been noted (a background response).
    public enum Maker: Sendable, Hashable {
        /// Behind the hold of this request.
        case vendor(RequestID)
        case gateway(ResponseMaker)
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
    /// nil = it is over, as all are that were not made in the background.
    public var maker: Maker?
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
        key: Key, kind: Kind = .response, holder: Holder = .gateway, maker: Maker? = nil, model: String = "", upstreamModel: String = "",
        channelID: Int64 = 0, keyFingerprint: String = "", contextTokens: Int64 = 0, items: [UInt8] = [], body: [UInt8] = [],
        createdAt: Int64, expiresAt: Int64
    ) {
        self.key = key
        self.kind = kind
        self.holder = holder
        self.maker = maker
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

/// A process of a gateway that makes background responses, and until when it may.
public struct ResponseMaker: Sendable, Hashable {
    /// The gateway's name at its ledger, which it keeps over restarts.
    public var gateway: String
    /// Random for each start.
    public var process: String
    /// Unix seconds: what is not over by then has died with its gateway.
    public var deadline: Int64

    public init(gateway: String, process: String, deadline: Int64) {
        self.gateway = gateway
        self.process = process
        self.deadline = deadline
    }
}

extension StoredResponse {
    /// Holder and maker in the one word of their column: `gateway`, `vendor`, `vendor:ID`, `gateway:NAME:PROCESS:DEADLINE`.
    public var place: String {
        switch maker {
        case nil: holder.rawValue
        case .vendor(let id): "vendor:\(id)"
        case .gateway(let maker): "gateway:\(maker.gateway):\(maker.process):\(maker.deadline)"
        }
    }

    /// - Returns: nil for a word of another form.
    public static func read(place: String) -> (holder: Holder, maker: Maker?)? {
        let parts = place.split(separator: ":", omittingEmptySubsequences: false)
        guard let holder = parts.first.flatMap({ Holder(rawValue: String($0)) }) else { return nil }
        switch (holder, parts.count) {
        case (_, 1): return (holder, nil)
        case (.vendor, 2): return RequestID(parts[1]).map { (holder, .vendor($0)) }
        case (.gateway, 4):
            return Int64(parts[3]).map { deadline in
                (holder, .gateway(ResponseMaker(gateway: String(parts[1]), process: String(parts[2]), deadline: deadline)))
            }
        default: return nil
        }
    }
}

/// The status of a background response (https://platform.openai.com/docs/api-reference/responses/object).
public enum BackgroundStatus {
    private static let running: Set<String> = ["queued", "in_progress"]

    /// Whether nothing more comes. A response of no known status is one that is not over.
    public static func isFinal(_ response: JSONValue?) -> Bool {
        guard let status = response?["status"]?.stringValue else { return false }
        return !running.contains(status)
    }
}
