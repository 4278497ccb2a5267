import NIOCore
import Synchronization

/// Says how long a new call would wait for its event loop. While that is too long, new calls are refused at once, which costs little, so
/// that those that run get the time that there is.
///
/// A loop works off what is ready and then looks again; the more there is to do, the longer a turn takes. Every step of a call (its bytes,
/// the upstream's head, its end) waits for a turn. A timer that is set at any moment is late by half a turn in the mean, so that its
/// lateness tells how long turns are. Processor time would not: on one core other threads (the ledger's, other programs) take their part of
/// that, and streams that last for minutes say nothing of how long the next call waits.
final class LoadGauge: Sendable {
    private let eventLoop: any EventLoop
    /// Nanoseconds, smoothed.
    private let lateness = Atomic<Int64>(0)

    private static let interval = TimeAmount.milliseconds(50)
    /// Half turns that a whole answer waits: to be read, for its upstream's answer to be read, each up to a whole one.
    private static let halfTurns: Int64 = 4

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Begins to look; for as long as the gauge is kept.
    func start() { eventLoop.execute { [weak self] in self?.schedule() } }

    /// How long a new call would wait.
    var wait: Duration { .nanoseconds(lateness.load(ordering: .relaxed) * Self.halfTurns) }

    private func schedule() {
        let due = NIODeadline.now() + Self.interval
        eventLoop.scheduleTask(deadline: due) { [weak self] in
            guard let self else { return }
            let late = max(0, (NIODeadline.now() - due).nanoseconds)
            // Half of the past, so that one hiccup is no overload, and a quarter of a second after it is over it is forgotten.
            lateness.store((lateness.load(ordering: .relaxed) + late) / 2, ordering: .relaxed)
            schedule()
        }
    }
}
