import CLibcurl
import Glibc
import RouterCore
import Synchronization

/// A dedicated thread that runs libcurl's multi interface over epoll. libcurl is used on this thread only.
///
/// Work arrives through an inbox and one eventfd; the eventfd is written only when no wake-up is pending, so that a burst of requests costs
/// one system call.
final class IOThread: TransferDriver {
    enum Command: Sendable {
        case start(Transfer)
        case resume(Transfer)
        case cancel(Transfer)
    }

    private struct Inbox {
        var commands: [Command] = []
        var isWakePending = false
        var isStopping = false
        var hasStopped = false
        var stopWaiters: [CheckedContinuation<Void, Never>] = []
        var statistics = TransportStatistics()
    }
    private let inbox = Mutex(Inbox())
    private let wakeDescriptor: Int32

    init(configuration: CurlTransport.Configuration, index: Int) throws(TransportFailure) {
        let wake = apir_eventfd()
        guard wake >= 0 else { throw TransportFailure(.other, "eventfd: errno \(errno)") }
        let poll = apir_epoll_create()
        guard poll >= 0 else {
            close(wake)
            throw TransportFailure(.other, "epoll_create: errno \(errno)")
        }
        wakeDescriptor = wake
        let box = Unmanaged.passRetained(LoopStart(thread: self, configuration: configuration, wake: wake, poll: poll))
        var id = pthread_t()
        let status = pthread_create(
            &id, nil,
            { context in
                let start = Unmanaged<LoopStart>.fromOpaque(context!).takeRetainedValue()
                apir_name_thread("upstream-io")
                start.run()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            box.release()
            close(poll)
            throw TransportFailure(.other, "pthread_create: \(status)")
        }
        pthread_detach(id)
    }

    /// The descriptor outlives the thread: a late wake-up must never reach a reused descriptor number.
    deinit { close(wakeDescriptor) }

    private final class LoopStart {
        let thread: IOThread
        let configuration: CurlTransport.Configuration
        let wake: Int32
        let poll: Int32
        init(thread: IOThread, configuration: CurlTransport.Configuration, wake: Int32, poll: Int32) {
            self.thread = thread
            self.configuration = configuration
            self.wake = wake
            self.poll = poll
        }
        func run() {
            let loop = CurlLoop(thread: thread, configuration: configuration, wake: wake, poll: poll)
            loop.run()
            loop.tearDown()
            thread.stopped()
        }
    }

    // MARK: From any thread

    /// - Returns: false after `stop`.
    func submit(_ transfer: Transfer) -> Bool { send(.start(transfer)) }
    func resume(_ transfer: Transfer) { _ = send(.resume(transfer)) }
    func cancel(_ transfer: Transfer) {
        if !send(.cancel(transfer)) { transfer.finish(TransportFailure(.cancelled)) }
    }

    private func send(_ command: Command) -> Bool {
        let (accepted, wake) = inbox.withLock { inbox in
            if inbox.isStopping { return (false, false) }
            inbox.commands.append(command)
            defer { inbox.isWakePending = true }
            return (true, !inbox.isWakePending)
        }
        if wake { wakeUp() }
        return accepted
    }

    func stop() {
        let wake = inbox.withLock { inbox in
            defer { inbox.isStopping = true }
            return !inbox.isStopping
        }
        if wake { wakeUp() }
    }

    func waitUntilStopped() async {
        await withCheckedContinuation { continuation in
            let isOver = inbox.withLock { inbox in
                if !inbox.hasStopped { inbox.stopWaiters.append(continuation) }
                return inbox.hasStopped
            }
            if isOver { continuation.resume() }
        }
    }

    private func wakeUp() {
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, 8)
    }

    var statistics: TransportStatistics { inbox.withLock { $0.statistics } }

    // MARK: From the loop

    /// All waiting commands, and whether the thread has to end.
    func takeCommands() -> (commands: [Command], isStopping: Bool) {
        inbox.withLock { inbox in
            defer {
                inbox.commands = []
                inbox.isWakePending = false
            }
            return (inbox.commands, inbox.isStopping)
        }
    }

    func count(_ change: (inout sending TransportStatistics) -> Void) { inbox.withLock { change(&$0.statistics) } }

    private func stopped() {
        let waiters = inbox.withLock { inbox in
            inbox.hasStopped = true
            defer { inbox.stopWaiters = [] }
            return inbox.stopWaiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
