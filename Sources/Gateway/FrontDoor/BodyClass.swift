/// How much a request may send, and how fast it has to come (``DoorLimits``).
package enum BodyClass: Sendable {
    /// Names and passwords, from anybody.
    case login
    /// What the management API takes.
    case management
    /// `server.max_body_bytes`, from whoever has a key.
    case modelCall

    package static let loginBytes = 8 * 1024
    package static let managementBytes = 64 * 1024
}
