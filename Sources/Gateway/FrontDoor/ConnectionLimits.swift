import RouterCore
import Synchronization

/// How many connections there may be, in all and from one address: each takes memory and a descriptor before it has
/// asked for anything.
final class ConnectionLimits: Sendable {
    private let maximum: Int
    private let perAddress: Int
    private let count = Atomic<Int>(0)
    private let counts = Mutex<[AddressRange: Int]>([:])

    /// - Parameter perAddress: 0 = no limit.
    init(maximum: Int, perAddress: Int) {
        self.maximum = maximum
        self.perAddress = perAddress
    }

    /// Whose connections are counted together: those of an IPv4 address, or of the /64 that one subscriber has of IPv6.
    /// nil for the same machine, which has no limit of its own: what serves everybody from there is a proxy, or a test.
    static func source(_ peer: String) -> AddressRange? {
        guard let address = IPAddress(peer), !address.isLoopback else { return nil }
        return AddressRange(around: address, prefix: address.isFour ? 32 : 64)
    }

    /// Begins a connection. - Returns: whether there is a place for it; only then ``leave(_:)`` ends it.
    /// - Parameter source: nil = without a limit of its own.
    func enter(_ source: AddressRange?) -> Bool {
        guard count.add(1, ordering: .relaxed).newValue <= maximum else {
            count.subtract(1, ordering: .relaxed)
            return false
        }
        guard let source, perAddress > 0 else { return true }
        let isIn = counts.withLock { counts in
            let others = counts[source, default: 0]
            guard others < perAddress else { return false }
            counts[source] = others + 1
            return true
        }
        if !isIn { count.subtract(1, ordering: .relaxed) }
        return isIn
    }

    /// - Parameter source: as it was given to ``enter(_:)``.
    func leave(_ source: AddressRange?) {
        count.subtract(1, ordering: .relaxed)
        guard let source, perAddress > 0 else { return }
        counts.withLock { counts in
            let left = counts[source, default: 0] - 1
            counts[source] = left > 0 ? left : nil
        }
    }
}
