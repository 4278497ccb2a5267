import Config
import Logging
import NIOCore
import Platform
import RouterCore
import ServiceLifecycle

/// The optional active probe of channels: a cheap call (the vendor's list of models) at an interval. A failure cools the key that was
/// used; a success ends the cool-downs that it disproves, so that the next request tries the channel.
struct ChannelProber: Service {
    let services: GatewayServices

    /// How often it is looked who is due.
    private static let tick = Duration.milliseconds(500)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                var due: [Int64: MonotonicInstant] = [:]
                while !Task.isCancelled {
                    try? await Task.sleep(for: Self.tick)
                    let now = services.clock.monotonic
                    let snapshot = services.snapshots.snapshot
                    for channel in snapshot.configuration.routes.channels where channel.isEnabled {
                        guard let probe = channel.probe, services.health.operatorSwitch(channel.id) != .disabled else { continue }
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
            services.health.probed(channelID: channel.id, keyIndex: index, failure: failure)
            services.metrics.probe(channelID: channel.id, result: failure?.kind.rawValue ?? "ok")
        }
    }

    /// - Returns: nil when the channel answered.
    private func ask(
        _ request: UpstreamRequest, _ channel: RouterCore.Channel, _ probe: RouterCore.Channel.Probe, _ provider: any Provider
    ) async -> UpstreamFailure? {
        let timeouts = AttemptTimeouts(
            connect: min(probe.timeout, .seconds(5)), firstByte: probe.timeout, firstContent: probe.timeout,
            idle: probe.timeout, total: probe.timeout)
        do throws(TransportFailure) {
            let response = try await services.transport.send(
                request, options: TransportOptions(timeouts: timeouts, proxy: channel.proxy), cancellation: UpstreamCancellation())
            var body = ByteBuffer()
            while let chunk = try await response.body.next() {
                // A list may be long; only errors are read.
                if body.readableBytes < 64 * 1024 { body.writeImmutableBuffer(chunk) }
            }
            if (200..<300).contains(response.head.status) { return nil }
            return provider.classify(response.head, body: body, now: services.clock.unixSeconds)
        } catch {
            let failure = UpstreamFailure(transport: error)
            return failure.source == .upstream ? failure : nil
        }
    }
}
