import HTTPTypes

extension GatewayRoutes {
    static let margins: [Route] = [
        Route(.get, "/api/margin", .admin, MarginDescriptions.margin, \.margins, MarginHandlers.margin)
    ]
}
