import GatewayState
import Logging
import ServiceLifecycle

/// Loads the vocabulary while the first requests are served, then waits for shutdown.
struct VocabularyService: Service {
    let vocabulary: Vocabulary
    let logger: Logger

    func run() async throws {
        await Task.yield()
        vocabulary.load(logger)
        try? await gracefulShutdown()
    }
}
