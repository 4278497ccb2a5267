import Dispatch
import RouterCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Hears of what other gateways change: by NOTIFY at once, and by looking into `changes` every second, because a notification is lost when
/// nobody listens. Has a connection and a thread of its own.
///
/// What is told twice is harmless: a change only says what to read again.
final class PGChangeFeed: Sendable {
    private struct State: ~Copyable {
        var isStopped = false
        var continuation: AsyncStream<[StoreChange]>.Continuation?
    }

    private let url: Secret
    private let queue = DispatchQueue(label: "postgres-changes")
    private let state = Mutex(State())
    /// Written to in order to end a wait.
    private let wakeUp: (read: Int32, write: Int32)

    /// How far back a look into `changes` goes: longer than a transaction that announces something lasts, since rows become visible in the
    /// order of commits, not of ids.
    private static let overlap: Int64 = 10
    private static let pollMilliseconds: Int32 = 1_000

    init(url: Secret) {
        self.url = url
        var ends: [Int32] = [-1, -1]
        if pipe(&ends) == 0 {
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        }
        wakeUp = (ends[0], ends[1])
    }

    deinit {
        close(wakeUp.read)
        close(wakeUp.write)
    }

    func start() -> AsyncStream<[StoreChange]> {
        let (stream, continuation) = AsyncStream.makeStream(of: [StoreChange].self, bufferingPolicy: .bufferingNewest(1_000))
        state.withLock { $0.continuation = continuation }
        queue.async { self.run() }
        return stream
    }

    /// Ends the stream and waits for the thread.
    func stop() async {
        let isRunning = state.withLock { state in
            state.isStopped = true
            return state.continuation != nil
        }
        _ = write(wakeUp.write, [UInt8(0)], 1)
        guard isRunning else { return }
        await withCheckedContinuation { continuation in queue.async { continuation.resume() } }
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    private func tell(_ changes: [StoreChange]) {
        guard !changes.isEmpty else { return }
        state.withLock { _ = $0.continuation?.yield(changes) }
    }

    /// The thread: connects, listens, and connects again when the connection is lost.
    private func run() {
        while !isStopped {
            if let connection = try? PGConnection(url: url) { listen(connection) }
            if !isStopped { wait(nil, milliseconds: Self.pollMilliseconds) }
        }
        state.withLock { $0.continuation?.finish() }
    }

    private func listen(_ connection: consuming PGConnection) {
        var connection = connection
        var seen: [Int64: ContinuousClock.Instant] = [:]
        do throws(SQLFailure) {
            try connection.script("LISTEN apirouter")
            // What happened while nobody listened is unknown.
            tell([StoreChange(topic: .everything, subject: "")])
            var lastPoll = ContinuousClock.now
            var lastSweep = lastPoll
            while !isStopped {
                wait(connection.socket, milliseconds: Self.pollMilliseconds)
                let now = ContinuousClock.now
                tell(
                    try connection.notifications().compactMap { Self.parse($0.payload) }
                        .filter { seen.updateValue(now, forKey: $0.id) == nil }.map(\.change))
                guard now - lastPoll >= .milliseconds(Int(Self.pollMilliseconds)) else { continue }
                // Asleep for longer than the look reaches back (a paused machine): rows may have been missed.
                if now - lastPoll > .seconds(Self.overlap / 2) { tell([StoreChange(topic: .everything, subject: "")]) }
                lastPoll = now
                try poll(&connection, &seen, now)
                guard now - lastSweep > .seconds(60) else { continue }
                lastSweep = now
                try connection.execute("DELETE FROM changes WHERE created_at < clock_timestamp() - interval '1 minute'")
            }
        } catch {
            // Connected anew by the caller.
        }
    }

    private func poll(
        _ connection: inout PGConnection, _ seen: inout [Int64: ContinuousClock.Instant], _ now: ContinuousClock.Instant
    ) throws(SQLFailure) {
        let rows = try connection.execute(
            "SELECT id || ' ' || topic || ' ' || subject AS line FROM changes WHERE created_at > clock_timestamp() - $1 * interval '1 second'",
            [.integer(Self.overlap)]
        ).rows
        tell(
            rows.compactMap { row in (try? row.text("line")).flatMap(Self.parse) }
                .filter { seen.updateValue(now, forKey: $0.id) == nil }.map(\.change))
        seen = seen.filter { now - $0.value < .seconds(Self.overlap * 2) }
    }

    /// `17 tokens 5`
    private static func parse(_ line: String) -> (id: Int64, change: StoreChange)? {
        let parts = line.split(separator: " ", maxSplits: 2)
        guard parts.count == 3, let id = Int64(parts[0]), let topic = StoreChange.Topic(rawValue: String(parts[1])) else { return nil }
        return (id, StoreChange(topic: topic, subject: String(parts[2])))
    }

    private func wait(_ socket: Int32?, milliseconds: Int32) {
        var descriptors = [pollfd(fd: wakeUp.read, events: Int16(POLLIN), revents: 0)]
        if let socket { descriptors.append(pollfd(fd: socket, events: Int16(POLLIN), revents: 0)) }
        _ = Glibc.poll(&descriptors, nfds_t(descriptors.count), milliseconds)
    }
}
