import NIOCore

/// One message of AWS's binary event stream (https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html): lengths, a checksum of
/// them, headers, payload, a checksum of all.
struct EventStreamMessage {
    var headers: [String: String] = [:]
    var payload = ByteBuffer()

    enum Problem: Error, Sendable { case checksum, length, header }

    private static let prelude = 12

    /// The next whole message, or nil until more bytes come.
    static func next(_ buffer: inout ByteBuffer, maximum: Int) throws(Problem) -> EventStreamMessage? {
        let start = buffer.readerIndex
        guard let total = buffer.getInteger(at: start, as: UInt32.self),
            let headerLength = buffer.getInteger(at: start + 4, as: UInt32.self),
            let sum = buffer.getInteger(at: start + 8, as: UInt32.self)
        else { return nil }
        guard CRC32.of(buffer, start..<start + 8) == sum else { throw .checksum }
        let length = Int(total)
        guard length >= prelude + 4 + Int(headerLength), length <= maximum else { throw .length }
        guard buffer.readableBytes >= length else { return nil }
        guard CRC32.of(buffer, start..<start + length - 4) == buffer.getInteger(at: start + length - 4, as: UInt32.self) else {
            throw .checksum
        }
        var message = EventStreamMessage()
        guard var headers = buffer.getSlice(at: start + prelude, length: Int(headerLength)) else { throw .length }
        while headers.readableBytes > 0 { try message.readHeader(&headers) }
        let payloadLength = length - prelude - Int(headerLength) - 4
        message.payload = buffer.getSlice(at: start + prelude + Int(headerLength), length: payloadLength) ?? ByteBuffer()
        buffer.moveReaderIndex(forwardBy: length)
        return message
    }

    /// Type 7 is text; the others are of known sizes and nobody needs them.
    private mutating func readHeader(_ headers: inout ByteBuffer) throws(Problem) {
        guard let nameLength = headers.readInteger(as: UInt8.self), let name = headers.readString(length: Int(nameLength)),
            let type = headers.readInteger(as: UInt8.self)
        else { throw .header }
        let sizes: [UInt8: Int] = [0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16]
        if let size = sizes[type] {
            guard headers.readSlice(length: size) != nil else { throw .header }
            return
        }
        guard type == 6 || type == 7, let length = headers.readInteger(as: UInt16.self), let value = headers.readSlice(length: Int(length))
        else {
            throw .header
        }
        if type == 7 { self.headers[name] = String(buffer: value) }
    }
}

/// CRC-32 as in zlib (RFC 1952, section 8).
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }

    static func of(_ buffer: ByteBuffer, _ range: Range<Int>) -> UInt32 {
        guard let slice = buffer.getSlice(at: range.lowerBound, length: range.count) else { return 0 }
        return ~slice.readableBytesView.reduce(UInt32.max) { sum, byte in sum >> 8 ^ table[Int((sum ^ UInt32(byte)) & 0xFF)] }
    }
}
