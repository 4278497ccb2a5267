package import GatewayState
package import Logging
package import Platform
import RouterCore

/// Looks up, in memory, the API key that a request presents.
package struct KeyCheck: Sendable {
    /// The kinds of keys that a call takes.
    package enum Use: Sendable {
        /// Those that call models; a management key is refused.
        case modelCalls
        /// Management keys only.
        case management
        case either
    }

    private let keys: KeyDirectory
    private let clock: ServerClock
    private let logger: Logger

    package init(keys: KeyDirectory, clock: ServerClock, logger: Logger) {
        self.keys = keys
        self.clock = clock
        self.logger = logger
    }

    /// - Parameters:
    ///   - presented: the key that ``PresentedKey`` found.
    ///   - clientIP: the client's address, as far as it can be trusted.
    ///   - use: which keys are taken.
    /// - Throws: ``APIError`` 401 or 403.
    package func principal(presented: String?, clientIP: String, for use: Use = .modelCalls) throws -> KeyPrincipal {
        switch keys.lookup(presentedKey: presented, now: clock.unixSeconds) {
        case .failure(.limitsUnreadable(let scope, let problem)): throw unreadable(scope, problem)
        case .failure(let refusal): throw APIError.invalidKey(refusal.message)
        case .success(let principal):
            guard principal.allows(address: clientIP) else { throw APIError.addressNotAllowed(clientIP) }
            switch use {
            case .modelCalls where principal.isManagement: throw APIError.managementKey()
            case .management where !principal.isManagement: throw APIError.managementKeyRequired()
            case .modelCalls, .management, .either: break
            }
            return principal
        }
    }

    /// The user of a session that is open for model calls.
    /// - Throws: ``APIError`` 401 `playground_closed` for one that is not, 403.
    func principal(session: KeyHash) throws -> KeyPrincipal {
        switch keys.lookup(session: session, now: clock.unixSeconds) {
        case .failure(.limitsUnreadable(let scope, let problem)): throw unreadable(scope, problem)
        case .failure: throw APIError.playgroundClosed()
        case .success(let principal): return principal
        }
    }

    private func unreadable(_ scope: BudgetScope, _ problem: LimitProblem) -> APIError {
        logger.error(
            "stored limits cannot be read; the key is not served", metadata: ["limits_of": "\(scope)", "problem": "\(problem.message)"])
        return .limitsUnreadable(scope.kind)
    }
}
