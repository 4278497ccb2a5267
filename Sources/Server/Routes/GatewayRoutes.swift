import Gateway
import Hummingbird
import RouterCore

/// Every route of the gateway, in one table. Nothing else registers routes.
enum GatewayRoutes {
    static let all: [Route] =
        openAI + openRouter + google + users + account + organizations + playground + money + margins + credits + operations + statistics
        + channels
        + configuration

    private static let openAI =
        ModelCallRoute.all(under: "/v1").map(Route.init) + responses("/v1") + batches("/v1") + [
            Route(.get, "/v1/models", .apiKey, ModelDescriptions.list, \.models, ModelsHandlers.list),
            Route(.get, "/v1/models/**", .apiKey, ModelDescriptions.one, \.models, ModelsHandlers.one),
        ]

    /// The same calls for OpenRouter's clients, and what else their SDK asks for.
    private static let openRouter =
        ModelCallRoute.all(under: "/api/v1").map(Route.init) + responses("/api/v1") + batches("/api/v1") + [
            Route(.get, "/api/v1/models", .anyKey, RouterModelDescriptions.list, \.routerModels, RouterModelsHandlers.list),
            Route(.get, "/api/v1/models/count", .anyKey, RouterModelDescriptions.count, \.routerModels, RouterModelsHandlers.count),
            Route(
                .get, "/api/v1/models/user", .anyKey, RouterModelDescriptions.listUsable, \.routerModels, RouterModelsHandlers.listUsable),
            Route(.get, "/api/v1/models/**", .anyKey, RouterModelDescriptions.below, \.routerModels, RouterModelsHandlers.below),
            Route(.get, "/api/v1/model/**", .anyKey, RouterModelDescriptions.one, \.routerModels, RouterModelsHandlers.one),
            Route(
                .get, "/api/v1/embeddings/models", .anyKey, RouterModelDescriptions.embeddings, \.routerModels,
                RouterModelsHandlers.listEmbeddings),
            Route(.get, "/api/v1/providers", .anyKey, RouterModelDescriptions.providers, \.routerModels, RouterModelsHandlers.providers),
            Route(.get, "/api/v1/key", .anyKey, RouterAccountDescriptions.currentKey, \.routerAccount, RouterAccountHandlers.key),
            Route(.get, "/api/v1/auth/key", .anyKey, RouterAccountDescriptions.currentKey, \.routerAccount, RouterAccountHandlers.key),
            Route(.get, "/api/v1/credits", .anyKey, RouterAccountDescriptions.credits, \.routerAccount, RouterAccountHandlers.credits),
            Route(
                .get, "/api/v1/generation", .anyKey, RouterAccountDescriptions.generation, \.routerAccount,
                RouterAccountHandlers.generation),
            Route(.get, "/api/v1/keys", .managementKey, RouterKeyDescriptions.list, \.routerKeys, RouterKeyHandlers.list),
            Route(.post, "/api/v1/keys", .managementKey, RouterKeyDescriptions.create, \.routerKeys, RouterKeyHandlers.create),
            Route(.get, "/api/v1/keys/{hash}", .managementKey, RouterKeyDescriptions.get, \.routerKeys, RouterKeyHandlers.one),
            Route(.patch, "/api/v1/keys/{hash}", .managementKey, RouterKeyDescriptions.change, \.routerKeys, RouterKeyHandlers.change),
            Route(.delete, "/api/v1/keys/{hash}", .managementKey, RouterKeyDescriptions.delete, \.routerKeys, RouterKeyHandlers.delete),
        ]

