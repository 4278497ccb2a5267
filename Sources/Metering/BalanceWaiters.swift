import Synchronization

/// Requests that wait until money of a user is released. A wake-up between a check and the wait is missed; the wait is short, and the
/// caller checks again.
final class BalanceWaiters: Sendable {
    private struct State {
        /// The inner nil means that a wait has been registered and its continuation does not exist yet.
        var waiting: [Int64: [UInt64: CheckedContinuation<Void, Never>?]] = [:]
        var number: UInt64 = 0
    }
    private let state = Mutex(State())

    func wake(_ userID: Int64) {
        let woken = state.withLock { $0.waiting.removeValue(forKey: userID) }
        for continuation in (woken ?? [:]).values { continuation?.resume() }
    }

    /// Waits until the next wake-up, or at most for the given time.
    func wait(_ userID: Int64, atMost limit: Duration) async {
        let number = state.withLock { state in
            state.number += 1
            state.waiting[userID, default: [:]].updateValue(nil, forKey: state.number)
            return state.number
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.sleep(userID, number) }
            group.addTask {
                try? await Task.sleep(for: limit)
                self.end(userID, number)
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func sleep(_ userID: Int64, _ number: UInt64) async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                guard state.waiting[userID]?[number] != nil else { return true }
                state.waiting[userID]?.updateValue(continuation, forKey: number)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    private func end(_ userID: Int64, _ number: UInt64) {
        let continuation = state.withLock { state -> CheckedContinuation<Void, Never>? in
            let found = state.waiting[userID]?.removeValue(forKey: number)
            if state.waiting[userID]?.isEmpty == true { state.waiting[userID] = nil }
            return found ?? nil
        }
        continuation?.resume()
    }
}
