import Hummingbird
import RouterCore

/// Every route of the gateway, in one table. Nothing else registers routes.
enum GatewayRoutes {
    static let all: [Route] = models("/v1") + models("/api/v1") + google + users + money + operations

    /// The OpenAI-compatible area; under `/api/v1` as well, where OpenRouter's clients look.
    private static func models(_ prefix: String) -> [Route] {
        [
            Route("\(prefix)/chat/completions", relay: .chat),
            Route("\(prefix)/completions", relay: .completions),
            Route("\(prefix)/embeddings", relay: .embeddings),
            Route("\(prefix)/responses", relay: .responses),
            Route("\(prefix)/messages", relay: .messages),
            Route("\(prefix)/messages/count_tokens", count: .messages),
            Route("\(prefix)/images/generations", relay: .images),
            Route("\(prefix)/audio/speech", relay: .speech),
            Route("\(prefix)/audio/transcriptions", relay: .transcriptions),
            Route("\(prefix)/moderations", relay: .moderations),
            Route("\(prefix)/rerank", relay: .rerank),
            Route(.get, "\(prefix)/models", .apiKey, ModelsHandlers.list),
            Route(.get, "\(prefix)/models/**", .apiKey, ModelsHandlers.one),
        ]
    }

    /// Google's area, where its clients look. Of what they post, the front door keeps everything that there is: the model and the method
    /// stand in the path.
    private static let google: [Route] = [
        Route(.post, "/v1/models/**", .apiKey, GeminiHandlers.unknown),
        Route(.post, "/v1beta/models/**", .apiKey, GeminiHandlers.unknown),
        Route(.get, "/v1beta/models", .apiKey, GeminiHandlers.list),
        Route(.get, "/v1beta/models/**", .apiKey, GeminiHandlers.one),
    ]

    private static let users: [Route] = [
        Route(.post, "/api/user/login", .open, body: .login, UserHandlers.login),
        Route(.post, "/api/user/logout", .user, UserHandlers.logout),
        Route(.post, "/api/user/register", .open, body: .login, UserHandlers.register),
        Route(.get, "/api/user/self", .user, UserHandlers.current),
        Route(.put, "/api/user/self", .user, SelfHandlers.change),
        Route(.get, "/api/user/self/sessions", .user, SelfHandlers.sessions),
        Route(.delete, "/api/user/self/sessions", .user, SelfHandlers.endOthers),
        Route(.delete, "/api/user/self/sessions/{id}", .user, SelfHandlers.endSession),
        Route(.get, "/api/user", .admin, UserHandlers.list),
        Route(.post, "/api/user", .admin, UserHandlers.create),
        Route(.get, "/api/user/{id}", .admin, UserHandlers.one),
        Route(.put, "/api/user/{id}", .admin, UserHandlers.change),
        Route(.delete, "/api/user/{id}", .admin, UserHandlers.delete),
        Route(.get, "/api/token", .user, TokenHandlers.list),
        Route(.post, "/api/token", .user, TokenHandlers.create),
        Route(.put, "/api/token/{id}", .user, TokenHandlers.change),
        Route(.delete, "/api/token/{id}", .user, TokenHandlers.delete),
    ]

    private static let money: [Route] = [
        Route(.get, "/api/balance", .user, BalanceHandlers.balance),
        Route(.get, "/api/balance/transactions", .user, BalanceHandlers.transactions),
        Route(.post, "/api/balance/admin/add", .admin, BalanceHandlers.add),
        Route(.post, "/api/balance/admin/refund", .admin, BalanceHandlers.refund),
        Route(.get, "/api/ledger/unreconciled", .admin, LedgerHandlers.unreconciled),
        Route(.get, "/api/ledger/margin", .admin, LedgerHandlers.margin),
        Route(.get, "/api/models", .open, CatalogueHandlers.list),
        Route(.get, "/api/models/pricing", .open, PricingHandlers.list),
        Route(.get, "/api/models/pricing/**", .open, PricingHandlers.one),
        Route(.put, "/api/models/pricing", .admin, PricingHandlers.change),
        Route(.get, "/api/log", .admin, LogHandlers.all),
        Route(.get, "/api/log/self", .user, LogHandlers.own),
        Route(.get, "/api/log/stat", .user, LogHandlers.statistics),
    ]

    private static let operations: [Route] = [
        Route(.get, "/api/channel", .admin, ChannelHandlers.list),
        Route(.post, "/api/channel/{id}/enable", .admin) { try await ChannelHandlers.turn(.on, $0, $1, $2) },
        Route(.post, "/api/channel/{id}/disable", .admin) { try await ChannelHandlers.turn(.disabled, $0, $1, $2) },
        Route(.post, "/api/channel/{id}/drain", .admin) { try await ChannelHandlers.turn(.draining, $0, $1, $2) },
        Route(.post, "/api/channel/{id}/test", .admin, ChannelHandlers.test),
        Route(.get, "/api/route/explain", .admin, RouteHandlers.explain),
        Route(.get, "/api/audit", .root, AuditHandlers.list),
        Route(.post, "/api/config/reload", .admin, StatusHandlers.reload),
        Route(.get, "/api/status", .open, StatusHandlers.status),
        Route(.get, "/health/live", .open, StatusHandlers.live),
        Route(.get, "/health/ready", .open, StatusHandlers.ready),
        Route(.get, "/metrics", .open, StatusHandlers.metrics),
    ]
}

/// Puts the table behind the access check and the outer middleware.
func buildRouter(_ services: GatewayServices) -> Hummingbird.Router<GatewayContext> {
    let router = Hummingbird.Router(context: GatewayContext.self)
    router.add(middleware: OuterMiddleware(services: services, routes: GatewayRoutes.all))
    let check = AccessCheck(services: services)
    for route in GatewayRoutes.all {
        // Model calls never come here: the front door keeps them.
        guard case .handler(let handler) = route.work else { continue }
        router.on(RouterPath(route.path), method: route.method) { request, context in
            var context = context
            context.principal = try await check.principal(request, context, route.access)
            return try await handler(request, context, services)
        }
    }
    return router
}
