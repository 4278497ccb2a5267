import CPlatform
import ServiceLifecycle

/// Gives memory back to the system when a crowd has left. glibc's allocator keeps what it once had between the pieces that are still in use: after
/// five thousand streams that is more than everything else together, and an operator would take it for a leak.
final class MemoryKeeper: Service {
    private let connections: ClientConnectionCount

    private static let interval = Duration.milliseconds(500)
    /// Fewer connections than these leave nothing worth the milliseconds that looking takes.
    private static let crowd = 100

    init(connections: ClientConnectionCount) { self.connections = connections }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var most = 0
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                let now = self.connections.value
                most = max(most, now)
                guard most - now >= Self.crowd, now < most / 2 else { continue }
                apir_give_back_memory()
                most = now
            }
        }
    }
}
