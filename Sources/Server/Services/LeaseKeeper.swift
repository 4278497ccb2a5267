public import Logging
import RouterCore
public import ServiceLifecycle
import Storage

/// Keeps the gateway's leases in order behind the requests: renews them before they run out, gives idle ones back so that other gateways can
/// use the money, and reads again what others have charged to shared budgets.
public final class LeaseKeeper: Service {
    private let meter: Meter
    private let logger: Logger

    private static let interval = Duration.seconds(1)
    private static let tidying = Duration.seconds(300)
    /// A lease that no request has used for this long is given back.
    private static let idle = Duration.seconds(10)
    /// Part of the lifetime after which leases are renewed; three more chances remain then.
    private static let renewals: Int64 = 4

    public init(meter: Meter, logger: Logger) {
        self.meter = meter
        self.logger = logger
    }

    public func run() async throws {
        // The only gateway of its ledger leases everything and for good; only its memory has to be kept tidy.
        guard !meter.holder.isExclusive else {
            await cancelWhenGracefulShutdown {
                while !Task.isCancelled {
                    try? await Task.sleep(for: Self.tidying)
                    self.meter.forgetIdle(Self.idle)
                }
            }
            return
        }
        await cancelWhenGracefulShutdown {
            var ticks: Int64 = 0
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                if Task.isCancelled { return }
                ticks += 1
                await self.tick(renews: ticks % max(1, self.meter.holder.lifetime / Self.renewals) == 0)
            }
        }
        await attempt("leases could not be given back; they end by themselves") { try await self.meter.giveBackIdle(.zero) }
    }

    private func tick(renews: Bool) async {
        if renews { await attempt("leases could not be renewed") { try await self.meter.renew() } }
        await attempt("idle leases could not be given back") { try await self.meter.giveBackIdle(Self.idle) }
        await attempt("budgets could not be read again") { try await self.meter.refreshSpending() }
    }

    private func attempt(_ what: String, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            // The poster tells when the database is away; this would say it again every second.
            logger.debug("\(what)", metadata: ["error": "\(error)"])
        }
    }
}
