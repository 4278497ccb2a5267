import NIOCore
import Synchronization

/// Measures how long a new call would wait for its event loop. While that is too long, new calls are refused at once, which costs little,
/// so that running calls get the available time.
///
/// An event loop processes everything that is ready and then polls again; the more there is to do, the longer an iteration takes. Every
/// step of a call (its bytes, the upstream's head, its end) waits for an iteration. A timer that is set at an arbitrary moment is late by
/// half an iteration on average, so its lateness measures the length of iterations. Processor time would not: on one core, other threads
/// (the ledger's, other programs) take a part of it, and streams that last for minutes say nothing about how long the next call waits.
final class LoadGauge: Sendable {
    private let eventLoop: any EventLoop
    /// Nanoseconds, smoothed.
    private let lateness = Atomic<Int64>(0)

    private static let interval = TimeAmount.milliseconds(50)
    /// Half iterations that a whole answer waits for: the request is read, then its upstream's answer, each after up to one iteration.
    private static let halfTurns: Int64 = 4

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Starts measuring; it continues as long as the gauge exists.
    func start() { eventLoop.execute { [weak self] in self?.schedule() } }

    /// How long a new call would wait.
    var wait: Duration { .nanoseconds(lateness.load(ordering: .relaxed) * Self.halfTurns) }

    private func schedule() {
        let due = NIODeadline.now() + Self.interval
        eventLoop.scheduleTask(deadline: due) { [weak self] in
            guard let self else { return }
            let late = max(0, (NIODeadline.now() - due).nanoseconds)
            // Half of the previous value is kept, so that one delay is not an overload, and an overload is forgotten a quarter of a second
            // after it ends.
            lateness.store((lateness.load(ordering: .relaxed) + late) / 2, ordering: .relaxed)
            schedule()
        }
    }
}
