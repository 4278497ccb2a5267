package import GatewayState

/// The front door's knowledge of the routes behind it, whose requests it limits and passes on.
package struct RoutesBehind: Sendable {
    /// Body classes by path template.
    var bounds: [String: BodyClass]
    /// The answer to a request that is refused at the door, in the error shape of those routes.
    var refusal: @Sendable (APIError) -> ClientAnswer
    /// The session that a request of the console comes with, by the peer's address and the values of a header; or why it is refused.
    var session: Session

    package typealias Session = @Sendable (_ peer: String, _ header: (String) -> [String]) -> Result<KeyHash, APIError>

    package init(
        bounds: [String: BodyClass], session: @escaping Session, refusal: @escaping @Sendable (APIError) -> ClientAnswer
    ) {
        self.bounds = bounds
        self.session = session
        self.refusal = refusal
    }
}
