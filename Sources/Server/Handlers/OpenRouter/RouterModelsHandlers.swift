import Gateway
import GatewayState
import Hummingbird
import Platform
import RouterCore

/// Models and providers as OpenRouter's clients ask for them, under `/api/v1`.
struct RouterModelsHandlers: Sendable {
    let snapshots: SnapshotHolder
    let models: ModelsHandlers
    let clock: ServerClock

    /// `GET /api/v1/models`; clients of Anthropic's format get it here as under `/v1`.
    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        if ModelsHandlers.isAnthropic(request) { return try await models.list(request, context) }
        return try list(request, context, RouterModelDescriptions.list)
    }

    func listUsable(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try list(request, context, RouterModelDescriptions.listUsable)
    }

    func listEmbeddings(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let found = RouterModelFilter(gives: "embeddings").all(try catalogue(context).models)
        return Self.answer(found[...], total: found.count, next: nil)
    }

    private func list(_ request: Request, _ context: GatewayContext, _ description: RouteDescription) throws -> Response {
        let filter = try filter(request, description)
        let found = filter.all(try catalogue(context).models)
        let (page, next) = filter.cut(found)
        return Self.answer(page, total: found.count, next: next.map { Self.link(request, offset: $0, limit: filter.pageLimit) })
    }

    func count(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let found = try filter(request, RouterModelDescriptions.count).all(try catalogue(context).models)
        return ModelsHandlers.answer(["data": ["count": .integer(found.count)]])
    }

    /// `GET /api/v1/model/{author}/{slug}`
    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = ModelsHandlers.name(context)
        guard let model = try catalogue(context).model(named: name) else { throw APIError.modelNotFound(name) }
        return ModelsHandlers.answer(["data": model.json])
    }

    /// `GET /api/v1/models/{author}/{slug}/endpoints`, and `GET /api/v1/models/{id}` in OpenAI's form, which OpenRouter does not have.
    func below(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = ModelsHandlers.name(context)
        let suffix = "/endpoints"
        guard name.hasSuffix(suffix) else { return try await models.one(request, context) }
        let id = String(name.dropLast(suffix.count))
        guard let model = try catalogue(context).model(named: id) else { throw APIError.modelNotFound(id) }
        return ModelsHandlers.answer(["data": model.endpoints])
    }

    func providers(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let providers = try catalogue(context).providers.map { provider -> JSONValue in
            [
                "name": .string(provider.displayName), "slug": .string(provider.name), "privacy_policy_url": .null,
                "terms_of_service_url": .null, "status_page_url": .null,
            ]
        }
        return ModelsHandlers.answer(["data": .array(providers)])
    }

    private func catalogue(_ context: GatewayContext) throws -> RouterCatalogue {
        RouterCatalogue(snapshots.snapshot, try ModelsHandlers.principal(context))
    }

    private func filter(_ request: Request, _ description: RouteDescription) throws -> RouterModelFilter {
        try RouterModelFilter(
            request, QueryFields(request, description), Set(description.query.map(\.name)), now: clock.unixSeconds)
    }

    private static func answer(_ models: ArraySlice<RouterModel>, total: Int, next: String?) -> Response {
        ModelsHandlers.answer([
            "data": .array(models.map(\.json)), "total_count": .integer(total), "links": ["next": .optional(next)],
        ])
    }

    /// The request's own address with another page.
    private static func link(_ request: Request, offset: Int, limit: Int) -> String {
        let others = (request.uri.query ?? "").split(separator: "&").filter { part in
            !part.hasPrefix("offset=") && !part.hasPrefix("limit=")
        }
        return request.uri.path + "?" + (others + ["offset=\(offset)", "limit=\(limit)"]).joined(separator: "&")
    }
}
