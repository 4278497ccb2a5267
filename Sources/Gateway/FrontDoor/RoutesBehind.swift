/// What the front door has to know of the routes behind it, which it bounds and passes on.
package struct RoutesBehind: Sendable {
    /// Bounds of bodies by path template.
    var bounds: [String: BodyClass]
    /// The answer to a request that is refused at the door, in the shape of those routes' errors.
    var refusal: @Sendable (APIError) -> ClientAnswer

    package init(bounds: [String: BodyClass], refusal: @escaping @Sendable (APIError) -> ClientAnswer) {
        self.bounds = bounds
        self.refusal = refusal
    }
}
