public import NIOCore
public import RouterCore

/// Google's `:embedContent` and `:batchEmbedContents` (https://ai.google.dev/api/embeddings) as OpenAI's embeddings, which is what vendors
/// serve.
public enum GeminiEmbeddings {
    /// - Throws: ``RequestEnvelope/Rejection`` that names the field.
    public static func request(_ body: ByteBuffer, model: String, isBatch: Bool) throws(RequestEnvelope.Rejection) -> ByteBuffer {
        do throws(UpstreamFailure) {
            return try converted(body, model: model, isBatch: isBatch)
        } catch {
            throw RequestEnvelope.Rejection(error.detail, param: error.clientError?.param)
        }
    }

    private static func converted(_ body: ByteBuffer, model: String, isBatch: Bool) throws(UpstreamFailure) -> ByteBuffer {
        let tree: JSONValue
        do throws(JSONScanError) {
            tree = try JSONValue(parsing: body)
        } catch {
            throw .malformedField("body", "is not valid JSON: \(error)")
        }
        var requests = [tree]
        if isBatch {
            var batch = try Fields(google: tree, at: "")
            guard let given = try batch.array("requests"), !given.isEmpty else {
                throw .malformedField("requests", "must be an array with at least one request")
            }
            requests = given
            try batch.done()
        }
        var texts: [JSONValue] = []
        var dimensions: Int64?
        for (index, request) in requests.enumerated() {
            var fields = try Fields(google: request, at: isBatch ? "requests[\(index)]" : "")
            fields.skip("model")
            texts.append(.string(try text(&fields)))
            let wanted = try fields.integer("outputDimensionality")
            if index > 0, wanted != dimensions {
                throw .inexpressible(fields.path("outputDimensionality"), "must be the same in all requests")
            }
            dimensions = wanted
            fields.skip("taskType", when: "TASK_TYPE_UNSPECIFIED")
            try fields.done()
        }
        var object = ObjectBuilder()
        object.add("model", .string(model))
        object.add("input", .array(texts))
        object.add("dimensions", integer: dimensions)
        object.add("encoding_format", "float")
        return Preparation.bytes(object.value)
    }

    private static func text(_ fields: inout Fields) throws(UpstreamFailure) -> String {
        guard var content = try fields.google("content") else { throw .malformedField(fields.path("content"), "is missing") }
        content.skip("role")
        let parts = try GeminiContentsReader.plainParts(&content)
        try content.done()
        guard !parts.isEmpty, let text = Conversation.plainText(parts) else {
            throw .inexpressible(content.path("parts"), "can only be text, and must be some")
        }
        return text
    }

    /// OpenAI's answer, or its error, in Google's form. - Returns: nil when it is neither.
    public static func answer(_ body: ByteBuffer, status: Int, isBatch: Bool) -> ByteBuffer? {
        guard let tree = try? JSONValue(parsing: body) else { return nil }
        if let error = tree["error"] { return DialectError.body(.gemini, status: status, clientError: ErrorObject(openAI: error)) }
        guard let data = tree["data"]?.arrayValue else { return nil }
        let ordered = data.enumerated().sorted {
            ($0.element["index"]?.integerValue ?? Int64($0.offset)) < ($1.element["index"]?.integerValue ?? Int64($1.offset))
        }
        let embeddings = ordered.map { JSONValue.object([.init("values", $0.element["embedding"] ?? [])]) }
        return Preparation.bytes(isBatch ? ["embeddings": .array(embeddings)] : ["embedding": embeddings.first ?? [:]])
    }
}
