import NIOCore
import RouterCore

/// Ends a body when no content has arrived in time. It uses a timer of the connection's event loop, not a task.
final class FirstContentTimer: Sendable {
    private let flag = AtomicFlag()
    private let scheduled: Scheduled<Void>

    init(body: any UpstreamBody, eventLoop: any EventLoop, after limit: Duration) {
        let flag = flag
        scheduled = eventLoop.scheduleTask(in: TimeAmount(limit)) {
            flag.set()
            body.cancel()
        }
    }

    var hasFired: Bool { flag.isSet }
    func stop() { scheduled.cancel() }
}
