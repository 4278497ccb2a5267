package import RouterCore
import Synchronization

/// The background responses that this process makes. Who has one cancelled or deleted finds it here.
package final class RunningResponses: Sendable {
    private struct Entry {
        var isUnwanted = false
        /// Set when the beginning is in the store.
        var stop: (@Sendable () -> Void)?
    }

    private struct State {
        var entries: [StoredResponse.Key: Entry] = [:]
        var counts: [Int64: Int] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    package var count: Int { state.withLock { $0.entries.count } }
    /// Those that can be found in the store.
    package var known: [StoredResponse.Key] { state.withLock { $0.entries.filter { $0.value.stop != nil }.map(\.key) } }
    package func keys(userID: Int64) -> [StoredResponse.Key] { state.withLock { $0.entries.keys.filter { $0.userID == userID } } }

    package func has(_ key: StoredResponse.Key) -> Bool { state.withLock { $0.entries[key] != nil } }

    package func count(userID: Int64) -> Int { state.withLock { $0.counts[userID] ?? 0 } }

    /// - Parameters: the most of one user, and of all.
    /// - Returns: how many there are of the user and in all, with this one; nil when there are so many already.
    package func begin(_ key: StoredResponse.Key, perUser: Int, all: Int) -> (ofUser: Int, all: Int)? {
        state.withLock { state in
            let ofUser = (state.counts[key.userID] ?? 0) + 1
            guard state.entries.count < all, ofUser <= perUser, state.entries[key] == nil else { return nil }
            state.entries[key] = Entry()
            state.counts[key.userID] = ofUser
            return (ofUser, state.entries.count)
        }
    }

    /// - Parameter stop: ends the work, once it is unwanted; called at most once, from any thread.
    package func onStop(_ key: StoredResponse.Key, _ stop: @escaping @Sendable () -> Void) {
        let isUnwanted = state.withLock { state in
            if state.entries[key]?.isUnwanted == true { return true }
            state.entries[key]?.stop = stop
            return false
        }
        if isUnwanted { stop() }
    }

    /// Nobody wants the response any more: it was cancelled or deleted.
    /// - Returns: false when it does not run here.
    @discardableResult
    package func stop(_ key: StoredResponse.Key) -> Bool {
        let (isRunning, stop) = state.withLock { state -> (Bool, (@Sendable () -> Void)?) in
            guard let entry = state.entries[key] else { return (false, nil) }
            state.entries[key]?.isUnwanted = true
            state.entries[key]?.stop = nil
            return (true, entry.stop)
        }
        stop?()
        return isRunning
    }

    /// The work is over.
    /// - Parameter note: notes how, unless nobody wants to know; whoever has it stopped meanwhile comes before or after that.
    package func end(_ key: StoredResponse.Key, _ note: () -> Void = {}) {
        state.withLock { state in
            guard let entry = state.entries.removeValue(forKey: key) else { return }
            let rest = (state.counts[key.userID] ?? 1) - 1
            state.counts[key.userID] = rest > 0 ? rest : nil
            if !entry.isUnwanted { note() }
        }
    }
}
