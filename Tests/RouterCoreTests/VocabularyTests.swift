import Foundation
import RouterCore
import Testing

@Suite struct VocabularyTests {
    private static let file: [UInt8] = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return (try? Data(contentsOf: root.appendingPathComponent("tokenizers/o200k_base.tokens"))).map(Array.init) ?? []
    }()
    private static let o200k = try? BPEVocabulary(file.span)

    private func tokens(_ bytes: [UInt8]) throws -> Int64 {
        var counter = BPECounter(try #require(Self.o200k))
        counter.add(bytes.span)
        return counter.tokens
    }

    @Test(arguments: TokenSample.all) func `the vocabulary counts what its owner's tokenizer counts`(sample: TokenSample) throws {
        #expect(try tokens(Array(sample.text.utf8)) == sample.tokens)
    }

    /// Counted by `bpe-openai`: one case for each alternative of the pattern, and for how they give back.
    @Test(arguments: [
        ("", 0), ("a", 1), ("don't DON'T we're they'LL x'y", 8), ("camelCase HTTPServer getHTTP", 6), ("1234567890", 4),
        ("x  y\t z\n\n  \n w   ", 8), ("a ... b!? //\n/ c", 7), ("\r\n\r\n", 1), (" 12  34", 5), ("中文ABC中", 3), ("ǅabc éÉ e\u{301}x", 8),
        ("👨‍👩‍👧 👍🏽", 11), ("नमस्ते दुनिया", 5), ("a\u{A0}b\u{3000}c", 5),
    ]) func `every kind of piece counts as the vocabulary cuts it`(text: String, count: Int64) throws {
        #expect(try tokens(Array(text.utf8)) == count)
    }

    @Test func `text cut anywhere counts the same`() throws {
        let vocabulary = try #require(Self.o200k)
        var rng = SplitMix64(seed: 3)
        let spaces = String(repeating: "\n" + String(repeating: " ", count: 300), count: 9)
        let texts = TokenSample.all.map(\.text).joined(separator: "\n") + spaces
        let bytes = Array(texts.utf8) + Array(repeating: UInt8(ascii: "A"), count: 3_000) + [0xE4, 0xB8]
        let whole = try tokens(bytes)
        for _ in 0..<20 {
            var counter = BPECounter(vocabulary)
            var index = 0
            while index < bytes.count {
                let end = min(bytes.count, index + 1 + Int(rng.below(600)))
                counter.add(Array(bytes[index..<end]).span)
                index = end
            }
            #expect(counter.tokens == whole)
        }
    }

    @Test func `any bytes have at most as many tokens as bytes`() throws {
        var rng = SplitMix64(seed: 5)
        for _ in 0..<300 {
            let bytes = (0..<rng.below(600)).map { _ in UInt8(truncatingIfNeeded: rng.next()) }
            let count = try tokens(bytes)
            #expect(count <= Int64(bytes.count) && (count > 0) == !bytes.isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(2))) func `a line without spaces takes linear time`() throws {
        for text in ["x", "A", "中A", "/", " ", "中", "1"] {
            let bytes = Array(String(repeating: text, count: 20_000 / text.utf8.count).utf8)
            #expect(try tokens(bytes) > 0, "\(text)")
        }
    }

    @Test func `broken vocabulary files are refused`() {
        let complete: [UInt8] = (UInt8.min...UInt8.max).flatMap { byte -> [UInt8] in [1, byte] }
        #expect(throws: Never.self) { try BPEVocabulary(complete.span) }
        #expect(throws: BPEVocabulary.Problem.size(0)) { try BPEVocabulary([UInt8]().span) }
        #expect(throws: BPEVocabulary.Problem.size(255)) { try BPEVocabulary(Array(complete.dropLast(2)).span) }
        #expect(throws: BPEVocabulary.Problem.truncated) { try BPEVocabulary((complete + [5, 1]).span) }
        #expect(throws: BPEVocabulary.Problem.truncated) { try BPEVocabulary((complete + [0]).span) }
        #expect(throws: BPEVocabulary.Problem.missingByte(255)) { try BPEVocabulary((Array(complete.dropLast(2)) + [1, 7]).span) }
    }
}
