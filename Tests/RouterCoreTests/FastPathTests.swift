import Testing

@testable import RouterCore

/// The quick ways take the same decisions as the plain ones beside them.
@Suite struct FastPathTests {
    /// Text of the bytes that matter, at every distance from the ends of the words that are looked at.
    private static func texts(_ random: inout SplitMix64) -> [[UInt8]] {
        let alphabet: [UInt8] = [
            0x00, 0x0A, 0x0D, 0x1F, 0x20, 0x21, 0x22, 0x5B, 0x5C, 0x5D, 0x60, 0x61, 0x7A, 0x7B, 0x7F, 0x80, 0x9F, 0xA2, 0xDC, 0xFF,
        ]
        var texts: [[UInt8]] = []
        for length in 0..<26 {
            for place in 0...length {
                var text = [UInt8](repeating: 0x65, count: length)
                if place < length { text[place] = alphabet[Int(random.below(UInt64(alphabet.count)))] }
                texts.append(text)
            }
        }
        for _ in 0..<2_000 {
            texts.append(
                (0..<Int(random.below(40))).map { _ in random.below(3) == 0 ? UInt8(random.below(256)) : 0x61 + UInt8(random.below(26)) })
        }
        return texts
    }

    /// Where the quick way stops, and the plain way from there: the first byte that is not passed over.
    private static func end(
        _ text: [UInt8], _ quick: (Span<UInt8>, inout Int) -> Void, _ passes: (UInt8) -> Bool
    ) -> (found: Int, expected: Int) {
        var index = 0
        quick(text.span, &index)
        let stopped = index
        while index < text.count, passes(text[index]) { index += 1 }
        let expected = text.firstIndex { !passes($0) } ?? text.count
        return (stopped <= expected ? index : stopped, expected)
    }

    @Test func `eight bytes at a time stop where one at a time stops`() {
        var random = SplitMix64(seed: 11)
        for text in Self.texts(&random) {
            let plain = Self.end(text, { EightBytes.skipPlain($0, &$1) }, { $0 >= 0x20 && $0 < 0x80 && $0 != 0x22 && $0 != 0x5C })
            let unquoted = Self.end(text, { EightBytes.skipUnquoted($0, &$1) }, { $0 != 0x22 && $0 != 0x5C })
            let line = Self.end(text, { EightBytes.skipLine($0, &$1) }, { $0 != 0x0A && $0 != 0x0D })
            let lower = Self.end(text, { EightBytes.skipLower($0, &$1, end: text.count) }, { (0x61...0x7A).contains($0) })
            for (name, place) in [("plain", plain), ("unquoted", unquoted), ("line", line), ("lower", lower)] {
                #expect(place.found == place.expected, "\(name) in \(text)")
            }
        }
    }

    @Test func `words behind words count as their letters do`() {
        var random = SplitMix64(seed: 12)
        let pieces = [" a", " word", " verylongwordindeed", "Word", " Word", "é", " é", "  ", "1", ",", "\n", "x", "'s"]
        for _ in 0..<3_000 {
            let text = (0..<Int(random.below(12))).map { _ in pieces[Int(random.below(UInt64(pieces.count)))] }.joined()
            var whole = TextTokens()
            whole.add(Array(text.utf8).span)
            var letters = TextTokens()
            for byte in text.utf8 { letters.add([byte].span) }
            #expect(whole == letters, "\(text)")
        }
    }

    @Test func `patterns that are ready match as the channel's own do`() {
        var random = SplitMix64(seed: 13)
        let patterns = ["*", "a*", "*b", "a*b", "x", "ab", "*/*", "v/*"]
        let names = ["a", "ab", "axb", "b", "x", "v/m", "listed", "", "a*b"]
        func pick(_ list: [String]) -> String { list[Int(random.below(UInt64(list.count)))] }
        for _ in 0..<500 {
            let models = (0..<Int(1 + random.below(3))).map { _ in
                Channel.Model(pattern: pick(patterns), upstream: random.below(3) == 0 ? pick(names + ["up"]) : nil)
            }
            let listed = random.below(2) == 0 ? [] : [ProviderModel(id: "listed"), ProviderModel(id: "up")]
            let spec = ProviderSpec(name: "p", family: .openai, baseURL: "http://h", models: listed)
            let channel = Channel(id: 1, name: "c", provider: spec, keys: [], models: models)
            let table = RouteTable(channels: [channel])
            for name in names where !name.isEmpty {
                #expect(
                    table.serving(name).map(\.upstream) == [channel.upstreamModel(for: name)].compactMap { $0 },
                    "\(models) \(listed.count) \(name)")
            }
        }
    }

    @Test func `whole numbers are read alike`() {
        for text in [
            "0", "7", "123456789012345678", "1234567890123456789", "12345678901234567890", "-5", "5.0", "1e3", "1.5", "", "x", "1x",
        ] {
            let bytes = Array(text.utf8)
            let expected: Int64? = ["5.0": 5, "1e3": 1_000][text] ?? Int64(text)
            #expect(JSONText.integer(bytes.span, 0..<bytes.count) == expected, "\(text)")
        }
    }
}
