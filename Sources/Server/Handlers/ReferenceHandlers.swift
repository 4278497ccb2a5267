import HTTPTypes
import Hummingbird

/// `GET /api/openapi.json`: the machine-readable reference.
struct ReferenceHandlers: Sendable {
    func openAPI(_ request: Request, _ context: GatewayContext) async throws -> Response {
        // Caches may store the document and must revalidate it: it changes only with the program.
        let headers: HTTPFields = [.contentType: "application/json", .eTag: OpenAPIDocument.eTag, .cacheControl: "public, no-cache"]
        if request.knows(eTag: OpenAPIDocument.eTag) { return Response(status: .notModified, headers: headers) }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: OpenAPIDocument.bytes))
    }
}
