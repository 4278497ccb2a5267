import Gateway
import HTTPTypes
import Hummingbird

/// An address of the console: a page or a file for browsers, which is no part of the API.
struct PageRoute: Sendable {
    /// Hummingbird's path syntax.
    let path: String
    let serve: @Sendable (ConsolePages) -> @Sendable (Request, GatewayContext) async throws -> Response

    static let methods: [HTTPRequest.Method] = [.get, .head]
}

extension GatewayRoutes {
    /// All of them are open: they show nothing of the gateway's data.
    static let pages: [PageRoute] =
        ["/", "/login", "/register", "/models", "/models/**", "/console", "/console/**"].map {
            PageRoute(path: $0, serve: ConsolePages.shell)
        } + [
            PageRoute(path: "/assets/**", serve: ConsolePages.asset),
            PageRoute(path: "/favicon.ico", serve: ConsolePages.icon),
            PageRoute(path: "/robots.txt", serve: ConsolePages.robots),
        ]
}
