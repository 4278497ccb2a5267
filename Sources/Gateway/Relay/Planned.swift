import RouterCore

/// The result of step 3: the candidates in order, and the settings for trying them.
struct Planned: Sendable {
    var candidates: [RouteCandidate]
    var policy: RoutePolicy
    var preferences: ClientPreferences?
    /// Tokens that one attempt counts against a channel's tokens per minute.
    var tokens: Int64
    /// For Responses; nil where no state is concerned.
    var state: ResponseState?
}
