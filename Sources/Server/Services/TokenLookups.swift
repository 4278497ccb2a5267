import GatewayState
import HTTPTypes
import RouterCore
import Storage
import Synchronization

/// Looks up the user of a management token in such a way that strangers with invented tokens cannot occupy the store's connections: unknown
/// tokens are remembered for a moment, and only a few tokens that have not been seen before are looked up at the same time.
final class TokenLookups: Sendable {
    private struct State {
        /// Unknown hashes, and until when each is not looked up again.
        var unknown: [KeyHash: MonotonicInstant] = [:]
        /// Hashes that were recently valid: they do not queue with those of strangers.
        var known: Set<KeyHash> = []
        /// Incremented when an unknown token may have become valid.
        var generation: UInt64 = 0
        var running = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    private static let life = Duration.seconds(5)
    private static let remembered = 10_000
    /// Maximum number of look-ups at the same time, out of the four connections that are not reserved for money.
    private static let atOnce = 2
    private static let longestQueue = 64

    /// - Parameters:
    ///   - token: the hash of the token.
    ///   - look: queries the store.
    /// - Returns: nil for a token of no user.
    /// - Throws: ``ManagementError`` 503 when too many unknown tokens are being looked up, ``StoreError``.
    func user<Found: Sendable>(
        _ token: [UInt8], at instant: MonotonicInstant, look: () async throws -> Found?
    ) async throws -> Found? {
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
            // A token may have been created since the store was queried.
            guard state.generation == generation else { return }
            if state.unknown.count >= Self.remembered {
                state.unknown = state.unknown.filter { instant < $0.value }
                if state.unknown.count >= Self.remembered { state.unknown = [:] }
            }
            state.unknown[hash] = instant.advanced(by: Self.life)
        }
        return user
    }

    /// A session has begun here: its first use does not queue with strangers' tokens.
    func isMade(_ token: [UInt8]) {
        let hash = KeyHash(token)
        state.withLock { state in
            if state.known.count >= Self.remembered { state.known = [] }
            state.known.insert(hash)
            state.unknown[hash] = nil
        }
    }

    /// A token was created, here or on another gateway.
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
