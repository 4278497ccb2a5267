public import Config
import GatewayState
public import RouterCore
import Transport

/// Asks a vendor what the account has cost, day by day.
public struct VendorActivity: Sendable {
    public struct Problem: Error, Sendable {
        public var message: String
    }

    private let configuration: GatewayConfiguration
    private static let limit = Duration.seconds(30)

    public init(configuration: GatewayConfiguration) { self.configuration = configuration }

    /// - Parameter key: nil = the key of the provider's first channel.
    /// - Throws: ``Problem``.
    public func days(provider name: String, key: Secret?) async throws -> [DailyCost] {
        let channels = configuration.routes.channels.filter { $0.provider.name == name }
        guard let channel = channels.first else {
            let known = Set(configuration.routes.channels.map(\.provider.name)).sorted().joined(separator: ", ")
            throw Problem(message: "no channel uses the provider '\(name)'; those in use: \(known)")
        }
        guard let provider = GatewaySnapshot(configuration, builtinBaseURL: nil).provider(of: channel),
            let call = provider.call(.activity, baseURL: channel.baseURL, key: key ?? channel.keys.first)
        else { throw Problem(message: "the provider '\(name)' has no report of its costs that this gateway can read") }
        let transport = try CurlTransport()
        do throws(TransportFailure) {
            let days = try await days(provider, call, transport, channel.proxy)
            await transport.shutdown()
            return days
        } catch {
            await transport.shutdown()
            throw Problem(message: "'\(name)' could not be asked for its costs: \(error.detail)")
        }
    }

    private func days(
        _ provider: any Provider, _ call: UpstreamRequest, _ transport: CurlTransport, _ proxy: Secret?
    ) async throws(TransportFailure) -> [DailyCost] {
        let (head, body) = try await VendorClient(transport: transport).call(call, proxy: proxy, within: Self.limit, atMost: 64 << 20)
        guard head.status == 200, let days = provider.activity(body) else {
            throw TransportFailure(.protocolViolation, "it answered \(head.status)")
        }
        return days
    }
}
