import Foundation
import NIOCore
import Testing

@testable import RouterCore

@Suite struct VocabularyTests {
    private static let file: [UInt8] = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return (try? Data(contentsOf: root.appendingPathComponent("tokenizers/o200k_base.tokens"))).map(Array.init) ?? []
    }()
    private static let o200k = try? BPEVocabulary(file.span)

    private func tokens(_ bytes: [UInt8]) throws -> Int64 {
        try #require(Self.o200k).tokens(bytes.span)
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

    /// Characters of three bytes are merged as wholes; merging single bytes must come to the same.
    @Test func `whole characters count as their bytes do`() throws {
        let vocabulary = try #require(Self.o200k)
        var rng = SplitMix64(seed: 9)
        // Frequent ones, those that tokens cut, and any.
        let frequent = Array("的一是不了在人有我他这个中大来上国和地到说时要就出会可也你对生能而子那得于着下自之年北京信电脑美彩读门名，。：“”".unicodeScalars)
        for _ in 0..<2_000 {
            let text = (0..<1 + rng.below(40)).map { _ -> Unicode.Scalar in
                rng.below(4) > 0
                    ? frequent[Int(rng.below(UInt64(frequent.count)))] : Unicode.Scalar(UInt32(0x800 + rng.below(0xD000))) ?? "中"
            }
            let bytes = Array(String(String.UnicodeScalarView(text)).utf8)
            var merge = BPEMerge()
            let fast = merge.count(bytes.span, from: 0, to: bytes.count, vocabulary)
            let slow = merge.count(bytes.span, from: 0, to: bytes.count, vocabulary, byBytes: true)
            #expect(fast == slow, "\(String(decoding: bytes, as: UTF8.self))")
        }
    }

    @Test(arguments: TokenSample.all) func `delivered text is counted as a whole, however it came`(_ sample: TokenSample) throws {
        let vocabulary = try #require(Self.o200k)
        let bytes = Array(sample.text.utf8)
        let json = Array(JSONValue.string(sample.text).text.utf8)
        var whole = DeliveredText()
        whole.add(jsonString: json.span, 1..<json.count - 1)
        #expect(whole.tokens(by: vocabulary) == sample.tokens && whole.tokens(by: nil) == whole.estimate.tokens)
        var rng = SplitMix64(seed: 3)
        var delivered = DeliveredText()
        var index = 0
        while index < bytes.count {
            // A copy that goes another way does not disturb.
            var other = delivered
            other.add([0x61, 0x62].span)
            let end = min(bytes.count, index + 1 + Int(rng.below(20)))
            delivered.add(Array(bytes[index..<end]).span)
            index = end
        }
        #expect(delivered.tokens(by: vocabulary) == sample.tokens && delivered == whole)
    }

    /// The beginning of a long answer corrects the estimate of the rest.
    @Test func `a long answer is counted by its beginning`() throws {
        let vocabulary = try #require(Self.o200k)
        for sample in TokenSample.all {
            let text = Array(sample.text.utf8)
            var delivered = DeliveredText()
            for _ in 0..<40 { delivered.add(text.span) }
            let exact = vocabulary.tokens(Array((0..<40).map { _ in text }.joined()).span)
            #expect(abs(delivered.tokens(by: vocabulary) - exact) * 100 <= exact * 3, "\(sample)")
        }
    }

    @Test func `a prompt is counted with the vocabulary`() throws {
        let vocabulary = try #require(Self.o200k)
        for sample in TokenSample.all {
            let body = JSONValue.object([
                .init("model", "m"), .init("messages", .array([["role": "user", "content": .string(sample.text)]])),
            ]).text
            let envelope = try RequestEnvelope(body: ByteBuffer(string: body), endpoint: .chat)
            // Four for the message, three for the request.
            #expect(envelope.promptTokens(by: vocabulary) == sample.tokens + 7)
            #expect(envelope.promptTokens(by: nil) == envelope.prompt.tokens)
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

    @Test(.timeLimit(.minutes(10))) func `a line without spaces takes linear time`() throws {
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
