import NIOCore
import RouterCore
import Testing

/// Cuts every event of a stream at every byte. Decoders are values, so each trial starts from a copy that has read what came before, and
/// goes on into the event behind.
enum CutEverywhere {
    private struct Outcome: Equatable {
        var out: ByteBuffer
        var trailer: ByteBuffer
        var progress: AnswerProgress
    }

    /// - Parameter ends: where the events end; the last one ends the stream.
    static func check(_ bytes: [UInt8], ends: [Int], _ call: UpstreamCall) throws {
        #expect(ends.last == bytes.count)
        var decoder = Fixture.provider(call.channel.provider).streamDecoder(for: call)
        func run(_ pieces: [ArraySlice<UInt8>]) throws -> Outcome {
            var copy = decoder
            var out = ByteBuffer()
            for piece in pieces { try copy.push(ByteBuffer(bytes: piece), into: &out) }
            return Outcome(out: out, trailer: copy.trailer, progress: copy.progress)
        }
        var start = 0
        for (index, end) in ends.enumerated() {
            let next = ends[min(index + 1, ends.count - 1)]
            let whole = try run([bytes[start..<next]])
            for cut in start + 1..<end {
                let pieces = try run([bytes[start..<cut], bytes[cut..<next]])
                guard pieces == whole else {
                    Issue.record("cut at \(cut): \(pieces) instead of \(whole)")
                    return
                }
            }
            var out = ByteBuffer()
            try decoder.push(ByteBuffer(bytes: bytes[start..<end]), into: &out)
            start = end
        }
    }
}
