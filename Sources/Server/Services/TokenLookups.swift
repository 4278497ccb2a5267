import GatewayState
import HTTPTypes
import RouterCore
import Storage
import Synchronization

/// Asks the store who is behind a management token, so that strangers with invented ones cannot keep its connections
/// busy: what is unknown is remembered for a moment, and of tokens that nobody has shown before only a few are looked
/// up at once.
final class TokenLookups: Sendable {
    private struct State {
        /// Until when a hash is not asked about again.
        var unknown: [KeyHash: MonotonicInstant] = [:]
        /// Hashes that were somebody's lately: they do not queue with strangers'.
        var known: Set<KeyHash> = []
        /// Raised when what is unknown may have become known.
        var generation: UInt64 = 0
        var running = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    private static let life = Duration.seconds(5)
    private static let remembered = 10_000
    /// How many of the four connections that are not for money look-ups may take.
    private static let atOnce = 2
    private static let longestQueue = 64

    /// - Parameters:
    ///   - token: its hash.
    ///   - look: asks the store.
    /// - Returns: nil for a token that is nobody's.
    /// - Throws: ``ManagementError`` 503 when too many unknown tokens are asked about, ``StoreError``.
    func user(
        _ token: [UInt8], at instant: MonotonicInstant, look: () async throws -> User?
    ) async throws -> User? {
        let hash = KeyHash(token)
        let (isUnknown, isKnown, generation) = state.withLock { state in
            (state.unknown[hash].map { instant < $0 } ?? false, state.known.contains(hash), state.generation)
        }
        if isUnknown { return nil }
        if !isKnown { try await enter() }
        defer { if !isKnown { leave() } }
        let user = try await look()
        state.withLock { state in
            if user != nil {
                if state.known.count >= Self.remembered { state.known = [] }
                state.known.insert(hash)
                return
            }
            state.known.remove(hash)
            // A token may have been made since the store was asked.
            guard state.generation == generation else { return }
            if state.unknown.count >= Self.remembered {
                state.unknown = state.unknown.filter { instant < $0.value }
                if state.unknown.count >= Self.remembered { state.unknown = [:] }
            }
            state.unknown[hash] = instant.advanced(by: Self.life)
        }
        return user
    }

    /// A session has begun here: its first use does not queue with strangers'.
    func isMade(_ token: [UInt8]) {
        let hash = KeyHash(token)
        state.withLock { state in
            if state.known.count >= Self.remembered { state.known = [] }
            state.known.insert(hash)
            state.unknown[hash] = nil
        }
    }

    /// A token was made, here or elsewhere.
    func forgetUnknown() {
        state.withLock { state in
            state.unknown = [:]
            state.generation += 1
        }
    }

    private func enter() async throws {
        let isFull = state.withLock { $0.running >= Self.atOnce && $0.waiting.count >= Self.longestQueue }
        if isFull {
            throw ManagementError(
                .serviceUnavailable, "too many unknown access tokens are being looked up; try again in a moment")
        }
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.running >= Self.atOnce {
                    state.waiting.append(continuation)
                    return false
                }
                state.running += 1
                return true
            }
            if isFree { continuation.resume() }
        }
    }

    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.waiting.isEmpty {
                state.running -= 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
