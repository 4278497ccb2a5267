import Adaptors
package import Config
package import Logging
import NIOCore
package import Platform
package import RouterCore
package import Storage
import Synchronization

/// The responses that users can refer to later. They are written behind the answer: what waits to be written is found here already, and
/// neither a slow nor a failing disk keeps an answer waiting. The service that writes calls ``write()`` and ``sweep()``.
package final class ResponseKeeper: Sendable {
    private struct State {
        /// Responses that have not been written yet.
        var waiting: [StoredResponse.Key: StoredResponse] = [:]
        /// In the order in which it came; may name what is there no more.
        var order: [StoredResponse.Key] = []
        var waitingBytes: Int64 = 0
        /// Bytes by user, those of all under 0: of the store at the last look, and of what has come since.
        var bytes: [Int64: Int64] = [:]
        var counts = Counts()
        var problem: String?
    }

    /// Since the start.
    package struct Counts: Sendable {
        package var kept: Int64 = 0
        /// Not kept because a bound of the store was reached.
        package var refused: Int64 = 0
        /// Not kept because too much waited to be written, or because writing failed for too long.
        package var lost: Int64 = 0
    }

    /// Bounds of what waits to be written.
    private static let maximumWaitingBytes: Int64 = 64 << 20
    private static let maximumWaiting = 10_000
    /// Responses of one transaction, by number and bytes.
    private static let groupSize = 64
    private static let groupBytes: Int64 = 8 << 20
    /// Expired ones that are deleted in one transaction.
    private static let sweepSize = 500

    /// The background responses that this process makes.
    package let running = RunningResponses()
    private let gateway: String
    /// Random for each start.
    private let process = TokenSecrets.random(16)
    private let store: (any ResponseStore)?
    private let clock: ServerClock
    private let logger: Logger
    private let state = Mutex(State())
    /// One writer at a time: a deletion must not be overtaken by the writing of what it deletes.
    private let gate = AsyncGate()
    private let stream: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - store: nil = nothing is kept.
    ///   - gateway: this gateway's name at its ledger, which it keeps over restarts.
    package init(store: (any ResponseStore)?, gateway: String = "", clock: ServerClock, logger: Logger) {
        self.store = store
        self.gateway = gateway
        self.clock = clock
        self.logger = logger
        (stream, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    package func isOn(_ settings: GatewayConfiguration.Responses) -> Bool { store != nil && settings.isStored }

    package var counts: Counts { state.withLock { $0.counts } }
    /// Bytes that all users' responses take up.
    package var bytes: Int64 { state.withLock { $0.bytes[0] ?? 0 } }
    package var waiting: Int { state.withLock { $0.waiting.count } }

    // MARK: Requests

    /// Whether so much more of a user fits, as far as is known here.
    package func hasRoom(_ userID: Int64, bytes: Int64, _ settings: GatewayConfiguration.Responses) -> Bool {
        state.withLock { state in
            (state.bytes[0] ?? 0) + bytes <= settings.maxBytes && (state.bytes[userID] ?? 0) + bytes <= settings.maxBytesPerUser
        }
    }

    /// Takes a response; from now on it is found. Never waits.
    /// - Parameter replaced: an older state of the same, whose room it takes.
    /// - Returns: false when there is no room for it.
    @discardableResult
    package func keep(
        _ response: StoredResponse, replacing replaced: StoredResponse? = nil, _ settings: GatewayConfiguration.Responses
    ) -> Bool {
        let isKept = state.withLock { state in
            let size = response.bytes
            let old = state.waiting[response.key]?.bytes ?? 0
            let user = response.key.userID
            let more = size - (old > 0 ? old : replaced?.bytes ?? 0)
            guard (state.bytes[0] ?? 0) + more <= settings.maxBytes, (state.bytes[user] ?? 0) + more <= settings.maxBytesPerUser else {
                state.counts.refused += 1
                return false
            }
            guard state.waitingBytes + size - old <= Self.maximumWaitingBytes, state.waiting.count < Self.maximumWaiting else {
                state.counts.lost += 1
                return false
            }
            if state.waiting.updateValue(response, forKey: response.key) == nil { state.order.append(response.key) }
            state.waitingBytes += size - old
            Self.add(more, user, &state)
            return true
        }
        if isKept { signal.yield() }
        return isKept
    }

    private static func add(_ bytes: Int64, _ userID: Int64, _ state: inout State) {
        for id in [0, userID] { state.bytes[id] = max(0, (state.bytes[id] ?? 0) + bytes) }
    }

    /// A background response whose gateway has died is found as one that has failed.
    /// - Throws: ``StoreError``.
    package func find(_ id: String, userID: Int64) async throws -> StoredResponse? {
        let key = StoredResponse.Key(userID: userID, id: id)
        let found = try await look(key)
        guard let found, isDead(found) else { return found }
        // It may have ended between the look and the question whether it runs.
        let again = try await look(key)
        guard let again, isDead(again) else { return again }
        return again.failed("The gateway stopped while it made this response.")
    }

    private func look(_ key: StoredResponse.Key) async throws -> StoredResponse? {
        let (id, now) = (key.id, clock.unixSeconds)
        if let waiting = state.withLock({ $0.waiting[key] }) { return waiting.expiresAt > now ? waiting : nil }
        guard let store, ResponseStateFields.isID(id) else { return nil }
        return try await store.response(key, now: now)
    }

    private func isDead(_ response: StoredResponse) -> Bool {
        guard case .gateway(let maker) = response.maker else { return false }
        if maker.gateway == gateway { return maker.process != process || !running.has(response.key) }
        return clock.unixSeconds > maker.deadline
    }

    /// - Parameter deadline: Unix seconds.
    package func maker(deadline: Int64) -> ResponseMaker { ResponseMaker(gateway: gateway, process: process, deadline: deadline) }

    package func isOwn(_ maker: ResponseMaker) -> Bool { maker.process == process }

    package enum Kept: Sendable {
        case kept, noRoom, failed
    }

    /// Takes a response and waits until it is in the store: for one that is found nowhere else afterwards.
    package func keepNow(_ response: StoredResponse, _ settings: GatewayConfiguration.Responses) async -> Kept {
        guard keep(response, settings) else { return .noRoom }
        guard await write(settings.limits) else {
            _ = forget([response.key])
            return .failed
        }
        do {
            return try await look(response.key) == nil ? .noRoom : .kept
        } catch {
            return .failed
        }
    }

    /// Stops what another gateway of the same store has cancelled or deleted. - Throws: ``StoreError``.
    package func stopUnwanted() async throws {
        guard let store else { return }
        for key in running.known where state.withLock({ $0.waiting[key] == nil }) {
            let stored = try await store.response(key, now: clock.unixSeconds)
            if stored?.maker == nil { running.stop(key) }
        }
    }

    /// - Returns: false when there was none.
    /// - Throws: ``StoreError``.
    package func delete(_ id: String, userID: Int64) async throws -> Bool {
        guard let store, ResponseStateFields.isID(id) else { return false }
        let key = StoredResponse.Key(userID: userID, id: id)
        running.stop(key)
        return try await gate.run {
            let wasWaiting = forget([key])
            let wasStored = try await store.delete(key)
            try await count([userID], store)
            return wasStored || wasWaiting
        }
    }

    /// Everything of a user who is deleted. - Throws: ``StoreError``.
    package func deleteAll(userID: Int64) async throws {
        guard let store else { return }
        for key in running.keys(userID: userID) { running.stop(key) }
        try await gate.run {
            _ = forget(state.withLock { $0.order.filter { $0.userID == userID } })
            try await store.deleteResponses(userID: userID)
            try await count([userID], store)
        }
    }

    private func forget(_ keys: [StoredResponse.Key]) -> Bool {
        state.withLock { state in
            var found = false
            for key in keys {
                guard let old = state.waiting.removeValue(forKey: key) else { continue }
                found = true
                state.waitingBytes -= old.bytes
                Self.add(-old.bytes, key.userID, &state)
            }
            return found
        }
    }

    // MARK: The writer

    /// Has an element when there is something to write; ends with ``finish()``.
    package var events: AsyncStream<Void> { stream }
    package func finish() { signal.finish() }

    /// Writes what waits, in groups. - Returns: false when the store failed; what waits stays.
    package func write(_ limits: ResponseStoreLimits) async -> Bool {
        guard let store else { return true }
        while true {
            do {
                let isDone = try await gate.run { try await writeGroup(store, limits) }
                if isDone { return true }
            } catch {
                state.withLock { $0.problem = "\(error)" }
                return false
            }
        }
    }

    /// - Returns: true when nothing waits any more.
    private func writeGroup(_ store: any ResponseStore, _ limits: ResponseStoreLimits) async throws -> Bool {
        let group = state.withLock { state -> [StoredResponse] in
            state.order.removeAll { state.waiting[$0] == nil }
            var group: [StoredResponse] = []
            var bytes: Int64 = 0
            for key in state.order {
                guard let response = state.waiting[key], group.count < Self.groupSize, bytes < Self.groupBytes else { break }
                group.append(response)
                bytes += response.bytes
            }
            return group
        }
        guard !group.isEmpty else { return true }
        let refused = try await store.keep(group, limits: limits)
        state.withLock { state in
            for (place, response) in group.enumerated() {
                // A newer state of a conversation may have come meanwhile.
                if state.waiting[response.key] == response {
                    state.waiting[response.key] = nil
                    state.waitingBytes -= response.bytes
                }
                guard refused.contains(place) else {
                    state.counts.kept += 1
                    continue
                }
                state.counts.refused += 1
            }
        }
        // An older state that was replaced counts no more, and responses of other gateways do.
        try await count(Set(group.map(\.key.userID)), store)
        return false
    }

    /// Looks how much there is of these users; nil = of everybody.
    private func count(_ users: Set<Int64>?, _ store: any ResponseStore) async throws {
        let stored = try await store.responseBytes(of: users)
        state.withLock { state in
            var waiting: [Int64: Int64] = [0: state.waitingBytes]
            for response in state.waiting.values { waiting[response.key.userID, default: 0] += response.bytes }
            guard let users else {
                state.bytes = stored.merging(waiting) { $0 + $1 }
                return
            }
            for id in users.union([0]) { state.bytes[id] = (stored[id] ?? 0) + (waiting[id] ?? 0) }
        }
    }

    /// Deletes what has expired, and looks how much is left. - Throws: ``StoreError``.
    package func sweep() async throws {
        guard let store else { return }
        let now = clock.unixSeconds
        while try await gate.run({ try await store.deleteExpired(now: now, limit: Self.sweepSize) }) == Self.sweepSize {}
        try await gate.run { try await count(nil, store) }
    }

    /// The reason why writing has failed since the last call; nil when it has not.
    package func takeProblem() -> String? {
        state.withLock { state in
            defer { state.problem = nil }
            return state.problem
        }
    }

    package func close() async throws { try await store?.close() }
}

extension StoredResponse {
    /// The same as one that is over, with other values of some of its fields.
    package func over(_ changes: [JSONValue.Member]) -> StoredResponse {
        var copy = self
        copy.maker = nil
        guard let tree = try? JSONValue(parsing: ByteBuffer(bytes: body)) else { return copy }
        copy.body = Array(ResponseItems.setting(changes, in: tree).text.utf8)
        return copy
    }

    /// - Parameter code: one of OpenAI's (https://platform.openai.com/docs/api-reference/responses/object).
    package func failed(_ message: String, code: String = "server_error") -> StoredResponse {
        over([.init("status", "failed"), .init("error", ["code": .string(code), "message": .string(message)])])
    }
}
