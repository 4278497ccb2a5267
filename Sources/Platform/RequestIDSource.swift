public import RouterCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Makes request ids. The random bits come from the system's generator, many at a time: each look into it is a system call.
public final class RequestIDSource: Sendable {
    private let clock: ServerClock
    private let random = Mutex<[UInt64]>([])
    /// As many as the system gives in one call.
    private static let words = 32

    public init(clock: ServerClock) { self.clock = clock }

    public func next() -> RequestID {
        let (high, low) = random.withLock { words in
            if words.count < 2 { words = Self.fresh() }
            return (words.removeLast(), words.removeLast())
        }
        return RequestID(unixMilliseconds: clock.unixMilliseconds, randomHigh: UInt16(truncatingIfNeeded: high), randomLow: low)
    }

    private static func fresh() -> [UInt64] {
        var words = [UInt64](repeating: 0, count: Self.words)
        let isFilled = words.withUnsafeMutableBytes { $0.baseAddress.map { [count = $0.count] in getentropy($0, count) == 0 } ?? false }
        if isFilled { return words }
        var generator = SystemRandomNumberGenerator()
        return words.map { _ in generator.next() }
    }
}
