import Synchronization

/// Slows guessing down: after a few failures for a name from an address the next try has to wait, longer each time. A try counts as a failure until
/// it has succeeded, so that many at once get no more than many in a row.
///
/// By name and address, never by address alone: behind a proxy all have the same one, and a stranger must not be able to lock everybody out.
final class LoginThrottle: Sendable {
    private struct Entry {
        var failures = 0
        var blockedUntil: Int64 = 0
    }

    private let entries = Mutex<[String: Entry]>([:])
    private let maximumEntries: Int
    private static let freeTries = 5
    /// Seconds.
    private static let longestWait: Int64 = 900

    init(maximumEntries: Int = 50_000) { self.maximumEntries = maximumEntries }

    /// Begins a try.
    /// - Parameter now: Unix seconds.
    /// - Returns: seconds to wait, or nil when the try is allowed; it counts as failed from now on.
    func begin(username: String, address: String, now: Int64) -> Int64? {
        let key = key(username, address)
        return entries.withLock { entries in
            var entry = entries[key] ?? Entry()
            guard entry.blockedUntil <= now else { return entry.blockedUntil - now }
            makeRoom(&entries)
            entry.failures += 1
            let over = entry.failures - Self.freeTries
            if over >= 0 { entry.blockedUntil = now + min(Self.longestWait, 1 << Int64(min(over, 20))) }
            entries[key] = entry
            return nil
        }
    }

    /// The password was right.
    func succeeded(username: String, address: String) {
        entries.withLock { $0[key(username, address)] = nil }
    }

    /// The password could not be looked at: nothing has been learnt by the try, and nobody has to wait for it.
    func withdrawn(username: String, address: String) {
        let key = key(username, address)
        entries.withLock { entries in
            guard var entry = entries[key] else { return }
            entry.failures -= 1
            entry.blockedUntil = 0
            entries[key] = entry.failures > 0 ? entry : nil
        }
    }

    /// Those who may try anyway go first, then those who may soonest.
    private func makeRoom(_ entries: inout [String: Entry]) {
        guard entries.count >= maximumEntries else { return }
        let kept = entries.sorted { $0.value.blockedUntil > $1.value.blockedUntil }.prefix(maximumEntries / 2)
        entries = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }

    private func key(_ username: String, _ address: String) -> String { "\(address) \(username.lowercased())" }
}
