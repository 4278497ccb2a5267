import Gateway
import HTTPTypes

extension GatewayRoutes {
    static let account: [Route] = [
        Route(.post, "/api/token/{id}/rotate", .user, TokenDescriptions.rotate, \.tokens, TokenHandlers.rotate),
        Route(.put, "/api/user/self/settings", .user, LoginDescriptions.changeSettings, \.ownAccount, SelfHandlers.changeSettings),
        Route(.get, "/api/group", .admin, UserDescriptions.groups, \.users, UserHandlers.groups),
    ]

    /// The console's playground: model calls by session.
    static let playground: [Route] = [
        Route(.post, "/api/playground/open", .user, PlaygroundDescriptions.open, \.playground, PlaygroundHandlers.open),
        Route(.playground, .user, PlaygroundDescriptions.chat),
    ]
}
