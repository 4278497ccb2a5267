import CPlatform
public import RouterCore

/// The only place where the Server asks for the time, so that tests can give another one.
public struct ServerClock: Sendable {
    private let readWall: @Sendable () -> (seconds: Int64, nanoseconds: Int64)
    private let readMonotonic: @Sendable () -> MonotonicInstant

    public init(
        wall: @escaping @Sendable () -> (seconds: Int64, nanoseconds: Int64),
        monotonic: @escaping @Sendable () -> MonotonicInstant
    ) {
        readWall = wall
        readMonotonic = monotonic
    }

    public static let system = ServerClock(
        wall: {
            let (seconds, nanoseconds) = apir_wall_nanoseconds().quotientAndRemainder(dividingBy: 1_000_000_000)
            return (seconds, nanoseconds)
        },
        monotonic: { MonotonicInstant(nanoseconds: apir_steady_nanoseconds()) })

    /// Unix seconds, UTC.
    public var unixSeconds: Int64 { readWall().seconds }
    /// Unix milliseconds, UTC.
    public var unixMilliseconds: Int64 {
        let time = readWall()
        return time.seconds * 1000 + time.nanoseconds / 1_000_000
    }
    public var monotonic: MonotonicInstant { readMonotonic() }
}
