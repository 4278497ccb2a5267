import CPlatform
import NIOCore
import RouterCore
import Synchronization

/// Says how long a new call would wait for its event loop. While that is too long, new calls are refused at once, which costs little, so that
/// those that run get the time that there is.
///
/// Two things are seen. A loop that is held up is late with its timers. A loop that gets more work than it can do is not always: it goes round and the
/// work queues up in the sockets; but it never rests then, and what is at work on it times the time in which one call is finished is what a new one
/// has to wait for. Whether it rests is told by how often its thread has gone to sleep, not by the processor time that it got: other threads (the
/// ledger's, other programs) may have had their part of that.
final class LoadGauge: Sendable {
    private let eventLoop: any EventLoop
    private let atWork = Atomic<Int64>(0)
    private let ended = Atomic<Int64>(0)
    /// Nanoseconds, smoothed.
    private let lateness = Atomic<Int64>(0)
    /// In what time a call is finished while the loop never rests, else 0; nanoseconds.
    private let pace = Atomic<Int64>(0)

    private static let interval = TimeAmount.milliseconds(50)
    /// A thread that waits for work goes to sleep for every few events; one that has always some hardly ever does.
    private static let fewSleeps = 2
    /// Part of the time that a busy loop gets of its processor at least, in parts of a thousand; one that has nothing to do sleeps long, not often.
    private static let busy: Int64 = 100

    /// What was read at the last look; touched on the loop only.
    private struct Past: Sendable {
        var wall: NIODeadline
        var usage: apir_thread_usage
        var ended: Int64
        /// Looks in a row that found no rest.
        var restless = 0
        /// Smoothed; nanoseconds.
        var pace: Int64 = 0
    }

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Begins to look; for as long as the gauge is kept.
    func start() {
        eventLoop.execute { [weak self] in
            self?.schedule(Past(wall: .now(), usage: apir_usage_of_thread(), ended: 0))
        }
    }

    func callBegan() { atWork.wrappingAdd(1, ordering: .relaxed) }

    func callEnded() {
        atWork.wrappingSubtract(1, ordering: .relaxed)
        ended.wrappingAdd(1, ordering: .relaxed)
    }

    /// How long a new call would wait.
    var wait: Duration {
        .nanoseconds(max(lateness.load(ordering: .relaxed), atWork.load(ordering: .relaxed) * pace.load(ordering: .relaxed)))
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
        var now = Past(wall: .now(), usage: apir_usage_of_thread(), ended: ended.load(ordering: .relaxed), pace: past.pace)
        let passed = max(1, (now.wall - past.wall).nanoseconds)
        let share = (now.usage.processor - past.usage.processor) * 1_000 / passed
        let isRestless = now.usage.sleeps - past.usage.sleeps <= Self.fewSleeps && share >= Self.busy
        now.restless = isRestless ? past.restless + 1 : 0
        let calls = now.ended - past.ended
        if calls > 0 { now.pace = past.pace == 0 ? passed / calls : (past.pace + passed / calls) / 2 }
        pace.store(now.restless >= 2 ? now.pace : 0, ordering: .relaxed)
        return now
    }
}
