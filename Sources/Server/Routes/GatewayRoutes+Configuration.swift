import Gateway
import HTTPTypes

/// The configuration, prices as they are looked after, and the system.
extension GatewayRoutes {
    static let configuration: [Route] = [
        // The change comes first: the size of a body is bounded by its path, whatever the method.
        Route(
            .put, "/api/config/file", .root, body: .document, ConfigurationDescriptions.save, \.configuration, ConfigurationHandlers.save),
        Route(.get, "/api/config", .root, ConfigurationDescriptions.list, \.configuration, ConfigurationHandlers.list),
        Route(.get, "/api/config/file", .root, ConfigurationDescriptions.file, \.configuration, ConfigurationHandlers.file),
        Route(
            .post, "/api/config/check", .root, body: .document, ConfigurationDescriptions.check, \.configuration,
            ConfigurationHandlers.check),
        Route(.get, "/api/pricing/history", .admin, PriceReviewDescriptions.history, \.priceReview, PriceReviewHandlers.history),
        Route(.get, "/api/pricing/missing", .admin, PriceReviewDescriptions.missing, \.priceReview, PriceReviewHandlers.missing),
        Route(.post, "/api/pricing/sync", .admin, PriceReviewDescriptions.sync, \.priceReview, PriceReviewHandlers.sync),
        Route(.get, "/api/system", .root, ConfigurationDescriptions.system, \.system, SystemHandlers.system),
        Route(.post, "/api/ledger/verify", .root, ConfigurationDescriptions.verify, \.system, SystemHandlers.verify),
        Route(.get, "/api/ledger/poison", .root, ConfigurationDescriptions.poison, \.system, SystemHandlers.poison),
    ]
}
