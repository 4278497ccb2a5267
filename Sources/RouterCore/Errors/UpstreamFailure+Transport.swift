extension UpstreamFailure {
    package static let clientGone = UpstreamFailure(source: .downstream, kind: .cancelled, retry: .no, detail: "the client left")

    /// A failure below HTTP, in the router's words. TCP and TLS failures count against the endpoint's health.
    package init(transport failure: TransportFailure, clientGone: Bool = false) {
        let kind: FailureKind
        switch failure.kind {
        case .resolve, .connect, .tls, .proxy, .connectTimeout: kind = .connect
        case .closedBeforeHead: kind = .connectionReset
        case .firstByteTimeout, .idleTimeout, .totalTimeout: kind = .timeout
        case .closedInBody: kind = .truncated
        case .headersTooLarge, .protocolViolation: kind = .malformed
        case .cancelled:
            self =
                clientGone
                ? .clientGone
                : UpstreamFailure(source: .gateway, kind: .cancelled, retry: .no, detail: failure.detail)
            return
        case .shutdown:
            self = UpstreamFailure(
                source: .gateway, kind: .overloaded, retry: .no, detail: "the gateway is shutting down")
            return
        case .exhausted:
            self = UpstreamFailure(source: .gateway, kind: .overloaded, retry: .no, detail: failure.detail)
            return
        case .other: kind = .server
        }
        self.init(kind: kind, detail: "\(failure.kind.rawValue): \(failure.detail)")
        // A kept connection that is dead says nothing of the vendor's health; the request may have been read, so this
        // counts as an attempt.
        if failure.wasKept {
            source = .gateway
            retry = .sameChannel
        }
    }
}
