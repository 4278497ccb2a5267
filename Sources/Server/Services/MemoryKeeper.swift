import CPlatform
import Gateway
import ServiceLifecycle

/// Returns memory to the system: once after start-up, whose code is half of the resident memory at that time, and when many connections
/// have closed. glibc's allocator keeps freed memory between blocks that are still in use: after five thousand streams that is more than
/// everything else together, and an operator would take it for a leak.
final class MemoryKeeper: Service {
    private let connections: ClientConnectionCount

    private static let interval = Duration.milliseconds(500)
    /// Minimum number of closed connections: with fewer, the gain is not worth the milliseconds that it takes.
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
