import NIOCore
import RouterCore

extension ImagesOperation: MediaOperation {
    static func share(
        of facts: OpenAIFacts, _ bytes: Span<UInt8>, root: Int, _ progress: inout AnswerProgress
    ) throws(UpstreamFailure) -> AnswerShare {
        var share = AnswerShare()
        if let data = facts.data, data.kind == .array, var cursor = try? JSONArrayCursor(bytes, at: data.value.lowerBound) {
            while let element = try? cursor.next(bytes) {
                if element.kind == .object { share.images += 1 }
            }
        }
        guard share.images > 0 else { throw missing("data") }
        return share
    }

    static func complete(_ reading: inout MediaUsage.Reading, from told: MediaUsage.Told, own: Usage, price: ModelPrice) {
        reading.usage.images = told.share.images
    }

    /// Each picture has an event of its own.
    static func end(_ share: inout AnswerShare, of request: RequestEnvelope) -> Bool {
        share.images += 1
        return share.images >= request.choices
    }
}
