import NIOCore
import RouterCore

/// An edited picture comes as one that is made from words does.
extension ImageEditsOperation: MediaOperation {
    static func share(
        of facts: OpenAIFacts, _ bytes: Span<UInt8>, root: Int, _ progress: inout AnswerProgress
    ) throws(UpstreamFailure) -> AnswerShare {
        try ImagesOperation.share(of: facts, bytes, root: root, &progress)
    }

    static func complete(_ reading: inout MediaUsage.Reading, from told: MediaUsage.Told, own: Usage, price: ModelPrice) {
        ImagesOperation.complete(&reading, from: told, own: own, price: price)
    }

    static func end(_ share: inout AnswerShare, of request: RequestEnvelope) -> Bool { ImagesOperation.end(&share, of: request) }
}
