import NIOCore

/// Texts as vectors (`/embeddings`, https://platform.openai.com/docs/api-reference/embeddings).
public enum EmbeddingsOperation: Operation {
    static var smallestRequest: [JSONValue.Member]? { [.init("input", "hi")] }

    /// Text and tokens; pictures and mixed inputs of some vendors are not taken.
    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { strict }

    private static let strict = StrictRequestShape(
        body: StrictFields.merged(
            StrictFields.gateway,
            StrictFields.named(
                [
                    "encoding_format", "dimensions", "output_dimension", "input_type", "truncate", "task", "task_type", "title",
                    "normalized",
                ], .scalar),
            StrictFields.named(["embedding_types"], .free), ["input": .prompts]))

    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage {
        textUsage(of: request, progress, by: vocabulary)
    }
}
