import Synchronization

/// What the bodies of requests take up, from when they come until their calls are over: bounded for all of them together, because each client may
/// send one of the largest size and then wait. Small ones do not count; the number of connections and calls bounds them.
final class BodyMemory: Sendable {
    /// Bodies up to this size are free.
    static let free = 16 * 1024
    /// So many bodies of the largest size may be held at once.
    static let largestBodies = 16

    /// What may be held however small the largest body is.
    fileprivate let least: Int
    fileprivate let used = Atomic<Int>(0)

    init(least: Int = 512 * 1024 * 1024) { self.least = least }

    var bytes: Int { used.load(ordering: .relaxed) }

    func share() -> BodyShare { BodyShare(self) }
}

/// One body's part of the memory. Given back when nobody holds the share any more.
final class BodyShare: Sendable {
    private let memory: BodyMemory
    private let size = Atomic<Int>(0)

    fileprivate init(_ memory: BodyMemory) { self.memory = memory }

    deinit { memory.used.subtract(size.load(ordering: .relaxed), ordering: .relaxed) }

    /// One caller at a time.
    /// - Parameters:
    ///   - bytes: what the body takes up now.
    ///   - largest: the largest body that is taken (`server.max_body_bytes`, a gigabyte at most).
    /// - Returns: whether there is room for it.
    func grow(to bytes: Int, largest: Int) -> Bool {
        let more = bytes - size.load(ordering: .relaxed)
        guard more > 0 else { return true }
        let used = memory.used.add(more, ordering: .relaxed).newValue
        guard used <= max(memory.least, BodyMemory.largestBodies * largest) else {
            memory.used.subtract(more, ordering: .relaxed)
            return false
        }
        size.add(more, ordering: .relaxed)
        return true
    }
}