    /// The upload comes first: the size of a body is bounded by its path, whatever the method.
    private static func batches(_ prefix: String) -> [Route] {
        [
            Route(.post, "\(prefix)/files", .apiKey, body: .upload, BatchDescriptions.upload, \.files, FilesHandlers.upload),
            Route(.get, "\(prefix)/files", .apiKey, BatchDescriptions.listFiles, \.files, FilesHandlers.list),
            Route(.get, "\(prefix)/files/{id}", .apiKey, BatchDescriptions.file, \.files, FilesHandlers.one),
            Route(.get, "\(prefix)/files/{id}/content", .apiKey, BatchDescriptions.content, \.files, FilesHandlers.content),
            Route(.delete, "\(prefix)/files/{id}", .apiKey, BatchDescriptions.deleteFile, \.files, FilesHandlers.delete),
            Route(.post, "\(prefix)/batches", .apiKey, BatchDescriptions.create, \.batches, BatchesHandlers.create),
            Route(.get, "\(prefix)/batches", .apiKey, BatchDescriptions.listBatches, \.batches, BatchesHandlers.list),
            Route(.get, "\(prefix)/batches/{id}", .apiKey, BatchDescriptions.batch, \.batches, BatchesHandlers.one),
            Route(.post, "\(prefix)/batches/{id}/cancel", .apiKey, BatchDescriptions.cancel, \.batches, BatchesHandlers.cancel),
        ]
    }

    /// Google's area, at the paths that its clients use. The front door serves every existing POST method: the model and the method are
    /// part of the path.
    private static let google: [Route] = [
        Route(.post, "/v1/models/**", .apiKey, ModelDescriptions.google, \.gemini, GeminiHandlers.unknown),
        Route(.post, "/v1beta/models/**", .apiKey, ModelDescriptions.google, \.gemini, GeminiHandlers.unknown),
        Route(.get, "/v1beta/models", .apiKey, ModelDescriptions.googleList, \.gemini, GeminiHandlers.list),
        Route(.get, "/v1beta/models/**", .apiKey, ModelDescriptions.googleOne, \.gemini, GeminiHandlers.one),
    ]

    private static let users: [Route] = [
        Route(.post, "/api/user/login", .open, body: .login, LoginDescriptions.login, \.login, LoginHandlers.login),
        Route(.post, "/api/user/logout", .user, LoginDescriptions.logout, \.login, LoginHandlers.logout),
        Route(.post, "/api/user/register", .open, body: .login, LoginDescriptions.register, \.login, LoginHandlers.register),
        Route(.get, "/api/user/self", .user, LoginDescriptions.current, \.login, LoginHandlers.current),
        Route(.get, "/api/user/session", .open, LoginDescriptions.session, \.login, LoginHandlers.session),
        Route(.put, "/api/user/self", .user, LoginDescriptions.change, \.ownAccount, SelfHandlers.change),
        Route(.get, "/api/user/self/sessions", .user, LoginDescriptions.sessions, \.ownAccount, SelfHandlers.listSessions),
        Route(.delete, "/api/user/self/sessions", .user, LoginDescriptions.endOthers, \.ownAccount, SelfHandlers.endOthers),
        Route(.delete, "/api/user/self/sessions/{id}", .user, LoginDescriptions.endSession, \.ownAccount, SelfHandlers.endSession),
        Route(.get, "/api/user", .admin, UserDescriptions.list, \.users, UserHandlers.list),
        Route(.post, "/api/user", .admin, UserDescriptions.create, \.users, UserHandlers.create),
        Route(.get, "/api/user/{id}", .admin, UserDescriptions.one, \.users, UserHandlers.one),
        Route(.put, "/api/user/{id}", .admin, UserDescriptions.change, \.users, UserHandlers.change),
        Route(.delete, "/api/user/{id}", .admin, UserDescriptions.delete, \.users, UserHandlers.delete),
        Route(.get, "/api/token", .user, TokenDescriptions.list, \.tokens, TokenHandlers.list),
        Route(.post, "/api/token", .user, TokenDescriptions.create, \.tokens, TokenHandlers.create),
        Route(.put, "/api/token/{id}", .user, TokenDescriptions.change, \.tokens, TokenHandlers.change),
        Route(.delete, "/api/token/{id}", .user, TokenDescriptions.delete, \.tokens, TokenHandlers.delete),
    ]

