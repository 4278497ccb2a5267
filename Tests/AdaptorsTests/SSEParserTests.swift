import NIOCore
import RouterCore
import Testing

@testable import Adaptors

@Suite struct SSEParserTests {
    /// Raw events, fed in pieces of a size.
    private func events(_ text: String, piece: Int) -> [String] {
        var parser = SSEParser()
        var result: [String] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: piece) {
            parser.append(ByteBuffer(bytes: bytes[start..<min(start + piece, bytes.count)]))
            while let range = parser.next() {
                result.append(parser.buffer.getString(at: parser.buffer.readerIndex + range.lowerBound, length: range.count) ?? "")
            }
        }
        if let rest = parser.rest() { result.append("rest:" + String(buffer: rest)) }
        return result
    }

    @Test(arguments: [
        ("a\n\nb\n\n", ["a\n\n", "b\n\n"]), ("a\r\n\r\nb\r\n\r\n", ["a\r\n\r\n", "b\r\n\r\n"]),
        ("a\r\rb\r\r", ["a\r\r", "b\r\r"]), ("a\nb\n\n", ["a\nb\n\n"]), ("a\n\r\nb\r\n\n", ["a\n\r\n", "b\r\n\n"]),
        ("\n\na\n\n", ["\n", "\n", "a\n\n"]), ("a", ["rest:a\n\n"]), ("a\n", ["rest:a\n\n"]), ("a\r", ["rest:a\r\n\n"]),
        ("a\r\n", ["rest:a\r\n\n"]), ("a\r\n\r", ["rest:a\r\n\r"]), ("", []), ("a\r\nb\rc\n\n", ["a\r\nb\rc\n\n"]),
    ])
    func `events are cut at blank lines, however the bytes come`(_ text: String, _ expected: [String]) {
        for piece in 1...max(1, text.utf8.count) { #expect(events(text, piece: piece) == expected, "pieces of \(piece)") }
    }

    @Test(arguments: [
        ("data: a\n\n", "a" as String?), ("data:a\n\n", "a"), ("data:  a\n\n", " a"), ("data\n\n", ""),
        ("data: a\ndata:b\n\n", "a\nb"), (": c\nevent: e\r\ndata: a\r\nid: 1\r\n\r\n", "a"), ("data: a\r\r", "a"),
        ("dat: a\n\n", nil), ("database: a\n\n", nil), (": data: a\n\n", nil), (" data: a\n\n", nil), ("\n", nil),
        ("data: a\ndata\ndata: b\n\n", "a\n\nb"),
    ])
    func `the payload of an event`(_ text: String, _ payload: String?) {
        let raw = ByteBuffer(string: text)
        let event = SSEEvent(raw, isFirst: false)
        #expect((event.first == nil ? nil : String(buffer: event.joined(raw))) == payload)
    }

    /// The rules of the standard, written down slowly: lines first, then events.
    private func reference(_ text: String) -> [String] {
        var lines: [[UInt8]] = [[]]
        var before: UInt8 = 0
        for byte in text.utf8 {
            if byte == 0x0A, before == 0x0D {
            } else if byte == 0x0A || byte == 0x0D {
                lines.append([])
            } else {
                lines[lines.count - 1].append(byte)
            }
            before = byte
        }
        var events: [String] = []
        var data: [String] = []
        for line in lines.dropLast() {
            if line.isEmpty {
                if !data.isEmpty { events.append(data.joined(separator: "\n")) }
                data = []
            } else if line.starts(with: Array("data:".utf8)) {
                let value = line.dropFirst(5)
                data.append(String(decoding: value.first == 0x20 ? value.dropFirst() : value, as: UTF8.self))
            }
        }
        return events
    }

    @Test func `audit 20: any mixture of line ends, cut anywhere, gives the standard's events`() {
        var random = SplitMix64(seed: Fuzz.seed &+ 20)
        for round in 0..<3_000 {
            let ends = round % 3 == 0 ? ["\r"] : ["\n", "\r\n", "\r"]
            var text = ""
            for number in 0..<Int.random(in: 1...5, using: &random) {
                for line in 0..<Int.random(in: 1...3, using: &random) {
                    text +=
                        ["data: \(number).\(line)", ": c", "data:x"].randomElement(using: &random)! + ends.randomElement(using: &random)!
                }
                text += ends.randomElement(using: &random)!
            }
            // With an LF behind it, because CR and LF at random may be the two halves of one line end.
            text += "data: [DONE]" + ends.randomElement(using: &random)! + ends.randomElement(using: &random)! + "\n"
            var parser = SSEParser()
            var found: [String] = []
            var forwarded: [String] = []
            func take(_ raw: ByteBuffer, _ hasBareCR: Bool) {
                let event = SSEEvent(raw, isFirst: false)
                if event.first != nil { found.append(String(buffer: event.joined(raw))) }
                let written = hasBareCR ? SSEEvent.withoutBareCR(raw) : raw
                let again = SSEEvent(written, isFirst: false)
                if again.first != nil { forwarded.append(String(buffer: again.joined(written))) }
                let bytes = Array(written.readableBytesView)
                let bare = bytes.indices.contains { bytes[$0] == 0x0D && (bytes.indices.contains($0 + 1) ? bytes[$0 + 1] != 0x0A : true) }
                if bare { Issue.record("seed \(Fuzz.seed), round \(round): a bare CR is left in \(bytes)") }
            }
            for piece in Fuzz.pieces(Array(text.utf8), &random) {
                parser.append(ByteBuffer(bytes: piece))
                while let range = parser.next() {
                    guard let raw = parser.buffer.getSlice(at: parser.buffer.readerIndex + range.lowerBound, length: range.count) else {
                        return
                    }
                    take(raw, parser.hasBareCR)
                }
            }
            if let rest = parser.rest() { take(rest, parser.hasBareCR) }
            #expect(found == reference(text), "seed \(Fuzz.seed), round \(round): \(Array(text.utf8))")
            #expect(forwarded == found, "seed \(Fuzz.seed), round \(round): \(Array(text.utf8))")
        }
    }

    @Test func `a byte order mark stands at the start of a stream only`() {
        let raw = ByteBuffer(string: "\u{FEFF}data: a\n\n")
        #expect(SSEEvent(raw, isFirst: true).first != nil)
        #expect(SSEEvent(raw, isFirst: false).first == nil)
    }

    @Test(arguments: ["\n", "\r\n", "\r"])
    func `every byte is looked at about once`(_ end: String) {
        let text = "data: " + String(repeating: "x", count: 100_000) + end + end + "data: y" + end + end
        let bytes = Array(text.utf8)
        for piece in [1, 7, 4096] {
            var parser = SSEParser()
            for start in stride(from: 0, to: bytes.count, by: piece) {
                parser.append(ByteBuffer(bytes: bytes[start..<min(start + piece, bytes.count)]))
                while parser.next() != nil {}
            }
            #expect(parser.examined >= bytes.count - 1)
            #expect(parser.examined <= bytes.count + 8)
        }
    }

    @Test func `the buffer does not grow with the stream`() {
        var parser = SSEParser()
        var count = 0
        let event = "data: " + String(repeating: "x", count: 90) + "\n\n"
        // No read ends where an event ends.
        var shifted = ByteBuffer(string: String(event.dropFirst(40)) + String(event.prefix(40)))
        parser.append(ByteBuffer(string: String(event.prefix(40))))
        for _ in 0..<20_000 {
            parser.append(shifted)
            shifted.moveReaderIndex(to: 0)
            while parser.next() != nil { count += 1 }
        }
        #expect(count == 20_000)
        #expect(parser.pendingBytes == 40)
        #expect(parser.buffer.capacity < 4096)
    }
}
