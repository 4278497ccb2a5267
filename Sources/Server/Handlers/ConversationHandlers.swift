import Adaptors
import Config
import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import Platform
import RouterCore

/// Conversations (https://platform.openai.com/docs/api-reference/conversations): always kept by the gateway, whatever the vendor, and put
/// into the input of each response that names them.
struct ConversationHandlers: Sendable {
    let keeper: ResponseKeeper
    let snapshots: SnapshotHolder
    let clock: ServerClock

    private static let maximumItems = 20
    private static let maximumPairs = 16

    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try ModelsHandlers.principal(context).userID
        let settings = snapshots.snapshot.configuration.responses
        guard keeper.isOn(settings) else {
            throw APIError.badRequest("This gateway keeps no conversations (responses.store is off).", param: nil)
        }
        let body = try await Self.body(request)
        let now = clock.unixSeconds
        let id = "conv_" + context.requestID.description
        let conversation = StoredResponse(
            key: .init(userID: user, id: id), kind: .conversation, items: Self.bytes(try Self.items(body, context, isRequired: false)),
            body: Self.object(id, try Self.metadata(body), now), createdAt: now, expiresAt: now + settings.keep.components.seconds)
        try keep(conversation)
        return Self.shown(conversation)
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response { Self.shown(try await find(context)) }

    /// Replaces the metadata.
    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await Self.body(request)
        guard body["metadata"] != nil else { throw APIError.badRequest("'metadata' is missing", param: "metadata") }
        let before = try await find(context)
        var conversation = before
        conversation.body = Self.object(conversation.key.id, try Self.metadata(body), conversation.createdAt)
        try keep(conversation, replacing: before)
        return Self.shown(conversation)
    }

    func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let key = try await find(context).key
        guard try await keeping({ try await keeper.delete(key.id, userID: key.userID) }) else {
            throw APIError.conversationNotFound(key.id)
        }
        return ModelsHandlers.answer(["id": .string(key.id), "object": "conversation.deleted", "deleted": true])
    }

    func items(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let page = try ItemPage(request, ResponseDescriptions.conversationItems)
        return ModelsHandlers.answer(try page.answer(ResponseItems.read(try await find(context).items)))
    }

    func addItems(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let new = try Self.items(try await Self.body(request), context, isRequired: true)
        let before = try await find(context)
        var conversation = before
        conversation.items = Self.bytes(ResponseItems.read(conversation.items) + new)
        try keep(conversation, replacing: before)
        return ModelsHandlers.answer([
            "object": "list", "data": .array(new), "first_id": new.first?["id"] ?? "", "last_id": new.last?["id"] ?? "", "has_more": false,
        ])
    }

    func oneItem(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (_, items, place) = try await item(context)
        return ModelsHandlers.answer(items[place])
    }

    func deleteItem(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (before, all, place) = try await item(context)
        var items = all
        items.remove(at: place)
        var conversation = before
        conversation.items = Self.bytes(items)
        try keep(conversation, replacing: before)
        return Self.shown(conversation)
    }

    // MARK: Parts

    private func find(_ context: GatewayContext) async throws -> StoredResponse {
        let user = try ModelsHandlers.principal(context).userID
        let id = context.parameters.get("id") ?? ""
        let found = try await keeping { try await keeper.find(id, userID: user) }
        guard let found, found.kind == .conversation else { throw APIError.conversationNotFound(id) }
        return found
    }

    private func item(_ context: GatewayContext) async throws -> (conversation: StoredResponse, items: [JSONValue], place: Int) {
        let conversation = try await find(context)
        let id = context.parameters.get("item_id") ?? ""
        let items = ResponseItems.read(conversation.items)
        guard let place = items.firstIndex(where: { $0["id"]?.stringValue == id }) else {
            throw APIError(
                status: .notFound, type: "invalid_request_error",
                message: "Item '\(id.prefix(ResponseStateFields.maximumID))' not found in conversation '\(conversation.key.id)'.")
        }
        return (conversation, items, place)
    }

    private func keep(_ conversation: StoredResponse, replacing before: StoredResponse? = nil) throws {
        let settings = snapshots.snapshot.configuration.responses
        guard keeper.keep(conversation, replacing: before, settings) else { throw APIError.responseStoreFull(settings.limits) }
    }

    private static func shown(_ conversation: StoredResponse) -> Response { ResponseHandlers.json(ByteBuffer(bytes: conversation.body)) }

    private static func bytes(_ items: [JSONValue]) -> [UInt8] { Array(ResponseItems.bytes(items).readableBytesView) }

    private static func object(_ id: String, _ metadata: JSONValue, _ createdAt: Int64) -> [UInt8] {
        let object: JSONValue = [
            "id": .string(id), "object": "conversation", "created_at": .integer(createdAt), "metadata": metadata,
        ]
        return Array(object.text.utf8)
    }

    /// An empty body is an empty object.
    private static func body(_ request: Request) async throws -> JSONValue {
        var body = ByteBuffer()
        for try await chunk in request.body { body.writeImmutableBuffer(chunk) }
        guard body.readableBytes > 0 else { return .object([]) }
        do throws(JSONScanError) {
            let value = try JSONValue(parsing: body)
            guard case .object = value else { throw JSONScanError(.notAnObject, at: 0) }
            return value
        } catch {
            throw APIError.badRequest("the request body is not a valid JSON object: \(error)", param: nil)
        }
    }

    private static func metadata(_ body: JSONValue) throws -> JSONValue {
        guard let given = body["metadata"], !given.isNull else { return .object([]) }
        guard case .object(let members) = given, members.count <= maximumPairs,
            members.allSatisfy({ $0.name.utf8.count <= 64 && ($0.value.stringValue?.utf8.count ?? .max) <= 512 })
        else {
            throw APIError.badRequest(
                "'metadata' must be an object of at most \(maximumPairs) texts of at most 512 bytes, under names of at most 64",
                param: "metadata")
        }
        return given
    }

    private static func items(_ body: JSONValue, _ context: GatewayContext, isRequired: Bool) throws -> [JSONValue] {
        guard let given = body["items"], !given.isNull else {
            guard !isRequired else { throw APIError.badRequest("'items' is missing", param: "items") }
            return []
        }
        guard let list = given.arrayValue, list.count <= maximumItems, list.allSatisfy({ if case .object = $0 { true } else { false } })
        else {
            throw APIError.badRequest("'items' must be an array of at most \(maximumItems) items", param: "items")
        }
        return ResponseItems.listed(given, base: context.requestID.description)
    }
}