    private static let money: [Route] =
        ["/v1/dashboard", "/dashboard"].flatMap { prefix in
            [
                Route(
                    .get, "\(prefix)/billing/subscription", .apiKey, RouterAccountDescriptions.subscription, \.billing,
                    BillingHandlers.subscription),
                Route(.get, "\(prefix)/billing/usage", .apiKey, RouterAccountDescriptions.billingUsage, \.billing, BillingHandlers.usage),
            ]
        } + [
            Route(.get, "/api/balance", .user, MoneyDescriptions.balance, \.balance, BalanceHandlers.balance),
            Route(.get, "/api/balance/transactions", .user, MoneyDescriptions.transactions, \.balance, BalanceHandlers.transactions),
            Route(.post, "/api/balance/admin/add", .admin, MoneyDescriptions.add, \.balance, BalanceHandlers.add),
            Route(.post, "/api/balance/admin/refund", .admin, MoneyDescriptions.refund, \.balance, BalanceHandlers.refund),
            Route(.get, "/api/ledger/unreconciled", .admin, MoneyDescriptions.unreconciled, \.ledger, LedgerHandlers.unreconciled),
            Route(.get, "/api/ledger/margin", .admin, MoneyDescriptions.margin, \.ledger, LedgerHandlers.margin),
            Route(.get, "/api/models", .open, PriceDescriptions.catalogue, \.catalogue, CatalogueHandlers.list),
            Route(.get, "/api/models/pricing", .open, PriceDescriptions.list, \.pricing, PricingHandlers.list),
            Route(.get, "/api/models/pricing/**", .open, PriceDescriptions.one, \.pricing, PricingHandlers.one),
            Route(.put, "/api/models/pricing", .admin, PriceDescriptions.change, \.pricing, PricingHandlers.change),
            Route(.get, "/api/models/held", .admin, PriceDescriptions.held, \.heldPrices, HeldPriceHandlers.list),
            Route(.post, "/api/models/held/accept", .admin, PriceDescriptions.accept, \.heldPrices, HeldPriceHandlers.accept),
            Route(.get, "/api/log", .admin, OperationDescriptions.log, \.logs, LogHandlers.all),
            Route(.get, "/api/log/self", .user, OperationDescriptions.ownLog, \.logs, LogHandlers.own),
            Route(.get, "/api/log/stat", .user, OperationDescriptions.statistics, \.logs, LogHandlers.statistics),
        ]

    private static let operations: [Route] = [
        Route(.get, "/api/route/explain", .admin, OperationDescriptions.explain, \.routes, RouteHandlers.explain),
        Route(.get, "/api/audit", .root, OperationDescriptions.audit, \.audit, AuditHandlers.list),
        Route(.post, "/api/config/reload", .admin, OperationDescriptions.reload, \.status, StatusHandlers.reload),
        Route(.get, "/api/openapi.json", .open, OperationDescriptions.openAPI, \.reference, ReferenceHandlers.openAPI),
        Route(.get, "/api/status", .open, OperationDescriptions.status, \.status, StatusHandlers.status),
        Route(.get, "/health/live", .open, OperationDescriptions.live, \.status, StatusHandlers.live),
        Route(.get, "/health/ready", .open, OperationDescriptions.ready, \.status, StatusHandlers.ready),
        Route(.get, "/metrics", .open, OperationDescriptions.metrics, \.status, StatusHandlers.metrics),
    ]
}

extension GatewayRoutes {
    /// Body classes of the routes that the front door passes on, by path template.
    static let bounds: [String: BodyClass] = Dictionary(
        all.compactMap { route in
            guard case .handler = route.work else { return nil }
            return (route.path, route.body)
        }
    ) { first, _ in first }

    /// Registers the table behind the access check and the outer middleware.
    static func router(_ api: ManagementAPI, check: AccessCheck, outer: OuterMiddleware) -> Hummingbird.Router<GatewayContext> {
        let router = Hummingbird.Router(context: GatewayContext.self)
        router.add(middleware: outer)
        for route in all {
            // Model calls never arrive here: the front door serves them.
            guard case .handler(let handler) = route.work else { continue }
            let isPacked = PackedAnswers.covers(route)
            router.on(RouterPath(route.path), method: route.method) { request, context in
                var context = context
                try await check.admit(request, &context, route.access)
                let response = try await handler(api, request, context)
                return isPacked ? try await PackedAnswers.pack(response, for: request) : response
            }
        }
        for page in pages {
            let serve = page.serve(api.console)
            for method in PageRoute.methods {
                router.on(RouterPath(page.path), method: method) { try await serve($0, $1) }
            }
        }
        return router
    }
}
