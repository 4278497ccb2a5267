import Config
package import GatewayState
package import NIOCore
package import RouterCore

/// Responses that vendors keep, asked for with the key that made them.
package struct VendorResponses: Sendable {
    private let snapshots: SnapshotHolder
    private let client: VendorClient

    package init(snapshots: SnapshotHolder, client: VendorClient) {
        self.snapshots = snapshots
        self.client = client
    }

    package enum Outcome: Sendable {
        case answer(ByteBuffer)
        /// The vendor does not have it (any more).
        case unknown
        /// The channel or its key is gone.
        case outOfReach
        case failed(UpstreamFailure)
    }

    private static let limit = Duration.seconds(60)
    /// The largest answer in bytes: that of a model call.
    private static let maximumBytes = 64 << 20

    /// - Parameter now: Unix seconds.
    package func call(_ verb: ResponseCall, _ response: StoredResponse, now: Int64) async -> Outcome {
        let snapshot = snapshots.snapshot
        guard let channel = snapshot.configuration.routes.channel(id: response.channelID), channel.isEnabled,
            let provider = snapshot.provider(of: channel), let pin = RoutePin(channel, keyFingerprint: response.keyFingerprint)
        else { return .outOfReach }
        let key = pin.keyIndex >= 0 ? channel.keys[pin.keyIndex] : nil
        let base = channel.baseURL ?? channel.provider.baseURL
        guard let request = provider.call(.response(id: response.key.id, verb), baseURL: base, key: key) else { return .outOfReach }
        do throws(TransportFailure) {
            let (head, body) = try await client.call(request, proxy: channel.proxy, within: Self.limit, atMost: Self.maximumBytes)
            if (200..<300).contains(head.status) { return .answer(Self.named(body, response)) }
            if head.status == 404 { return .unknown }
            return .failed(provider.classify(head, body: body, now: now))
        } catch {
            return .failed(UpstreamFailure(transport: error))
        }
    }

    /// The model under its public name, where the channel has another one for it.
    private static func named(_ body: ByteBuffer, _ response: StoredResponse) -> ByteBuffer {
        guard response.upstreamModel != response.model else { return body }
        let bytes = body.readableBytesUInt8Span
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        guard let member = JSONPath.member("model", of: start, bytes), member.kind == .string else { return body }
        var splice = BodySplice()
        splice.replace(member.value, with: JSONValue.string(response.model).text)
        return splice.applied(to: body)
    }
}
