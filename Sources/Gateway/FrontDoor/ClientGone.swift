/// The client has closed its connection.
struct ClientGone: Error, Sendable {}
