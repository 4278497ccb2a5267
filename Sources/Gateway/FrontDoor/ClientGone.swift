package import NIOCore

/// The client has closed its connection.
package struct ClientGone: Error, Sendable {
    package init() {}
}

extension Channel {
    /// Whether the client has closed its side, for routes behind the front door that may have nothing to write for a long time.
    package func clientHasLeft() async -> Bool {
        guard isActive else { return true }
        let isClosed = eventLoop.submit { try self.pipeline.syncOperations.handler(type: FrontDoorHandler.self).isInputClosed }
        return (try? await isClosed.get()) ?? false
    }
}
