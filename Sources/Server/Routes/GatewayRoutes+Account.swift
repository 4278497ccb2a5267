import Gateway
import HTTPTypes

extension GatewayRoutes {
    /// The console's playground: model calls by session.
    static let playground: [Route] = [
        Route(.post, "/api/playground/open", .user, PlaygroundDescriptions.open, \.playground, PlaygroundHandlers.open),
        Route(.playground, .user, PlaygroundDescriptions.chat),
    ]
}
