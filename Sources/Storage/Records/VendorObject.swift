public import RouterCore

/// A row of `vendor_objects`: a file or a batch that a vendor keeps for a user of this gateway.
public struct VendorObject: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable { case file, batch }

    public var kind: Kind
    /// The vendor's id, which clients use as well.
    public var id: String
    public var userID: Int64
    public var channelID: Int64
    /// A mark of the channel's key that made it.
    public var keyMark: String
    public var provider: String
    public var model: String
    public var upstreamModel: String
    public var endpoint: Endpoint
    /// The purpose of a file: `batch`, `batch_output`; empty for a batch.
    public var purpose: String
    /// The hold of a batch, also for the files that it made.
    public var requestID: RequestID?
    /// JSON as clients see it, as the vendor said it last.
    public var object: String
    /// JSON; of an input file its ``BatchSummary``.
    public var detail: String
    /// Unix seconds.
    public var createdAt: Int64

    public init(
        kind: Kind, id: String, userID: Int64, channelID: Int64, keyMark: String, provider: String, model: String, upstreamModel: String,
        endpoint: Endpoint, purpose: String = "", requestID: RequestID? = nil, object: String, detail: String = "{}", createdAt: Int64
    ) {
        self.kind = kind
        self.id = id
        self.userID = userID
        self.channelID = channelID
        self.keyMark = keyMark
        self.provider = provider
        self.model = model
        self.upstreamModel = upstreamModel
        self.endpoint = endpoint
        self.purpose = purpose
        self.requestID = requestID
        self.object = object
        self.detail = detail
        self.createdAt = createdAt
    }
}
