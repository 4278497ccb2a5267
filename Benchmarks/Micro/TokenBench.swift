import Foundation
import RouterCore

/// What counting the tokens of prompts and answers costs, and (`microbench tokens`) the counts themselves.
enum TokenBench {
    private static let prose =
        "The gateway counts tokens itself when the vendor's figures are missing, because an answer that was cut still cost money. "
    private static let chinese = "当供应商没有返回用量时，网关会自己计算令牌数，因为被截断的回答同样要付费。"
    private static let code = "    for index in 0..<count where bytes[index] == UInt8(ascii: \"\\\\\") { total += 2 }\n"

    static let texts = [("English", prose), ("Chinese", chinese), ("code", code)]

    static func run() {
        for (name, text) in texts {
            let content = JSONText(repeating: text)
            let body = Array("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\(content.escaped)\"}]}".utf8)
            Microbench.measure("prompt estimate, 1 KB of body, \(name)", calls: 200, unit: body.count) {
                Int(PromptEstimate(body.span).tokens)
            }
            let raw = Array(content.plain.utf8)
            Microbench.measure("text tokens, 1 KB, \(name)", calls: 200, unit: raw.count) {
                var counter = TextTokens()
                counter.add(raw.span)
                return Int(counter.tokens)
            }
        }
    }

    /// Lines of JSON strings in, counts out: what `Benchmarks/tokens/measure.py` compares with a real tokenizer.
    static func countLines() {
        while let line = readLine() {
            let bytes = Array(line.utf8)
            var counter = TextTokens()
            counter.add(jsonString: bytes.span, 1..<bytes.count - 1)
            print(counter.tokens)
        }
    }

    /// About 64 KB of a text, so that a call is long enough to be timed.
    private struct JSONText {
        let plain: String
        init(repeating text: String) { plain = String(repeating: text, count: 65_536 / text.utf8.count) }
        var escaped: String { JSONValue.string(plain).text.dropFirst().dropLast().description }
    }
}

/// The same with the real vocabulary (`microbench bpe FILE`, `microbench count FILE`).
enum VocabularyBench {
    static func run(_ vocabulary: BPEVocabulary) {
        for (name, text) in TokenBench.texts {
            let raw = Array(String(repeating: text, count: 65_536 / text.utf8.count).utf8)
            Microbench.measure("tokens of the vocabulary, 1 KB, \(name)", calls: 20, unit: raw.count) {
                Int(vocabulary.tokens(raw.span))
            }
        }
    }

    static func load(_ path: String) throws -> BPEVocabulary {
        try BPEVocabulary(Array(Data(contentsOf: URL(fileURLWithPath: path))).span)
    }

    /// Lines of JSON strings in, counts out.
    static func countLines(_ vocabulary: BPEVocabulary) throws {
        while let line = readLine() {
            let text = try JSONDecoder().decode(String.self, from: Data(line.utf8))
            print(vocabulary.tokens(Array(text.utf8).span))
        }
    }
}
