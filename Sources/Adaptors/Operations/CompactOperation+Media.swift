import NIOCore
import RouterCore

extension CompactOperation: MediaOperation {
    static func share(
        of facts: OpenAIFacts, _ bytes: Span<UInt8>, root: Int, _ progress: inout AnswerProgress
    ) throws(UpstreamFailure) -> AnswerShare {
        guard JSONPath.member("output", of: root, bytes)?.kind == .array else { throw missing("output") }
        return .nothing
    }
}
