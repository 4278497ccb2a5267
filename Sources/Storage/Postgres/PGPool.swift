import Dispatch
import RouterCore
import Synchronization

/// A few connections, each with a thread of its own that blocks in the library, so that the cooperative pool never does.
///
/// A connection that was lost is opened again with back-off; a body that had not come to its COMMIT is then run once more, because nothing
/// of it has happened. A COMMIT whose answer was lost is reported: the caller's statements are such that repeating them changes nothing.
final class PGPool: Sendable {
    /// What a body may do with its connection. Blocking.
    struct Session: ~Copyable {
        fileprivate var connection: PGConnection

        @discardableResult
        mutating func execute(_ sql: String, _ parameters: [any PGParameter] = []) throws(PGError) -> PGResult {
            try connection.execute(sql, parameters)
        }

        mutating func rows(_ sql: String, _ parameters: [any PGParameter] = []) throws(PGError) -> [PGRow] {
            try connection.execute(sql, parameters).rows
        }

        func script(_ sql: String) throws(PGError) { try connection.script(sql) }

        /// - Parameter hasCommitted: set when the body has done its work, so that it must not be run again.
        fileprivate mutating func run<Value>(
            inTransaction: Bool, hasCommitted: inout Bool, _ body: (inout Session) throws -> Value
        ) throws -> Value {
            if inTransaction { try script("BEGIN") }
            do {
                let value = try body(&self)
                hasCommitted = true
                if inTransaction { try script("COMMIT") }
                return value
            } catch {
                if inTransaction, connection.isAlive { try? script("ROLLBACK") }
                throw error
            }
        }
    }

    typealias Job = @Sendable (inout Slot) -> Void

    /// The connection of one thread.
    struct Slot: ~Copyable {
        fileprivate var session: Session?
        fileprivate let url: Secret
        fileprivate let durability: JournalDurability
        fileprivate let backOff: BackOff

        /// Runs a body, inside a transaction or not, on a connection that lives.
        mutating func run<Value>(
            inTransaction: Bool, _ body: (inout Session) throws -> Value
        ) throws -> Value {
            var isSecondTry = false
            while true {
                var current = try ready()
                var hasCommitted = false
                do {
                    let value = try current.run(inTransaction: inTransaction, hasCommitted: &hasCommitted, body)
                    session = consume current
                    return value
                } catch {
                    // A lost connection is closed by dropping it.
                    let isLost = !current.connection.isAlive || (error as? PGError)?.isConnectionLost == true
                    if !isLost { session = consume current }
                    guard isLost, !hasCommitted, !isSecondTry else { throw error }
                    isSecondTry = true
                }
            }
        }

        /// The connection that there is, or a new one.
        private mutating func ready() throws(PGError) -> Session {
            if let session = session.take(), session.connection.isAlive { return session }
            try backOff.check()
            do throws(PGError) {
                var session = Session(connection: try PGConnection(url: url))
                if durability == .power { _ = try PGDurability(&session) }
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
        inTransaction: Bool, _ body: @escaping @Sendable (inout Session) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
            submit { slot in
                do {
                    continuation.resume(returning: try slot.run(inTransaction: inTransaction, body))
                } catch let error as PGError {
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

/// After a failed connection the next one is not tried at once: 100 ms, doubled up to 5 s, shared by all connections of a pool.
final class BackOff: Sendable {
    private struct State {
        var wait = Duration.zero
        var notBefore: ContinuousClock.Instant?
        var message = ""
    }
    private let state = Mutex(State())

    func check() throws(PGError) {
        let message = state.withLock { state -> String? in
            guard let instant = state.notBefore, ContinuousClock.now < instant else { return nil }
            return state.message
        }
        if let message { throw PGError(state: "", constraint: "", message: message, isConnectionLost: true) }
    }

    func succeeded() { state.withLock { $0 = State() } }

    func failed(_ message: String) {
        state.withLock { state in
            state.wait = state.wait == .zero ? .milliseconds(100) : min(state.wait * 2, .seconds(5))
            state.notBefore = .now + state.wait
            state.message = message
        }
    }
}
