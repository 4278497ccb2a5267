/// The requests that strict admission accepts: the members of the body, and the named shapes that they refer to.
struct StrictRequestShape: Sendable {
    var body: [String: StrictShape]
    var named: [String: StrictShape] = [:]
}
