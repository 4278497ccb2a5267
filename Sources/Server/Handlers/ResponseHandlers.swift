import Adaptors
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
    let clock: ServerClock

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let response = try await find(context)
        if request.uri.queryParameters["stream"] == "true" {
            throw APIError.badRequest("'stream' is not supported here: only background responses could be followed", param: "stream")
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

    /// Only a background response runs on by itself.
    func cancel(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let response = try await find(context)
        if response.holder == .vendor { return try await ask(.cancel, response) }
        throw APIError.badRequest("Response '\(response.key.id)' was not made in the background, so it cannot be cancelled.", param: nil)
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
        case .answer(let body): return Self.json(body)
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
