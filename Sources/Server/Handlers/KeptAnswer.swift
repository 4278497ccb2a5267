import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore
import Synchronization

/// A large answer that is the same for everybody for as long as the snapshot is: made and compressed once for each.
final class KeptAnswer: Sendable {
    private struct Known {
        /// A snapshot that has been replaced goes although nobody asks any more.
        weak var snapshot: GatewaySnapshot?
        var headers: HTTPFields
        var plain: ByteBuffer
        /// nil where the answer is short.
        var gzip: ByteBuffer?
    }
    private let known = Mutex<Known?>(nil)

    /// - Parameter data: makes the answer's data from the snapshot alone.
    func response(_ snapshot: GatewaySnapshot, for request: Request, _ data: () -> JSONValue) -> Response {
        var answer = known.withLock { $0?.snapshot === snapshot ? $0 : nil } ?? make(snapshot, data())
        guard let gzip = answer.gzip, request.acceptsGzip else {
            return Response(status: .ok, headers: answer.headers, body: ResponseBody(byteBuffer: answer.plain))
        }
        answer.headers[.contentEncoding] = "gzip"
        return Response(status: .ok, headers: answer.headers, body: ResponseBody(byteBuffer: gzip))
    }

    private func make(_ snapshot: GatewaySnapshot, _ data: JSONValue) -> Known {
        var (headers, plain) = Envelope.parts([:], Envelope.success(data))
        var gzip: ByteBuffer?
        if plain.readableBytes >= PackedAnswers.leastBytes {
            headers[.vary] = "Accept-Encoding"
            gzip = WebFolder.gzip(Array(buffer: plain))
        }
        let made = Known(snapshot: snapshot, headers: headers, plain: plain, gzip: gzip)
        known.withLock { $0 = made }
        return made
    }
}
