/// Limits of a key or of a user that cannot be used, with what is allowed.
package struct LimitProblem: Error, Sendable {
    package var message: String
    /// They could be read, and whoever asked may not set them.
    package var isForbidden: Bool

    package init(_ message: String, isForbidden: Bool = false) {
        self.message = message
        self.isForbidden = isForbidden
    }
}
