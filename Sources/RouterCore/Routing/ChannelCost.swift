/// The cost prices of a channel that are not its vendor's list prices: `cost:` of channels.yaml. A class, so that the many channels without
/// it cost nothing to copy.
public final class ChannelCost: Sendable, Hashable {
    /// The factor on the list price, for the models that have no price here.
    public let ratio: PriceRatio
    /// By the vendor's name of the model.
    public let models: [String: ModelPrice]

    /// Most prices of one channel.
    public static let maximumModels = 2_000

    public init(ratio: PriceRatio = .one, models: [String: ModelPrice] = [:]) {
        self.ratio = ratio
        self.models = models
    }

    public static func == (left: ChannelCost, right: ChannelCost) -> Bool {
        left === right || left.ratio == right.ratio && left.models == right.models
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(ratio)
        hasher.combine(models)
    }
}

extension Channel {
    /// The price that the vendor bills for a model, by its own name; nil = unknown. In this order: the channel's own price, nothing at all
    /// where nobody bills, the list price × the channel's ratio.
    /// - Parameter list: the vendor's list price where it is known better than from the provider file.
    public func costPrice(_ upstream: String, list: @autoclosure () -> ModelPrice? = nil) -> CostPrice? {
        if let own = cost?.models[upstream] { return CostPrice(own) }
        if provider.billing.isFree { return .free }
        let price = list() ?? provider.models.first { $0.id == upstream }?.price ?? provider.defaultPrice
        return price.map { CostPrice($0, ratio: cost?.ratio ?? .one) }
    }

    /// Whether a request may go to the vendor under this name of the vendor's.
    public func mayAsk(for upstream: String) -> Bool {
        models.contains { model in
            if let own = model.upstream { return own == upstream }
            return model.pattern == upstream || model.pattern.contains("*") && Self.matches(model.pattern, upstream)
        }
    }
}

/// The fate of a channel that would sell a request below its cost (`routing.below_cost`).
public enum BelowCost: String, Sendable, Hashable, CaseIterable {
    /// It serves as if nothing were known.
    case allow
    /// It is tried behind all others.
    case last
    /// It is not tried.
    case refuse
}
