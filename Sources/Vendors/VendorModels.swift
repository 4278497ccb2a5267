import Config
package import GatewayState
import NIOCore
package import RouterCore

/// Asks a vendor which models it has, with a key that may not be in any channel yet.
package struct VendorModels: Sendable {
    package struct Problem: Error, Sendable {
        package var message: String
    }

    private let snapshot: GatewaySnapshot
    private let client: VendorClient

    private static let limit = Duration.seconds(30)
    private static let maxBytes = 16 << 20

    package init(snapshot: GatewaySnapshot, client: VendorClient) {
        self.snapshot = snapshot
        self.client = client
    }

    /// - Parameters:
    ///   - spec: the provider.
    ///   - baseURL: nil = the provider's.
    /// - Throws: ``Problem`` in words that have no secret.
    package func list(_ spec: ProviderSpec, key: Secret?, baseURL: String?, proxy: Secret?) async throws(Problem) -> [ListedModel] {
        let channel = RouterCore.Channel(id: 0, name: "", provider: spec, keys: [], models: [])
        guard let provider = snapshot.provider(of: channel), let call = provider.call(.listModels, baseURL: baseURL, key: key) else {
            throw Problem(message: "the provider '\(spec.name)' has no list of models that this gateway can read")
        }
        let head: UpstreamHead
        let body: ByteBuffer
        do throws(TransportFailure) {
            (head, body) = try await client.call(call, proxy: proxy, within: Self.limit, atMost: Self.maxBytes, isFresh: true)
        } catch {
            throw Problem(message: "'\(spec.name)' could not be asked for its models: \(error.detail)")
        }
        switch head.status {
        case 200: break
        case 401, 403: throw Problem(message: "'\(spec.name)' refuses this key (it answered \(head.status))")
        default: throw Problem(message: "'\(spec.name)' answered \(head.status) when it was asked for its models")
        }
        guard let models = provider.models(body) else {
            throw Problem(message: "'\(spec.name)' answered with something that is no list of models")
        }
        return models
    }
}
