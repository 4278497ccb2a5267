import Foundation
package import Logging
package import RouterCore
import Synchronization

/// The vocabulary that counts tokens where no vendor has (docs/token-counting.md). Read in the background when the gateway starts; until
/// then, and where the file is missing, counts are estimates.
package final class Vocabulary: Sendable {
    private let loaded = Mutex<BPEVocabulary?>(nil)
    private let path: String?

    package static let fileName = "o200k_base.tokens"

    /// - Parameter path: of the file; nil = there is none.
    package init(path: String?) { self.path = path }

    /// nil while there is none.
    package var tokens: BPEVocabulary? { loaded.withLock { $0 } }

    /// Where the file is: `APIROUTER_TOKENIZERS_DIR`, `./tokenizers`, `../share/apirouter/tokenizers` of the executable, or a `tokenizers`
    /// folder in one of the executable's parent folders (a build tree).
    package static func locate(_ environment: [String: String]) -> String? {
        var candidates = [environment["APIROUTER_TOKENIZERS_DIR"] ?? "", "tokenizers"].filter { !$0.isEmpty }
        var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        candidates.append(folder.deletingLastPathComponent().appendingPathComponent("share/apirouter/tokenizers").path)
        for _ in 0..<8 where folder.path != "/" {
            candidates.append(folder.appendingPathComponent("tokenizers").path)
            folder.deleteLastPathComponent()
        }
        return candidates.map { "\($0)/\(fileName)" }.first { FileManager.default.fileExists(atPath: $0) }
    }

    package func load(_ logger: Logger) {
        guard let path else {
            logger.notice(
                "no vocabulary: tokens that no vendor counts are estimated", metadata: ["file": "tokenizers/\(Self.fileName)"])
            return
        }
        do {
            let file = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            let vocabulary = try BPEVocabulary(file.span)
            loaded.withLock { $0 = vocabulary }
        } catch {
            logger.warning(
                "the vocabulary cannot be read: tokens that no vendor counts are estimated",
                metadata: ["file": "\(path)", "error": "\(error)"])
        }
    }
}
