import HTTPTypes
import Hummingbird

/// `GET /api/openapi.json`: the machine-readable reference.
struct ReferenceHandlers: Sendable {
    func openAPI(_ request: Request, _ context: GatewayContext) async throws -> Response {
        // Caches may store the document and must revalidate it: it changes only with the program.
        let headers: HTTPFields = [.contentType: "application/json", .eTag: OpenAPIDocument.eTag, .cacheControl: "public, no-cache"]
        let known = request.headers[values: .ifNoneMatch].flatMap { $0.split(separator: ",") }.map { tag in
            let tag = tag.drop { $0 == " " }
            // Weak comparison, as RFC 9110 (13.1.2) requires.
            return tag.hasPrefix("W/") ? tag.dropFirst(2) : tag
        }
        if known.contains(where: { $0 == "*" || $0 == OpenAPIDocument.eTag }) { return Response(status: .notModified, headers: headers) }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: OpenAPIDocument.bytes))
    }
}
