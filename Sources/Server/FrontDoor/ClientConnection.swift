import HTTPTypes
import NIOCore
import NIOHTTP1

/// The client's side of one answer. One writer at a time; on the connection's own event loop a call is a plain function call, from elsewhere
/// it goes through the loop.
final class ClientConnection: Sendable {
    private let eventLoop: any EventLoop
    private let handler: NIOLoopBound<FrontDoorHandler>
    private let number: Int

    /// - Parameter number: of the call on its connection.
    init(_ handler: FrontDoorHandler, _ eventLoop: any EventLoop, _ number: Int) {
        self.eventLoop = eventLoop
        self.number = number
        self.handler = NIOLoopBound(handler, eventLoop: eventLoop)
    }

    /// A whole answer in one go.
    func send(_ status: HTTPResponse.Status, _ headers: HTTPFields, _ body: ByteBuffer) {
        let (handler, number) = (handler, number)
        onLoop { handler.value.send(Self.head(status, headers, length: body.readableBytes), body, for: number) }
    }

    /// The head of an answer whose body follows in pieces.
    func begin(_ status: HTTPResponse.Status, _ headers: HTTPFields) {
        let (handler, number) = (handler, number)
        onLoop { handler.value.begin(Self.head(status, headers, length: nil), for: number) }
    }

    /// Sends bytes on; waits while the client is slow.
    /// - Throws: ``ClientGone``.
    func write(_ bytes: ByteBuffer) async throws {
        guard bytes.readableBytes > 0 else { return }
        if eventLoop.inEventLoop {
            switch handler.value.write(bytes, for: number) {
            case .gone: throw ClientGone()
            case .taken: return
            case .full: break
            }
        } else {
            let (handler, number) = (handler, number)
            guard try await eventLoop.submit({ handler.value.write(bytes, for: number) != .gone }).get() else { throw ClientGone() }
        }
        let isThere = await withCheckedContinuation { continuation in
            let handler = handler
            onLoop { handler.value.waitUntilWritable(continuation) }
        }
        if !isThere { throw ClientGone() }
    }

    /// The body is complete.
    func finish() {
        let (handler, number) = (handler, number)
        onLoop { handler.value.finish(number) }
    }

    /// The call is over. If its answer is not complete, the connection is closed as it is.
    func end() {
        let (handler, number) = (handler, number)
        onLoop { handler.value.ended(number) }
    }

    private func onLoop(_ body: @escaping @Sendable () -> Void) {
        if eventLoop.inEventLoop { body() } else { eventLoop.execute(body) }
    }

    private static func head(_ status: HTTPResponse.Status, _ fields: HTTPFields, length: Int?) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(fields.count + 4)
        for field in fields { headers.add(name: field.name.rawName, value: field.value) }
        if let length { headers.add(name: "Content-Length", value: String(length)) }
        return HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status.code, reasonPhrase: status.reasonPhrase), headers: headers)
    }
}
