import NIOCore

/// Documents ordered by relevance, in Cohere's and Jina's shape (`/rerank`, https://docs.cohere.com/reference/rerank).
public enum RerankOperation: Operation {
    static func read(_ request: inout RequestEnvelope, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection) {
        guard let documents = request.member("documents") else {
            throw RequestEnvelope.Rejection("you must provide documents to rank", param: "documents")
        }
        guard documents.kind == .array, var cursor = try? JSONArrayCursor(bytes, at: documents.value.lowerBound) else {
            throw RequestEnvelope.Rejection("'documents' must be an array", param: "documents")
        }
        while let _ = try? cursor.next(bytes) { request.media.documents += 1 }
        guard let query = request.member("query") else {
            throw RequestEnvelope.Rejection("you must provide a query", param: "query")
        }
        request.media.queryTokens = Int64((query.value.count + 3) / 4)
        request.media.queryUpperBound = Int64(query.value.count)
        request.isStream = false
    }

    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { strict }

    private static let strict = StrictRequestShape(
        body: StrictFields.merged(
            StrictFields.gateway,
            StrictFields.named(
                [
                    "query", "top_n", "return_documents", "max_chunks_per_doc", "max_tokens_per_doc", "overlap_tokens", "truncation",
                ], .scalar),
            // Pictures among the documents are another unit.
            [
                "documents": .list(
                    .textOr(
                        .object(StrictFields.named(["text", "title", "id", "content", "body", "snippet", "name"], .text))))
            ]))

    static func complete(_ bound: inout UsageBound, of request: RequestEnvelope, isStrict: Bool) {
        let media = request.media
        // Each document may be read together with the question.
        bound.promptTokens += (isStrict ? media.queryUpperBound : media.queryTokens) * media.documents
        bound.searches = MediaEstimate.searchUnits(documents: media.documents, tokens: bound.promptTokens)
    }

    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage {
        var usage = Usage()
        let tokens = request.prompt.tokens + request.media.queryTokens * request.media.documents
        usage.searches = MediaEstimate.searchUnits(documents: request.media.documents, tokens: tokens)
        if price.isTokenPriced { usage.uncachedInput = tokens }
        return usage
    }
}
