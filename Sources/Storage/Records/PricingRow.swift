public import RouterCore

/// A row of `model_pricing`.
public struct PricingRow: Sendable, Hashable {
    public var id: Int64
    public var modelName: String
    public var displayName: String
    public var provider: String
    public var description: String
    public var contextLength: Int64?
    public var maxOutputTokens: Int64?
    public var price: ModelPrice
    public var isActive: Bool
    /// True once an admin has edited the row: seeding from provider files leaves it alone then.
    public var isEdited: Bool
    /// Raised by every change; each transaction names the version that it used.
    public var version: Int64
    public var createdAt: Int64
    public var updatedAt: Int64

    public init(
        id: Int64 = 0, modelName: String, displayName: String = "", provider: String = "", description: String = "",
        contextLength: Int64? = nil, maxOutputTokens: Int64? = nil, price: ModelPrice, isActive: Bool = true,
        isEdited: Bool = false, version: Int64 = 0, createdAt: Int64 = 0, updatedAt: Int64 = 0
    ) {
        self.id = id
        self.modelName = modelName
        self.displayName = displayName
        self.provider = provider
        self.description = description
        self.contextLength = contextLength
        self.maxOutputTokens = maxOutputTokens
        self.price = price
        self.isActive = isActive
        self.isEdited = isEdited
        self.version = version
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

extension PricingRow {
    /// If two changes were made from one version, the second would undo the first.
    func checkVersion(over old: PricingRow?) throws(StoreError) {
        guard version == 0 || version == old?.version else {
            throw .conflict("the price of '\(modelName)' has been changed meanwhile; look at it again")
        }
    }
}
