import RouterCore
import Synchronization

/// The ``ThinkingRates`` of this gateway, measured since its start.
final class ThinkingSpeed: Sendable {
    private let rates = Mutex(ThinkingRates())

    func tokensPerSecond(_ route: RouteCandidate) -> Int64? {
        rates.withLock { $0.tokensPerSecond(channelID: route.channel.id, model: route.upstreamModel) }
    }

    func measured(_ route: RouteCandidate, tokens: Int64, time: Duration) {
        rates.withLock {
            $0.measured(channelID: route.channel.id, model: route.upstreamModel, tokens: tokens, time: time)
        }
    }
}
