import HTTPTypes
import NIOCore

/// The client's side of one answer. One writer at a time; on the connection's own event loop a call is a plain function call, from
/// elsewhere it is scheduled on the loop.
package final class ClientConnection: Sendable {
    private let eventLoop: any EventLoop
    private let handler: NIOLoopBound<FrontDoorHandler>
    private let number: Int

    /// - Parameter number: the number of the call on its connection.
    init(_ handler: FrontDoorHandler, _ eventLoop: any EventLoop, _ number: Int) {
        self.eventLoop = eventLoop
        self.number = number
        self.handler = NIOLoopBound(handler, eventLoop: eventLoop)
    }

    /// Sends a whole answer at once.
    func send(_ status: HTTPResponse.Status, _ headers: HTTPFields, _ body: ByteBuffer) {
        let (handler, number) = (handler, number)
        onLoop { handler.value.send(status, headers, body, for: number) }
    }

    /// Sends the head of an answer whose body follows in pieces.
    func begin(_ status: HTTPResponse.Status, _ headers: HTTPFields) {
        let (handler, number) = (handler, number)
        onLoop { handler.value.begin(status, headers, length: nil, for: number) }
    }

    /// Sends bytes; waits while the client is slow.
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

    /// The body is complete. - Parameter last: its last part.
    func finish(_ last: ByteBuffer = ByteBuffer()) {
        let (handler, number) = (handler, number)
        onLoop { handler.value.finish(number, last) }
    }

    /// The call is over. If its answer is incomplete, the connection is closed.
    func end() {
        let (handler, number) = (handler, number)
        onLoop { handler.value.ended(number) }
    }

    private func onLoop(_ body: @escaping @Sendable () -> Void) {
        if eventLoop.inEventLoop { body() } else { eventLoop.execute(body) }
    }
}
