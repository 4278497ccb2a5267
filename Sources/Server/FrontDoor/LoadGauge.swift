import NIOCore
import Synchronization

/// Says when an event loop is behind its work, by how late a timer of its own comes: everything that waits for the loop is as late.
///
/// Overload shows there first, whatever it comes from, and goes away there first. While a loop is behind, new calls are refused at once, which
/// costs little, so that those that run get the time that there is.
final class LoadGauge: Sendable {
    private let eventLoop: any EventLoop
    private let lag = Atomic<Int64>(0)

    private static let interval = TimeAmount.milliseconds(50)

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Begins to look; for as long as the gauge is kept.
    func start() { schedule() }

    private func schedule() {
        let due = NIODeadline.now() + Self.interval
        eventLoop.scheduleTask(deadline: due) { [weak self] in
            guard let self else { return }
            let late = max(0, (NIODeadline.now() - due).nanoseconds)
            let before = lag.load(ordering: .relaxed)
            // Half of the past, so that one hiccup is no overload, and a quarter of a second after it is over it is forgotten.
            lag.store((before + late) / 2, ordering: .relaxed)
            schedule()
        }
    }

    /// How late the loop is, smoothed.
    var lateness: Duration { .nanoseconds(lag.load(ordering: .relaxed)) }
}
