import RouterCore
import Synchronization

/// Limits the number of connections, in all and from one address: each takes memory and a descriptor before it has sent a request.
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

    /// The source under which a connection is counted: an IPv4 address, or the /64 of an IPv6 address, which one subscriber has. nil for
    /// the local machine, which has no limit of its own: a local peer with many connections is a proxy or a test.
    static func source(_ peer: String) -> AddressRange? {
        guard let address = IPAddress(peer), !address.isLoopback else { return nil }
        return AddressRange(around: address, prefix: address.isFour ? 32 : 64)
    }

    /// Begins a connection. - Returns: whether there is a place for it; only then ``leave(_:)`` has to end it.
    /// - Parameter source: nil = the per-address limit does not apply.
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

    /// - Parameter source: the value that was passed to ``enter(_:)``.
    func leave(_ source: AddressRange?) {
        count.subtract(1, ordering: .relaxed)
        guard let source, perAddress > 0 else { return }
        counts.withLock { counts in
            let left = counts[source, default: 0] - 1
            counts[source] = left > 0 ? left : nil
        }
    }
}
