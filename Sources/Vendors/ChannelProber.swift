import Config
package import GatewayState
import NIOCore
package import Platform
import RouterCore
import ServiceLifecycle

/// The optional active probe of channels: a cheap call (the vendor's list of models) at an interval. A failure cools the key that was
/// used; a success ends the cool-downs that it disproves, so that the next request tries the channel.
package struct ChannelProber: Service {
    private let snapshots: SnapshotHolder
    private let health: HealthRegistry
    private let client: VendorClient
    private let clock: ServerClock
    /// Told what came of each probe: the channel's id, and `ok` or the kind of the failure.
    private let report: @Sendable (Int64, String) -> Void

    package init(
        snapshots: SnapshotHolder, health: HealthRegistry, client: VendorClient, clock: ServerClock,
        report: @escaping @Sendable (Int64, String) -> Void
    ) {
        self.snapshots = snapshots
        self.health = health
        self.client = client
        self.clock = clock
        self.report = report
    }

    /// How often it is looked who is due.
    private static let tick = Duration.milliseconds(500)

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                var due: [Int64: MonotonicInstant] = [:]
                while !Task.isCancelled {
                    try? await Task.sleep(for: Self.tick)
                    let now = clock.monotonic
                    let snapshot = snapshots.snapshot
                    for channel in snapshot.configuration.routes.channels where channel.isEnabled {
                        guard let probe = channel.probe, health.operatorSwitch(channel.id) != .disabled else { continue }
                        guard due[channel.id] ?? now <= now else { continue }
                        // Not before the last one has ended, even if the interval is shorter.
                        due[channel.id] = now.advanced(by: max(probe.interval, probe.timeout))
                        group.addTask { await self.probe(channel, probe, snapshot) }
                    }
                }
            }
        }
    }

    private func probe(_ channel: RouterCore.Channel, _ probe: RouterCore.Channel.Probe, _ snapshot: GatewaySnapshot) async {
        guard let provider = snapshot.provider(of: channel) else { return }
        for index in channel.keys.isEmpty ? -1..<0 : 0..<channel.keys.count {
            let key = index >= 0 ? channel.keys[index] : nil
            guard let request = provider.call(.listModels, baseURL: channel.baseURL, key: key) else { return }
            let failure = await ask(request, channel, probe, provider)
            guard !Task.isCancelled else { return }
            health.probed(channelID: channel.id, keyIndex: index, failure: failure)
            report(channel.id, failure?.kind.rawValue ?? "ok")
        }
    }

    /// - Returns: nil when the channel answered.
    private func ask(
        _ request: UpstreamRequest, _ channel: RouterCore.Channel, _ probe: RouterCore.Channel.Probe, _ provider: any Provider
    ) async -> UpstreamFailure? {
        do throws(TransportFailure) {
            // A list may be long; only errors are read.
            let (head, body) = try await client.call(request, proxy: channel.proxy, within: probe.timeout, atMost: 64 * 1024)
            if (200..<300).contains(head.status) { return nil }
            return provider.classify(head, body: body, now: clock.unixSeconds)
        } catch {
            let failure = UpstreamFailure(transport: error)
            return failure.source == .upstream ? failure : nil
        }
    }
}
