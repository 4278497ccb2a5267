import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore

/// The response format of the management area.
enum Envelope {
    static func ok(_ data: JSONValue, headers: HTTPFields = [:]) -> Response {
        response(status: .ok, headers: headers, success(data))
    }

    static func success(_ data: JSONValue) -> JSONValue {
        .object([.init("success", true), .init("message", ""), .init("data", data)])
    }

    static func page(_ items: [JSONValue], total: Int64, _ page: (page: Int, size: Int)) -> Response {
        ok(
            .object([
                .init("items", .array(items)), .init("total", .integer(total)), .init("page", .integer(page.page)),
                .init("page_size", .integer(page.size)),
            ]))
    }

    /// - Parameter nextBefore: where to go on; nil = there is no more.
    static func cursor(_ items: [JSONValue], nextBefore: Int64?) -> Response {
        ok(.object([.init("items", .array(items)), .init("next_before_id", .integer(nextBefore))]))
    }

    static func response(status: HTTPResponse.Status, headers: HTTPFields = [:], _ value: JSONValue) -> Response {
        let (headers, bytes) = parts(headers, value)
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: bytes))
    }

    static func parts(_ headers: HTTPFields, _ value: JSONValue) -> (headers: HTTPFields, bytes: ByteBuffer) {
        var buffer = ByteBuffer()
        value.write(to: &buffer)
        var headers = headers
        headers[.contentType] = "application/json"
        headers[.cacheControl] = "no-store"
        return (headers, buffer)
    }
}
