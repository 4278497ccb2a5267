/// What strict admission takes of a request: the members of its body, and the shapes that they name.
struct StrictRequestShape: Sendable {
    var body: [String: StrictShape]
    var named: [String: StrictShape] = [:]
}
