import HTTPTypes

/// Gifts, redemption codes and levels.
extension GatewayRoutes {
    static let credits: [Route] = {
        let batch = "/api/redemption/batch"
        return [
            Route(.get, "/api/credit", .user, CreditDescriptions.list, \.credits, CreditHandlers.list),
            Route(.post, "/api/credit", .admin, CreditDescriptions.grant, \.credits, CreditHandlers.grant),
            Route(.get, "/api/level", .user, CreditDescriptions.level, \.credits, CreditHandlers.level),
            Route(.get, batch, .admin, RedemptionDescriptions.batches, \.redemption, RedemptionHandlers.batches),
            Route(.post, batch, .admin, RedemptionDescriptions.create, \.redemption, RedemptionHandlers.create),
            Route(.get, "\(batch)/{id}", .admin, RedemptionDescriptions.batch, \.redemption, RedemptionHandlers.batch),
            Route(.post, "\(batch)/{id}/disable", .admin, RedemptionDescriptions.disable, \.redemption, RedemptionHandlers.disable),
            Route(.get, "/api/redemption/code", .admin, RedemptionDescriptions.codes, \.redemption, RedemptionHandlers.codes),
            Route(.post, "/api/redemption/redeem", .user, RedemptionDescriptions.redeem, \.redemption, RedemptionHandlers.redeem),
        ]
    }()
}
