import Adaptors
package import Config
package import RouterCore
import Storage
import Synchronization

/// One validated configuration with the adaptors made from it and the prices that hold with it. Immutable: a request takes one at its start
/// and keeps it.
package final class GatewaySnapshot: Sendable {
    package let configuration: GatewayConfiguration
    private let providers: [String: any Provider]
    private let capabilities: [String: Set<Endpoint>]
    package let catalogue: Catalogue
    package let prices: PriceTable

    /// `builtinBaseURL` replaces `builtin:simulator`, once the simulator runs.
    package convenience init(_ configuration: GatewayConfiguration, builtinBaseURL: String? = nil) {
        self.init(configuration, builtinBaseURL: builtinBaseURL, catalogue: Catalogue(), prices: PriceTable())
    }

    /// - Parameter catalogue: vendors' lists; what they name beyond the files, and `prices` knows, is served as well.
    package init(_ configuration: GatewayConfiguration, builtinBaseURL: String?, catalogue: Catalogue, prices: PriceTable) {
        var configuration = catalogue.extending(configuration, prices)
        self.catalogue = catalogue
        self.prices = prices
        if let builtinBaseURL { configuration = Self.resolveBuiltin(configuration, builtinBaseURL) }
        self.configuration = configuration
        var providers: [String: any Provider] = [:]
        for spec in configuration.providers { providers[spec.name] = AdaptorRegistry.provider(for: spec) }
        self.providers = providers
        capabilities = providers.mapValues(\.capabilities)
    }

    /// The name in provider files for the demo upstream that runs inside this process.
    package static let builtinSimulator = "builtin:simulator"

    package static func needsBuiltin(_ configuration: GatewayConfiguration) -> Bool {
        configuration.routes.channels.contains {
            $0.isEnabled && ($0.baseURL ?? $0.provider.baseURL) == builtinSimulator
        }
    }

    private static func resolveBuiltin(_ configuration: GatewayConfiguration, _ url: String) -> GatewayConfiguration {
        var copy = configuration
        let channels = configuration.routes.channels.map { channel -> Channel in
            var channel = channel
            if channel.baseURL == builtinSimulator { channel.baseURL = url }
            if channel.provider.baseURL == builtinSimulator { channel.provider.baseURL = url }
            return channel
        }
        copy.routes = RouteTable(channels: channels, settings: configuration.routes.settings)
        return copy
    }

    package func provider(of channel: Channel) -> (any Provider)? { providers[channel.provider.name] }

    package func capabilities(of channel: Channel) -> Set<Endpoint> { capabilities[channel.provider.name] ?? [] }

    /// What routing asks of the adaptors. Prices are added where a request's wishes need them.
    package var routeFacts: RouteFacts {
        RouteFacts(
            endpoints: { self.capabilities(of: $0) },
            passesPreferencesOn: { self.provider(of: $0)?.passesPreferencesOn ?? false },
            cost: { self.cost($0, upstream: $1) })
    }

    /// Whether a vendor's list names a model that an enabled channel of this group would serve if it had a price.
    package func isListedUnpriced(_ model: String, group: String) -> Bool {
        configuration.routes.channels.contains { channel in
            channel.isEnabled && channel.groups.contains(group) && channel.takesAny(model)
                && catalogue.entry(channel.provider.name, model) != nil && prices.row(model)?.isActive != true
        }
    }

    package func ratio(ofGroup group: String) -> PriceRatio { configuration.groups[group] ?? .one }
}

/// The snapshot in force. Reload swaps it as a whole.
package final class SnapshotHolder: Sendable {
    private let current: Mutex<GatewaySnapshot>
    package init(_ snapshot: GatewaySnapshot) { current = Mutex(snapshot) }
    package var snapshot: GatewaySnapshot { current.withLock { $0 } }
    package func replace(_ snapshot: GatewaySnapshot) { current.withLock { $0 = snapshot } }
}
