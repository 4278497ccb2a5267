import Dispatch
import RouterCore
import Synchronization

/// A few connections, each with a thread of its own that blocks in the library, so that the cooperative pool never does.
///
/// A connection that was lost is opened again with back-off; a body that had not come to its COMMIT is then run once more, because nothing
/// of it has happened. A COMMIT whose answer was lost is reported: the caller's statements are such that repeating them changes nothing.
final class PGPool: Sendable {
    typealias Job = @Sendable (inout Slot) -> Void

    /// The connection of one thread.
    struct Slot: ~Copyable {
        fileprivate var session: PGSession?
        fileprivate let url: Secret
        fileprivate let durability: JournalDurability
        fileprivate let backOff: BackOff

        /// Runs a body, inside a transaction or not, on a connection that lives.
        mutating func run<Value>(
            inTransaction: Bool, _ body: (PGSession) throws -> Value
        ) throws -> Value {
            var isSecondTry = false
            while true {
                let current = try ready()
                var hasCommitted = false
                do {
                    let value = try current.run(inTransaction: inTransaction, hasCommitted: &hasCommitted, body)
                    session = current
                    return value
                } catch {
                    // A lost connection is closed by dropping it.
                    let isLost = !current.isAlive || (error as? SQLFailure)?.kind == .connectionLost
                    if !isLost { session = current }
                    guard isLost, !hasCommitted, !isSecondTry else { throw error }
                    isSecondTry = true
                }
            }
        }

        /// The connection that there is, or a new one.
        private mutating func ready() throws(SQLFailure) -> PGSession {
            if let session = session.take(), session.isAlive { return session }
            try backOff.check()
            do throws(SQLFailure) {
                let session = PGSession(try PGConnection(url: url))
                if durability == .power { _ = try PGDurability(session) }
                backOff.succeeded()
                return session
            } catch {
                backOff.failed(error.message)
                throw error
            }
        }
    }

    private struct Worker: Sendable {
        let queue: DispatchQueue
        let slot: SlotBox
    }

    /// A slot under a lock that only its own queue takes.
    private final class SlotBox: Sendable {
        let slot: Mutex<Slot>
        init(_ slot: consuming sending Slot) { self.slot = Mutex(slot) }
    }

    private struct State {
        var idle: [Int]
        var waiting: [Job] = []
        var isClosed = false
    }

    let durability: JournalDurability
    private let workers: [Worker]
    private let state: Mutex<State>
    private static let longestQueue = 10_000

    /// - Parameter durability: with `power` no connection is used whose commits would not survive a loss of power.
    init(url: Secret, connections: Int, durability: JournalDurability = .process) {
        self.durability = durability
        let backOff = BackOff()
        workers = (0..<connections).map { number in
            Worker(
                queue: DispatchQueue(label: "postgres-\(number)"),
                slot: SlotBox(Slot(session: nil, url: url, durability: durability, backOff: backOff)))
        }
        state = Mutex(State(idle: Array(0..<connections)))
    }

    /// Runs a body on some connection. - Throws: what the body throws, database errors as ``StoreError``.
    func run<Value: Sendable>(
        inTransaction: Bool, _ body: @escaping @Sendable (PGSession) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
            submit { slot in
                do {
                    continuation.resume(returning: try slot.run(inTransaction: inTransaction, body))
                } catch let error as SQLFailure {
                    continuation.resume(throwing: error.stored)
                } catch {
                    continuation.resume(throwing: error)
                }
            } refused: {
                continuation.resume(throwing: $0)
            }
        }
    }

    private func submit(_ job: @escaping Job, refused: (StoreError) -> Void) {
        enum Next { case start(Int), queued, refused(StoreError) }
        let next = state.withLock { state -> Next in
            if state.isClosed { return .refused(.database("the database is closed")) }
            if let worker = state.idle.popLast() { return .start(worker) }
            guard state.waiting.count < Self.longestQueue else { return .refused(.database("too many calls wait for the database")) }
            state.waiting.append(job)
            return .queued
        }
        switch next {
        case .start(let number): start(number, job)
        case .queued: break
        case .refused(let error): refused(error)
        }
    }

    private func start(_ number: Int, _ job: @escaping Job) {
        let worker = workers[number]
        worker.queue.async {
            var job: Job? = job
            while let current = job {
                worker.slot.slot.withLock { current(&$0) }
                job = self.state.withLock { state in
                    if state.waiting.isEmpty {
                        state.idle.append(number)
                        return nil
                    }
                    return state.waiting.removeFirst()
                }
            }
        }
    }

    /// Lets what waits run to its end, then closes the connections.
    func close() async {
        state.withLock { $0.isClosed = true }
        for worker in workers {
            await withCheckedContinuation { continuation in
                worker.queue.async {
                    worker.slot.slot.withLock { $0.session = nil }
                    continuation.resume()
                }
            }
        }
    }
}
