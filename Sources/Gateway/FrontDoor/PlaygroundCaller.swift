package import GatewayState
import RouterCore

/// Whoever calls a model from the console: a session instead of a key. One object, so that other requests carry a pointer's worth of it.
package final class PlaygroundCaller: Sendable {
    /// The session, or why there is none.
    let session: Result<KeyHash, APIError>

    package init(_ session: Result<KeyHash, APIError>) { self.session = session }
}
