/// The classes of request bodies, by maximum size and required speed (``DoorLimits``).
package enum BodyClass: Sendable {
    /// Names and passwords, from clients without credentials.
    case login
    /// Bodies for the management API.
    case management
    /// Bodies for the management API that hold a whole file of the configuration.
    case document
    /// Bodies up to `server.max_body_bytes`, from clients with an API key.
    case modelCall
    /// The same for files, on a route behind: the key is checked before the body is read.
    case upload

    package static let loginBytes = 8 * 1024
    package static let managementBytes = 64 * 1024
    package static let documentBytes = 1024 * 1024
}
