import NIOCore

/// Runs tasks on one event loop, so that a request, its upstream call and the writes to its client share a thread.
final class LoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop
    private let queue: NIOLoopBoundBox<Queue>

    /// The queue of waiting jobs. Nearly all are enqueued from the loop itself, and these cost nothing but their place in the queue.
    private struct Queue {
        var jobs: [UnownedJob] = []
        var isScheduled = false
    }

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        queue = NIOLoopBoundBox.makeBoxSendingValue(Queue(), eventLoop: eventLoop)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        guard eventLoop.inEventLoop else { return eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) } }
        queue.value.jobs.append(job)
        guard !queue.value.isScheduled else { return }
        queue.value.isScheduled = true
        eventLoop.execute { self.drain() }
    }

    private func drain() {
        queue.value.isScheduled = false
        var jobs: [UnownedJob] = []
        swap(&jobs, &queue.value.jobs)
        for job in jobs { job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
