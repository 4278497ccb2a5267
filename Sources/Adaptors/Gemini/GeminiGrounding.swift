import RouterCore

/// Sources of a candidate: `groundingMetadata` (https://ai.google.dev/api/generate-content#GroundingMetadata) and `citationMetadata`
/// (https://ai.google.dev/api/generate-content#citationmetadata). Places are bytes here.
enum GeminiGrounding {
    /// What Google bills for its search: each query from Gemini 3 on, before that one for an answer that used it
    /// (https://ai.google.dev/gemini-api/docs/google-search).
    static func searches(_ answer: JSONValue) -> Int64 {
        let queries = (answer["candidates"]?.arrayValue ?? []).flatMap { $0["groundingMetadata"]?["webSearchQueries"]?.arrayValue ?? [] }
        if queries.isEmpty { return 0 }
        return answer["modelVersion"]?.stringValue?.contains("gemini-3") == true ? Int64(min(queries.count, 1_000)) : 1
    }

    static func citations(_ candidate: JSONValue, _ ruler: TextRuler) -> [Citation] {
        var result: [Citation] = []
        let metadata = candidate["groundingMetadata"]
        let chunks = metadata?["groundingChunks"]?.arrayValue ?? []
        for support in metadata?["groundingSupports"]?.arrayValue ?? [] {
            for index in support["groundingChunkIndices"]?.arrayValue ?? [] {
                guard result.count < Citation.maximum else { return result }
                guard let index = index.integerValue.flatMap({ Int(exactly: $0) }), chunks.indices.contains(index),
                    let web = chunks[index]["web"]
                else { continue }
                let range = range(support["segment"], ruler)
                if let citation = Citation(
                    range, url: web["uri"]?.stringValue, title: web["title"]?.stringValue, in: 0..<ruler.scalars)
                {
                    result.append(citation)
                }
            }
        }
        let sources = candidate["citationMetadata"]?["citationSources"] ?? candidate["citationMetadata"]?["citations"]
        for source in sources?.arrayValue?.prefix(Citation.maximum) ?? [] {
            if let citation = Citation(
                range(source, ruler), url: source["uri"]?.stringValue, title: source["title"]?.stringValue, in: 0..<ruler.scalars)
            {
                result.append(citation)
            }
        }
        return result
    }

    /// An index that is 0 is left out.
    private static func range(_ value: JSONValue?, _ ruler: TextRuler) -> Range<Int>? {
        guard let end = value?["endIndex"]?.integerValue.flatMap({ Int(exactly: $0) }) else { return nil }
        let start = value?["startIndex"]?.integerValue.flatMap { Int(exactly: $0) } ?? 0
        guard let from = ruler.scalars(ofByte: start), let to = ruler.scalars(ofByte: end), from < to else { return nil }
        return from..<to
    }

    /// nil without citations.
    static func metadata(_ citations: [Citation], _ ruler: TextRuler) -> JSONValue? {
        guard !citations.isEmpty else { return nil }
        var pages: [JSONValue] = []
        var numbers: [String: Int] = [:]
        var supports: [(range: Range<Int>, chunks: [JSONValue])] = []
        for citation in citations {
            let number = numbers[citation.url] ?? pages.count
            if number == pages.count {
                numbers[citation.url] = number
                pages.append(["web": ["uri": .string(citation.url), "title": .string(citation.title ?? citation.url)]])
            }
            if let last = supports.indices.last, supports[last].range == citation.range {
                supports[last].chunks.append(.integer(number))
            } else {
                supports.append((citation.range, [.integer(number)]))
            }
        }
        return [
            "groundingChunks": .array(pages),
            "groundingSupports": .array(
                supports.compactMap { support in
                    guard let start = ruler.bytes(ofScalar: support.range.lowerBound),
                        let end = ruler.bytes(ofScalar: support.range.upperBound)
                    else {
                        return nil
                    }
                    return [
                        "segment": ["startIndex": .integer(start), "endIndex": .integer(end)],
                        "groundingChunkIndices": .array(support.chunks),
                    ]
                }),
        ]
    }
}
