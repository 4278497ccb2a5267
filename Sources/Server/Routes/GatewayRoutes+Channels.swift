import Gateway
import HTTPTypes
import RouterCore

extension GatewayRoutes {
    /// Channels, providers and secrets.
    static let channels: [Route] = {
        typealias Texts = ChannelDescriptions
        let channel = "/api/channel/{id}"
        let provider = "/api/provider/{name}"
        let secret = "/api/secret/{name}"
        return [
            Route(.get, "/api/channel", .admin, Texts.list, \.channels, ChannelHandlers.list),
            Route(.post, "/api/channel", .admin, Texts.create, \.channelConsole, ChannelConsoleHandlers.create),
            Route(.post, "/api/channel/check", .admin, Texts.check, \.channelConsole, ChannelConsoleHandlers.check),
            Route(.post, "/api/channel/models", .admin, Texts.fetchModels, \.channelConsole, ChannelConsoleHandlers.models),
            Route(.get, channel, .admin, Texts.one, \.channelConsole, ChannelConsoleHandlers.one),
            Route(.put, channel, .admin, Texts.change, \.channelConsole, ChannelConsoleHandlers.change),
            Route(.delete, channel, .admin, Texts.delete, \.channelConsole, ChannelConsoleHandlers.remove),
            Route(.get, "\(channel)/export", .admin, Texts.export, \.channelConsole, ChannelConsoleHandlers.export),
            Route(.post, "\(channel)/enable", .admin, OperationDescriptions.enable) { try await $0.channels.turn(.on, $1, $2) },
            Route(.post, "\(channel)/disable", .admin, OperationDescriptions.disable) { try await $0.channels.turn(.disabled, $1, $2) },
            Route(.post, "\(channel)/drain", .admin, OperationDescriptions.drain) { try await $0.channels.turn(.draining, $1, $2) },
            Route(.post, "\(channel)/test", .admin, OperationDescriptions.test, \.channels, ChannelHandlers.test),
            // The changes come first: the size of a body is bounded by its path, whatever the method. Models may be many.
            Route(.post, "/api/provider", .root, body: .document, ProviderDescriptions.create, \.providers, ProviderHandlers.create),
            Route(.get, "/api/provider", .admin, ProviderDescriptions.list, \.providers, ProviderHandlers.list),
            Route(.put, provider, .root, body: .document, ProviderDescriptions.change, \.providers, ProviderHandlers.change),
            Route(.get, provider, .admin, ProviderDescriptions.one, \.providers, ProviderHandlers.one),
            Route(.delete, provider, .root, ProviderDescriptions.delete, \.providers, ProviderHandlers.remove),
            Route(.get, "/api/secret", .root, SecretDescriptions.list, \.secrets, SecretHandlers.list),
            Route(.put, secret, .admin, SecretDescriptions.set, \.secrets, SecretHandlers.set),
            Route(.delete, secret, .root, SecretDescriptions.delete, \.secrets, SecretHandlers.remove),
        ]
    }()
}
