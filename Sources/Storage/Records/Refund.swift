public import RouterCore

/// Gives back what a request was charged, or a part of it.
public struct Refund: Sendable {
    /// The request id of the charge.
    public var reference: String
    /// nil = all of it.
    public var amount: NanoUSD?
    /// The caller's own name for this operation, so that a retry is recognised; nil = the charge's name is used.
    public var key: String?
    public var description: String
    /// Unix seconds.
    public var createdAt: Int64

    public init(reference: String, amount: NanoUSD?, key: String? = nil, description: String = "", createdAt: Int64) {
        self.reference = reference
        self.amount = amount
        self.key = key
        self.description = description
        self.createdAt = createdAt
    }
}
