import NIOCore

/// How a body has to come: so many bytes in each stretch of time, and all of it within another. A client that is slow
/// but steady goes on; one that only keeps its place does not.
struct ArrivalLimit: Sendable {
    var window: TimeAmount
    /// In each window.
    var bytes: Int
    var whole: TimeAmount

    /// All of it within one window.
    static func within(_ time: TimeAmount) -> ArrivalLimit { ArrivalLimit(window: time, bytes: .max, whole: time) }
}

/// What one request may send, by its route.
struct BodyBound: Sendable {
    /// More is refused with 413.
    var bytes: Int
    /// Up to this a body does not count against ``BodyMemory``.
    var free: Int
    var arrival: ArrivalLimit
}

/// How long a client may take for what it sends. Everything that it is waited for takes up memory, or a place among the
/// connections.
package struct DoorLimits: Sendable {
    /// For the first head of a connection, which is open for nothing until then.
    var firstHead = TimeAmount.seconds(30)
    /// For a head, from its first bytes on.
    var head = TimeAmount.seconds(15)
    /// Between requests, and while an answer is not taken.
    var idle = TimeAmount.seconds(120)
    /// Bodies of model calls may be long: 16 KB in ten seconds is less than any network that still is one.
    var call = ArrivalLimit(window: .seconds(10), bytes: 16 * 1024, whole: .minutes(10))
    var management = ArrivalLimit.within(.seconds(20))
    var login = ArrivalLimit.within(.seconds(10))
    /// Bounds of a body that nobody wants.
    var discarded = ArrivalLimit(window: .seconds(10), bytes: 16 * 1024, whole: .seconds(60))
    var maximumDiscarded = 16 * 1024 * 1024
    /// A request's head, with all its fields.
    package static let headBytes = 32 * 1024

    package init() {}

    func bound(_ body: BodyClass, largest: Int) -> BodyBound {
        switch body {
        case .modelCall: BodyBound(bytes: largest, free: BodyMemory.free, arrival: call)
        case .management:
            BodyBound(bytes: BodyClass.managementBytes, free: BodyMemory.freeForStrangers, arrival: management)
        case .login: BodyBound(bytes: BodyClass.loginBytes, free: BodyMemory.freeForStrangers, arrival: login)
        }
    }
}
