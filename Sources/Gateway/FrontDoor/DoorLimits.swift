import NIOCore

/// The required speed of a body: a number of bytes in each time window, and the whole body within a longer one. A client that is slow but
/// steady may continue; one that only occupies its place may not.
struct ArrivalLimit: Sendable {
    var window: TimeAmount
    /// Minimum number of bytes per window.
    var bytes: Int
    var whole: TimeAmount

    /// The whole body within one window.
    static func within(_ time: TimeAmount) -> ArrivalLimit { ArrivalLimit(window: time, bytes: .max, whole: time) }
}

/// The limits of one request's body, by its route.
struct BodyBound: Sendable {
    /// Maximum size in bytes; larger bodies are refused with 413.
    var bytes: Int
    /// Bodies up to this size do not count against ``BodyMemory``.
    var free: Int
    var arrival: ArrivalLimit
}

/// How long a client may take to send. While the gateway waits for a client, the connection takes up memory, or one of the permitted
/// connections.
package struct DoorLimits: Sendable {
    /// For the first head of a connection, which has served no request until then.
    var firstHead = TimeAmount.seconds(30)
    /// For a head, from its first byte on.
    var head = TimeAmount.seconds(15)
    /// Between requests, and while the client does not read an answer.
    var idle = TimeAmount.seconds(120)
    /// Bodies of model calls may be long; 16 KB in ten seconds is slower than any usable network.
    var call = ArrivalLimit(window: .seconds(10), bytes: 16 * 1024, whole: .minutes(10))
    var management = ArrivalLimit.within(.seconds(20))
    var login = ArrivalLimit.within(.seconds(10))
    /// Limits for the body of a refused request, which is discarded.
    var discarded = ArrivalLimit(window: .seconds(10), bytes: 16 * 1024, whole: .seconds(60))
    var maximumDiscarded = 16 * 1024 * 1024
    /// Maximum size in bytes of a request's head, with all its fields.
    package static let headBytes = 32 * 1024

    package init() {}

    func bound(_ body: BodyClass, largest: Int) -> BodyBound {
        switch body {
        case .modelCall, .upload: BodyBound(bytes: largest, free: BodyMemory.free, arrival: call)
        case .management:
            BodyBound(bytes: BodyClass.managementBytes, free: BodyMemory.freeForStrangers, arrival: management)
        case .document: BodyBound(bytes: BodyClass.documentBytes, free: BodyMemory.freeForStrangers, arrival: management)
        case .login: BodyBound(bytes: BodyClass.loginBytes, free: BodyMemory.freeForStrangers, arrival: login)
        }
    }
}
