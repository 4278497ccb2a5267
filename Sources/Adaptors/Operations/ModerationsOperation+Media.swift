import NIOCore
import RouterCore

extension ModerationsOperation: MediaOperation {
    static func share(
        of facts: OpenAIFacts, _ bytes: Span<UInt8>, root: Int, _ progress: inout AnswerProgress
    ) throws(UpstreamFailure) -> AnswerShare {
        guard JSONPath.member("results", of: root, bytes)?.kind == .array else { throw missing("results") }
        return .nothing
    }
}
