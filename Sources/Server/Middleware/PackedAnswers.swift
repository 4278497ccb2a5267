import Gateway
import HTTPTypes
import Hummingbird
import NIOCore

/// Large answers of the management area, compressed for clients that accept it.
///
/// The size of a compressed answer tells whether two texts in it are alike. Where one of them is a secret and a stranger chooses the other,
/// the secret can be guessed bit by bit (BREACH). So only those answers are compressed that have no secret in them: no key, no token, no
/// session, no text of the configuration.
enum PackedAnswers {
    static let paths: Set<String> = [
        "/api/models", "/api/models/pricing", "/api/models/held", "/api/pricing/missing", "/api/pricing/history", "/api/provider",
        "/api/log", "/api/log/self", "/api/balance/transactions", "/api/user", "/api/stats/series", "/api/stats/top",
        "/api/stats/rankings", "/api/stats/model", "/api/ledger/margin", "/api/ledger/unreconciled", "/api/openapi.json",
    ]

    /// Shorter answers fit into a packet or two in any case.
    static let leastBytes = 1_024
    /// A tenth of the time of the smallest form, for a sixth more bytes.
    private static let level: Int32 = 4

    static func covers(_ route: Route) -> Bool { route.method == .get && paths.contains(route.path) }

    static func pack(_ response: Response, for request: Request) async throws -> Response {
        guard response.status == .ok, let length = response.body.contentLength, length >= leastBytes,
            response.headers[.contentEncoding] == nil
        else { return response }
        var response = response
        response.headers[.vary] = "Accept-Encoding"
        guard request.acceptsGzip else { return response }
        let collected = Collected()
        try await response.body.write(Collector(into: collected, room: length))
        let bytes = collected.bytes
        guard let packed = WebFolder.gzip(Array(buffer: bytes), level: level) else {
            response.body = ResponseBody(byteBuffer: bytes)
            return response
        }
        response.headers[.contentEncoding] = "gzip"
        // Other bytes than those that the tag stands for (RFC 9110, 8.8.1).
        if let tag = response.headers[.eTag], !tag.hasPrefix("W/") { response.headers[.eTag] = "W/" + tag }
        response.headers[.contentLength] = nil
        response.body = ResponseBody(byteBuffer: packed)
        return response
    }

    /// The bytes that a body has written.
    private final class Collected {
        var bytes = ByteBuffer()
    }

    private struct Collector: ResponseBodyWriter {
        let collected: Collected

        init(into collected: Collected, room: Int) {
            self.collected = collected
            collected.bytes.reserveCapacity(room)
        }

        mutating func write(_ buffer: ByteBuffer) async throws {
            var buffer = buffer
            collected.bytes.writeBuffer(&buffer)
        }

        consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
    }
}

extension Request {
    /// Whether `Accept-Encoding` allows gzip (RFC 9110, 12.5.3).
    var acceptsGzip: Bool {
        headers[values: .acceptEncoding].flatMap { $0.split(separator: ",") }.contains { coding in
            let parts = coding.lowercased().split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
            guard parts.first == "gzip" || parts.first == "*" else { return false }
            return !parts.dropFirst().contains { $0.hasPrefix("q=0") && $0.allSatisfy { "q=0.".contains($0) } }
        }
    }
}
