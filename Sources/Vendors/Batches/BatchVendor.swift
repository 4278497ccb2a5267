import NIOCore
package import Platform
package import RouterCore

/// The calls about files and batches, at one place.
package struct BatchVendor: Sendable {
    private let place: BatchPlace
    private let client: VendorClient
    private let clock: ServerClock

    package init(_ place: BatchPlace, client: VendorClient, clock: ServerClock) {
        self.place = place
        self.client = client
        self.clock = clock
    }

    /// For answers that are objects.
    static let limit = Duration.seconds(60)
    /// For files, in either direction.
    static let fileLimit = Duration.seconds(600)
    /// A page of a hundred batches with their metadata is far smaller.
    private static let largestAnswer = 4 << 20

    /// - Throws: ``UpstreamFailure``; its status is the vendor's where the vendor has answered.
    package func object(_ call: BatchCall, within limit: Duration = Self.limit) async throws(UpstreamFailure) -> JSONValue {
        let response = try await open(call, within: limit)
        let body: ByteBuffer
        do throws(TransportFailure) {
            body = try await VendorClient.read(response, atMost: Self.largestAnswer)
        } catch {
            throw UpstreamFailure(transport: error)
        }
        guard let json = try? JSONValue(parsing: body), case .object = json else {
            throw UpstreamFailure(kind: .malformed, detail: "the answer about a file or batch is no JSON object")
        }
        return json
    }

    /// The body of a successful answer. - Throws: as ``object(_:within:)``.
    package func open(_ call: BatchCall, within limit: Duration = Self.fileLimit) async throws(UpstreamFailure) -> any UpstreamBody {
        guard let request = place.provider.call(call, channel: place.channel.value, key: place.key) else {
            throw UpstreamFailure(
                source: .gateway, kind: .invalidRequest, detail: "provider \(place.channel.value.provider.name) has no such call")
        }
        let head: UpstreamHead
        let refusal: ByteBuffer
        do throws(TransportFailure) {
            let response = try await client.open(request, proxy: place.channel.value.proxy, within: limit)
            if (200..<300).contains(response.head.status) { return response.body }
            head = response.head
            refusal = try await VendorClient.read(response.body, atMost: 1 << 16)
        } catch {
            throw UpstreamFailure(transport: error)
        }
        var failure = place.provider.classify(head, body: refusal, now: clock.unixSeconds)
        failure.status = head.status
        throw failure
    }
}

extension UpstreamFailure {
    /// The vendor has not done what it was asked for: it says so, or was never reached. Everything else leaves that open.
    package var isDefinite: Bool {
        if let status { return (400..<500).contains(status) && status != 408 }
        // A gateway that shuts down, or stops a call, may have sent it before.
        return kind == .connect || source == .gateway && kind != .cancelled && kind != .overloaded
    }
}
