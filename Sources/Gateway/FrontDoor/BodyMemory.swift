import Synchronization

/// The memory for request bodies, from their arrival until their calls are over. It is limited for all of them together, because each
/// client may send a body of the largest size and then wait. Small bodies of clients with a key are not counted; the number of connections
/// and calls bounds them.
///
/// Bodies of strangers, which come without a key or with one whose balance is not known to be above zero, may take an eighth of the total,
/// so that they cannot displace paying clients.
package final class BodyMemory: Sendable {
    /// Bodies up to this size (bytes) are not counted.
    static let free = 16 * 1024
    /// The same for clients that have not presented a key yet.
    static let freeForStrangers = 1024
    /// The number of bodies of the largest size that may be held at once.
    static let largestBodies = 16
    /// The inverse of the fraction that strangers may take.
    static let strangersShare = 8

    /// The minimum capacity in bytes, however small the largest body is.
    private let least: Int
    private let used = Atomic<Int>(0)
    private let usedByStrangers = Atomic<Int>(0)

    package init(least: Int = 512 * 1024 * 1024) { self.least = least }

    package var bytes: Int { used.load(ordering: .relaxed) }

    func share(isStranger: Bool) -> BodyShare { BodyShare(self, isStranger) }

    /// - Parameter largest: the largest accepted body (`server.max_body_bytes`, at most a gigabyte).
    fileprivate func take(_ more: Int, largest: Int, isStranger: Bool) -> Bool {
        let limit = max(least, Self.largestBodies * largest)
        if isStranger {
            guard usedByStrangers.add(more, ordering: .relaxed).newValue <= limit / Self.strangersShare else {
                usedByStrangers.subtract(more, ordering: .relaxed)
                return false
            }
        }
        guard used.add(more, ordering: .relaxed).newValue <= limit else {
            give(more, isStranger: isStranger)
            return false
        }
        return true
    }

    fileprivate func give(_ bytes: Int, isStranger: Bool) {
        used.subtract(bytes, ordering: .relaxed)
        if isStranger { usedByStrangers.subtract(bytes, ordering: .relaxed) }
    }
}

/// One body's part of the memory, returned with the last reference to the share.
final class BodyShare: Sendable {
    private let memory: BodyMemory
    private let isStranger: Bool
    private let size = Atomic<Int>(0)

    fileprivate init(_ memory: BodyMemory, _ isStranger: Bool) {
        self.memory = memory
        self.isStranger = isStranger
    }

    deinit { memory.give(size.load(ordering: .relaxed), isStranger: isStranger) }

    /// One caller at a time.
    /// - Parameters:
    ///   - bytes: the present size of the body.
    ///   - largest: the largest accepted body.
    /// - Returns: whether there is room for it.
    func grow(to bytes: Int, largest: Int) -> Bool {
        let more = bytes - size.load(ordering: .relaxed)
        guard more > 0 else { return true }
        guard memory.take(more, largest: largest, isStranger: isStranger) else { return false }
        size.add(more, ordering: .relaxed)
        return true
    }
}
