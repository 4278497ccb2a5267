import Synchronization

/// Slows guessing down: after a few failures for a name from an address, and after more from the address whatever the names, the next try has to
/// wait, longer each time. A try counts as a failure until it has succeeded, so that many at once get no more than many in a row.
final class LoginThrottle: Sendable {
    private struct Entry {
        var failures = 0
        var blockedUntil: Int64 = 0
    }

    /// What a counter is for, and how patient it is.
    private struct Limit {
        var freeTries: Int
        /// Seconds.
        var longestWait: Int64
        static let name = Limit(freeTries: 5, longestWait: 900)
        /// Many users may stand behind one address.
        static let address = Limit(freeTries: 50, longestWait: 60)
    }

    private let entries = Mutex<[String: Entry]>([:])
    private let maximumEntries: Int

    init(maximumEntries: Int = 50_000) { self.maximumEntries = maximumEntries }

    /// Begins a try.
    /// - Parameter now: Unix seconds.
    /// - Returns: seconds to wait, or nil when the try is allowed; it counts as failed from now on.
    func begin(username: String, address: String, now: Int64) -> Int64? {
        let keys = Self.keys(username, address)
        return entries.withLock { entries in
            let until = keys.compactMap { entries[$0.key]?.blockedUntil }.max() ?? 0
            guard until <= now else { return until - now }
            makeRoom(&entries)
            for (key, limit) in keys {
                var entry = entries[key] ?? Entry()
                entry.failures += 1
                let over = entry.failures - limit.freeTries
                if over >= 0 { entry.blockedUntil = now + min(limit.longestWait, 1 << Int64(min(over, 20))) }
                entries[key] = entry
            }
            return nil
        }
    }

    /// The password was right.
    func succeeded(username: String, address: String) {
        entries.withLock { entries in
            for (key, _) in Self.keys(username, address) { entries[key] = nil }
        }
    }

    /// The password could not be looked at: nothing has been learnt by the try.
    func withdrawn(username: String, address: String) {
        entries.withLock { entries in
            for (key, limit) in Self.keys(username, address) {
                guard var entry = entries[key] else { continue }
                entry.failures -= 1
                if entry.failures < limit.freeTries { entry.blockedUntil = 0 }
                entries[key] = entry.failures > 0 ? entry : nil
            }
        }
    }

    /// Those who may try anyway go first, then those who may soonest.
    private func makeRoom(_ entries: inout [String: Entry]) {
        guard entries.count + 2 > maximumEntries else { return }
        let kept = entries.sorted { $0.value.blockedUntil > $1.value.blockedUntil }.prefix(maximumEntries / 2)
        entries = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }

    private static func keys(_ username: String, _ address: String) -> [(key: String, limit: Limit)] {
        [("\(address) \(username.lowercased())", .name), (address, .address)]
    }
}
