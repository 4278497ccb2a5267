import NIOCore
import RouterCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Says how long a new call would wait for its event loop. While that is too long, new calls are refused at once, which costs little, so that
/// those that run get the time that there is.
///
/// Two things are seen. A loop that is held up is late with its timers. A loop that gets more work than it can do is not: it goes round quickly and the work
/// queues up in the sockets; but it never rests then, and what is at work on it times what a call costs is what a new one has to wait for.
final class LoadGauge: Sendable {
    private let eventLoop: any EventLoop
    private let atWork = Atomic<Int64>(0)
    private let ended = Atomic<Int64>(0)
    /// Nanoseconds, smoothed.
    private let lateness = Atomic<Int64>(0)
    /// What a call costs while the loop never rests, else 0; nanoseconds.
    private let cost = Atomic<Int64>(0)

    private static let interval = TimeAmount.milliseconds(50)
    /// Of the time, in parts of a thousand, from which on a loop counts as busy without rest.
    private static let saturation: Int64 = 970

    /// What was read at the last look; touched on the loop only.
    private struct Past: Sendable {
        var wall: NIODeadline
        var processor: Int64
        var ended: Int64
        /// Parts of a thousand.
        var busy: Int64 = 0
        /// Processor time of a call, nanoseconds.
        var cost: Int64 = 0
    }

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Begins to look; for as long as the gauge is kept.
    func start() {
        eventLoop.execute { [weak self] in
            self?.schedule(Past(wall: .now(), processor: Self.processorTime(), ended: 0))
        }
    }

    func callBegan() { atWork.wrappingAdd(1, ordering: .relaxed) }

    func callEnded() {
        atWork.wrappingSubtract(1, ordering: .relaxed)
        ended.wrappingAdd(1, ordering: .relaxed)
    }

    /// How long a new call would wait.
    var wait: Duration {
        .nanoseconds(max(lateness.load(ordering: .relaxed), atWork.load(ordering: .relaxed) * cost.load(ordering: .relaxed)))
    }

    private func schedule(_ past: Past) {
        let due = NIODeadline.now() + Self.interval
        eventLoop.scheduleTask(deadline: due) { [weak self] in
            guard let self else { return }
            let late = max(0, (NIODeadline.now() - due).nanoseconds)
            // Half of the past, so that one hiccup is no overload, and a quarter of a second after it is over it is forgotten.
            lateness.store((lateness.load(ordering: .relaxed) + late) / 2, ordering: .relaxed)
            schedule(look(past))
        }
    }

    private func look(_ past: Past) -> Past {
        var now = Past(wall: .now(), processor: Self.processorTime(), ended: ended.load(ordering: .relaxed), busy: past.busy, cost: past.cost)
        let used = now.processor - past.processor
        let passed = max(1, (now.wall - past.wall).nanoseconds)
        now.busy = (past.busy + used * 1_000 / passed) / 2
        let calls = now.ended - past.ended
        if calls > 0 { now.cost = past.cost == 0 ? used / calls : (past.cost + used / calls) / 2 }
        cost.store(now.busy >= Self.saturation ? now.cost : 0, ordering: .relaxed)
        return now
    }

    /// Of this thread, nanoseconds.
    private static func processorTime() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
