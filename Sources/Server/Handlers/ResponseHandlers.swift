import Adaptors
import Config
import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import Platform
import RouterCore
import Vendors

/// Responses that were kept: `GET` and `DELETE /v1/responses/{id}`, `/input_items`, `/cancel`. Another user's is not found.
struct ResponseHandlers: Sendable {
    let keeper: ResponseKeeper
    let vendors: VendorResponses
    let settler: ResponseSettler
    let snapshots: SnapshotHolder
    let clock: ServerClock

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let response = try await find(context)
        if request.uri.queryParameters["stream"] == "true" {
            throw APIError.badRequest(
                "'stream' is not supported here: the events of a response are not kept; ask for it without 'stream'", param: "stream")
        }
        if response.holder == .vendor { return try await ask(.retrieve(query: query(request)), response) }
        return Self.json(ByteBuffer(bytes: response.body))
    }

    func inputItems(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let response = try await find(context)
        if response.holder == .vendor { return try await ask(.inputItems(query: query(request)), response) }
        let page = try ItemPage(request, ResponseDescriptions.inputItems)
        return ModelsHandlers.answer(try page.answer(ResponseItems.read(response.items)))
    }

    func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let response = try await find(context)
        let user = response.key.userID
        if response.holder == .vendor {
            try await endFirst(response)
            // A response that the vendor has not deleted must stay within reach.
            let answer = try await ask(.delete, response)
            _ = try await keeping { try await keeper.delete(response.key.id, userID: user) }
            return answer
        }
        guard try await keeping({ try await keeper.delete(response.key.id, userID: user) }) else {
            throw APIError.responseNotFound(response.key.id)
        }
        return ModelsHandlers.answer(["id": .string(response.key.id), "object": "response", "deleted": true])
    }

    /// Only a background response runs on by itself. One that is over is answered as it is.
    func cancel(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let response = try await find(context)
        if response.holder == .vendor { return try await ask(.cancel, response) }
        guard case .gateway(let maker) = response.maker else { return try Self.over(response) }
        // A response that is made here may have ended meanwhile; another gateway stops when it sees that nobody wants its work.
        if !keeper.running.stop(response.key), keeper.isOwn(maker) { return try Self.over(try await find(context)) }
        let settings = snapshots.snapshot.configuration.responses
        let cancelled = response.over([.init("status", "cancelled")])
        guard keeper.keep(cancelled, replacing: response, settings), await keeper.write(settings.limits) else {
            throw APIError.unavailable("The response is cancelled, and that cannot be noted at the moment.")
        }
        return Self.json(ByteBuffer(bytes: cancelled.body))
    }

    private static func over(_ response: StoredResponse) throws -> Response {
        guard (try? JSONValue(parsing: ByteBuffer(bytes: response.body)))?["background"]?.boolValue == true else {
            throw APIError.badRequest(
                "Response '\(response.key.id)' was not made in the background, so it cannot be cancelled.", param: nil)
        }
        return json(ByteBuffer(bytes: response.body))
    }

    /// Before a vendor forgets a background response: its figures are needed to settle it.
    private func endFirst(_ response: StoredResponse) async throws {
        guard response.maker != nil else { return }
        for verb in [ResponseCall.retrieve(query: ""), .cancel] {
            switch await vendors.call(verb, response, now: clock.unixSeconds) {
            case .answer(let body): if try await keeping({ try await settler.seen(body, of: response) }) { return }
            case .unknown: return
            case .outOfReach: throw APIError.responseOutOfReach(response.key.id)
            case .failed(let failure): throw RelayErrors.error(failure)
            }
        }
        throw APIError.badRequest(
            "Response '\(response.key.id)' is still being made; cancel it, and delete it when its status is final.", param: nil)
    }

    // MARK: Parts

    private func find(_ context: GatewayContext) async throws -> StoredResponse {
        let user = try ModelsHandlers.principal(context).userID
        let id = context.parameters.get("id") ?? ""
        let found = try await keeping { try await keeper.find(id, userID: user) }
        guard let found, found.kind == .response else { throw APIError.responseNotFound(id) }
        return found
    }

    private func ask(_ verb: ResponseCall, _ response: StoredResponse) async throws -> Response {
        switch await vendors.call(verb, response, now: clock.unixSeconds) {
        case .answer(let body):
            await note(body, verb, response)
            return Self.json(body)
        case .unknown:
            // Deleted or expired there, and not asked for again. A vendor may lack the other calls.
            switch verb {
            case .retrieve, .delete: _ = try await keeping { try await keeper.delete(response.key.id, userID: response.key.userID) }
            case .inputItems, .cancel: break
            }
            throw APIError.responseNotFound(response.key.id)
        case .outOfReach: throw APIError.responseOutOfReach(response.key.id)
        case .failed(let failure): throw RelayErrors.error(failure)
        }
    }

    /// A background response that is over is settled at once; where that fails, the hold's owner does it.
    private func note(_ body: ByteBuffer, _ verb: ResponseCall, _ response: StoredResponse) async {
        switch verb {
        case .retrieve, .cancel: _ = try? await settler.seen(body, of: response)
        case .inputItems, .delete: break
        }
    }

    /// The query for the vendor, when it is one that could be meant.
    private func query(_ request: Request) throws -> String {
        let query = request.uri.query ?? ""
        let isPlain = query.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || Self.queryBytes.contains(byte)
        }
        guard isPlain, query.utf8.count <= 1_024 else {
            throw APIError.badRequest("the query of this path takes letters, digits and -_.~%=&[] only, at most 1024 bytes", param: nil)
        }
        return query
    }

    private static let queryBytes = Set("-_.~%=&[]".utf8)

    static func json(_ body: ByteBuffer) -> Response {
        Response(status: .ok, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: body))
    }
}

/// Failures of the store, as a client is told them.
func keeping<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
    do {
        return try await body()
    } catch {
        throw APIError.unavailable("The stored responses cannot be read or written at the moment; try again.")
    }
}

/// A part of a list of items (https://platform.openai.com/docs/api-reference/responses/input-items).
struct ItemPage {
    private let limit: Int
    private let after: String?
    private let isAscending: Bool

    init(_ request: Request, _ description: RouteDescription) throws {
        let query = QueryFields(request, description)
        let limit = query.text("limit").map { Int($0) ?? 0 } ?? 20
        guard (1...100).contains(limit) else { throw APIError.badRequest("'limit' must be a whole number from 1 to 100", param: "limit") }
        let order = query.text("order") ?? "desc"
        guard order == "asc" || order == "desc" else { throw APIError.badRequest("'order' must be asc or desc", param: "order") }
        self.limit = limit
        after = query.text("after")
        isAscending = order == "asc"
    }

    func answer(_ items: [JSONValue]) throws -> JSONValue {
        let ordered = isAscending ? items : items.reversed()
        var start = 0
        if let after {
            guard let place = ordered.firstIndex(where: { $0["id"]?.stringValue == after }) else {
                throw APIError.badRequest("'after' names no item of the list", param: "after")
            }
            start = place + 1
        }
        let page = ordered[start...].prefix(limit)
        return [
            "object": "list", "data": .array(Array(page)), "first_id": page.first?["id"] ?? "", "last_id": page.last?["id"] ?? "",
            "has_more": .boolean(page.endIndex < ordered.count),
        ]
    }
}
