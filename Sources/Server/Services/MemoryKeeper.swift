import CPlatform
import Gateway
import ServiceLifecycle

/// Gives memory back to the system: once after the start, whose code is half of what is resident then, and when a crowd has left. glibc's
/// allocator keeps what it once had between the pieces that are still in use: after five thousand streams that is more than everything else
/// together, and an operator would take it for a leak.
final class MemoryKeeper: Service {
    private let connections: ClientConnectionCount

    private static let interval = Duration.milliseconds(500)
    /// Fewer connections than these leave nothing worth the milliseconds that looking takes.
    private static let crowd = 100

    init(connections: ClientConnectionCount) { self.connections = connections }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            try? await Task.sleep(for: Self.interval)
            apir_let_go_of_code()
            apir_give_back_memory()
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
