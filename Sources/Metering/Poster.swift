package import Logging
import RouterCore
import ServiceLifecycle
package import Storage
import Synchronization

/// Tells the poster that the journal has something new. Raising it twice before it is seen counts once.
package final class PostSignal: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    package init() {
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }
    func raise() { continuation.yield() }
    func finish() { continuation.finish() }
    var events: AsyncStream<Void> { stream }
}

/// Moves settlements from the journal to the ledger, in groups, exactly once: the ledger ignores records that it already has, and the
/// journal forgets only what the ledger has confirmed.
package final class Poster: Service {
    private let journal: any Journal
    private let meter: Meter
    private let signal: PostSignal
    private let logger: Logger
    private let backlogState = Mutex<(failing: Bool, posted: Int64, setAside: Int64)>((false, 0, 0))

    /// Records per ledger transaction.
    private static let groupSize = 256
    /// How long a settlement waits to be grouped with others. It counts towards the balance at once; only its row is written later.
    private static let gathering = Duration.milliseconds(20)
    /// Wait after a failure of the ledger's database.
    private static let retryDelay = Duration.seconds(1)

    package init(journal: any Journal, meter: Meter, signal: PostSignal, logger: Logger) {
        self.journal = journal
        self.meter = meter
        self.signal = signal
        self.logger = logger
    }

    /// False while the last attempt to post failed.
    package var isHealthy: Bool { backlogState.withLock { !$0.failing } }
    /// Records posted since the start.
    package var postedCount: Int64 { backlogState.withLock { $0.posted } }
    /// Records that the ledger refused since the start.
    package var setAsideCount: Int64 { backlogState.withLock { $0.setAside } }

    package func run() async throws {
        // Settlements of an earlier process come first.
        await drain()
        await withGracefulShutdownHandler {
            for await _ in signal.events {
                // Requests that end at about the same time are posted in one transaction of the ledger.
                try? await Task.sleep(for: Self.gathering)
                await drain()
            }
        } onGracefulShutdown: {
            self.signal.finish()
        }
        await drain()
    }

    /// Posts everything in the journal, or throws. Called at start-up, before balances are read.
    /// - Throws: ``StoreError``.
    package func drainOnce() async throws {
        while try await postGroup() {}
    }

    /// The next group, from memory, or from the journal while it has records that are not in memory. Empty = nothing to post.
    private func nextGroup() async throws -> [RequestRecord] {
        if let group = meter.postingQueue.first(Self.groupSize) { return group }
        let group = try await journal.settled(limit: Self.groupSize)
        guard group.isEmpty else { return group }
        meter.postingQueue.journalIsEmpty()
        return meter.postingQueue.first(Self.groupSize) ?? []
    }

    /// - Returns: false when there was nothing to post.
    private func postGroup() async throws -> Bool {
        let records = try await nextGroup()
        guard !records.isEmpty else { return false }
        let result = try await meter.post(records)
        for (id, reason) in result.setAside {
            logger.error(
                "the ledger refused a request's record; it is kept in poison_records",
                metadata: ["request_id": "\(id)", "reason": "\(reason)"])
        }
        let ids = records.map(\.requestID)
        try await journal.clear(ids)
        meter.postingQueue.remove(ids)
        backlogState.withLock { state in
            state.posted += Int64(records.count)
            state.setAside += Int64(result.setAside.count)
        }
        return true
    }

    /// Posts until the journal is empty. A failing ledger is retried as long as the process runs; at shutdown the rest stays in the journal
    /// for the next start.
    package func drain() async {
        while !Task.isCancelled {
            do {
                guard try await postGroup() else { return }
                let wasFailing = backlogState.withLock { state in
                    defer { state.failing = false }
                    return state.failing
                }
                if wasFailing { logger.notice("ledger is back; posting continues") }
            } catch {
                let isNew = backlogState.withLock { state in
                    defer { state.failing = true }
                    return !state.failing
                }
                if isNew { logger.error("cannot post to the ledger; the journal keeps the records", metadata: ["error": "\(error)"]) }
                if Task.isShuttingDownGracefully { return }
                try? await Task.sleep(for: Self.retryDelay)
            }
        }
    }
}
