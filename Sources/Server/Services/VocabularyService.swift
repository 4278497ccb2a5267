import GatewayState
import Logging
import ServiceLifecycle

/// Reads the vocabulary beside the first requests, then waits for the end.
struct VocabularyService: Service {
    let vocabulary: Vocabulary
    let logger: Logger

    func run() async throws {
        await Task.yield()
        vocabulary.load(logger)
        try? await gracefulShutdown()
    }
}
