import RouterCore

/// What step 3 hands on: the candidates in order, and under which settings they are tried.
struct Planned: Sendable {
    var candidates: [RouteCandidate]
    var policy: RoutePolicy
    var preferences: ClientPreferences?
    /// What one attempt counts against a channel's tokens per minute.
    var tokens: Int64
}
