public import NIOCore

/// A set of replacements in a byte body, applied in one copy. Ranges count from the body's reader index and must not overlap.
public struct BodySplice: Sendable {
    private struct Edit: Sendable {
        var range: Range<Int>
        var replacement: ByteBuffer
    }
    private var edits: [Edit] = []

    public init() {}

    public var isEmpty: Bool { edits.isEmpty }

    public mutating func replace(_ range: Range<Int>, with replacement: ByteBuffer) {
        edits.append(Edit(range: range, replacement: replacement))
    }

    public mutating func replace(_ range: Range<Int>, with text: String) {
        replace(range, with: ByteBuffer(string: text))
    }

    public mutating func insert(_ text: String, at offset: Int) { replace(offset..<offset, with: text) }

    public mutating func remove(_ range: Range<Int>) { replace(range, with: ByteBuffer()) }

    /// Removes members of an object, run by run, each with the comma that belongs to it.
    /// - Parameter kept: indices of the members that stay.
    public mutating func remove(from members: [JSONMember], except kept: Set<Int>) {
        var first = 0
        while first < members.count {
            guard !kept.contains(first) else {
                first += 1
                continue
            }
            var last = first
            while last + 1 < members.count, !kept.contains(last + 1) { last += 1 }
            if last + 1 < members.count {
                remove(members[first].whole.lowerBound..<members[last + 1].whole.lowerBound)
            } else if first > 0 {
                remove(members[first - 1].whole.upperBound..<members[last].whole.upperBound)
            } else {
                remove(members[first].whole.lowerBound..<members[last].whole.upperBound)
            }
            first = last + 1
        }
    }

    /// The body with all edits applied; the same storage when there are none. Insertions at the same position keep their order.
    public func applied(to body: ByteBuffer) -> ByteBuffer {
        guard !edits.isEmpty else { return body }
        var ordered = edits
        // The sort is not stable, so the original index decides between insertions at the same position. Most bodies have a single edit.
        if edits.count > 1 {
            ordered = edits.enumerated().sorted {
                ($0.element.range.lowerBound, $0.offset) < ($1.element.range.lowerBound, $1.offset)
            }.map(\.element)
        }
        var out = ByteBuffer()
        out.reserveCapacity(body.readableBytes + edits.reduce(0) { $0 + $1.replacement.readableBytes })
        var position = 0
        let start = body.readerIndex
        for edit in ordered {
            precondition(edit.range.lowerBound >= position, "overlapping edits")
            if let kept = body.getSlice(at: start + position, length: edit.range.lowerBound - position) {
                out.writeImmutableBuffer(kept)
            }
            out.writeImmutableBuffer(edit.replacement)
            position = edit.range.upperBound
        }
        if let rest = body.getSlice(at: start + position, length: body.readableBytes - position) {
            out.writeImmutableBuffer(rest)
        }
        return out
    }
}
