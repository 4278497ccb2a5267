/// The front door's knowledge of the routes behind it, whose requests it limits and passes on.
package struct RoutesBehind: Sendable {
    /// Body classes by path template.
    var bounds: [String: BodyClass]
    /// The answer to a request that is refused at the door, in the error shape of those routes.
    var refusal: @Sendable (APIError) -> ClientAnswer

    package init(bounds: [String: BodyClass], refusal: @escaping @Sendable (APIError) -> ClientAnswer) {
        self.bounds = bounds
        self.refusal = refusal
    }
}
