import Config
import Gateway
import GatewayState
import Hummingbird
import NIOCore
import Platform
import RouterCore
import Storage
import Vendors

/// The parts that the handlers of files and of batches share.
struct BatchDesk: Sendable {
    let snapshots: SnapshotHolder
    let store: any VendorObjectStore & LongHoldStore & PricingStore
    let vendors: VendorClient
    let clock: ServerClock

    /// The caller's own object, and where it is.
    func object(
        _ kind: VendorObject.Kind, _ id: String, _ context: GatewayContext
    ) async throws -> (row: VendorObject, place: BatchPlace) {
        let principal = try ModelsHandlers.principal(context)
        guard let row = try await row(kind, id, principal) else { throw APIError.noSuchObject(kind.rawValue, id) }
        guard let place = BatchPlace(channelID: row.channelID, keyMark: row.keyMark, in: snapshots.snapshot) else {
            throw APIError.upstream(
                status: .serviceUnavailable, message: "the channel or the key that holds this \(kind.rawValue) is no longer configured",
                retryAfter: nil)
        }
        return (row, place)
    }

    func row(_ kind: VendorObject.Kind, _ id: String, _ principal: KeyPrincipal) async throws -> VendorObject? {
        guard id.utf8.count <= 128, !id.utf8.contains(0) else { return nil }
        return try await store.vendorObject(kind, id: id, userID: principal.userID)
    }

    func vendor(_ place: BatchPlace) -> BatchVendor { BatchVendor(place, client: vendors, clock: clock) }

    /// A vendor's answer about an object. A 404 there is a 404 here: the vendor has deleted it, or it has expired.
    func ask(_ call: BatchCall, _ row: VendorObject, _ place: BatchPlace) async throws -> JSONValue {
        do throws(UpstreamFailure) {
            return try await vendor(place).object(call)
        } catch {
            if error.status == 404 { throw APIError.noSuchObject(row.kind.rawValue, row.id) }
            throw APIError(error)
        }
    }

    /// The page of a list in OpenAI's form, of what the gateway has seen last.
    func page(
        _ kind: VendorObject.Kind, _ request: Request, _ description: RouteDescription, _ context: GatewayContext, standard: Int,
        purpose: String? = nil
    ) async throws -> Response {
        let principal = try ModelsHandlers.principal(context)
        let query = QueryFields(request, description)
        var limit = standard
        let most = kind == .file ? 10_000 : 100
        if let text = query.text("limit") {
            guard let number = Int(text), (1...most).contains(number) else {
                throw APIError.badRequest("'limit' must be a whole number from 1 to \(most)", param: "limit")
            }
            limit = number
        }
        var isAscending = false
        if kind == .file, let order = query.text("order") {
            guard order == "asc" || order == "desc" else { throw APIError.badRequest("'order' must be asc or desc", param: "order") }
            isAscending = order == "asc"
        }
        let after = query.text("after")
        guard after.map({ !$0.utf8.contains(0) && $0.utf8.count <= 128 }) ?? true else {
            throw APIError.badRequest("'after' must be the id of the last item of the page before", param: "after")
        }
        let rows = try await store.vendorObjects(
            kind, userID: principal.userID, purpose: purpose, after: after, limit: limit + 1, isAscending: isAscending)
        let shown = rows.prefix(limit)
        return ModelsHandlers.answer(
            .object([
                .init("object", "list"), .init("data", .array(shown.map { Self.json($0) })),
                .init("first_id", .optional(shown.first?.id)), .init("last_id", .optional(shown.last?.id)),
                .init("has_more", .boolean(rows.count > limit)),
            ]))
    }

    static func json(_ row: VendorObject) -> JSONValue {
        (try? JSONValue(parsing: ByteBuffer(string: row.object))) ?? ["id": .string(row.id)]
    }

    static func body(_ request: Request) async throws -> ByteBuffer {
        var body = ByteBuffer()
        // The front door has limited the body and passes it on as one buffer.
        for try await chunk in request.body {
            if body.readableBytes == 0 { body = chunk } else { body.writeImmutableBuffer(chunk) }
        }
        return body
    }
}
