/// CRC-32C (Castagnoli), eight bytes at a time.
enum CRC32C {
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var value = UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
            tables[byte] = value
        }
        for index in 256..<tables.count {
            let before = tables[index - 256]
            tables[index] = before >> 8 ^ tables[Int(before & 0xFF)]
        }
        return tables
    }()

    static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        tables.withUnsafeBufferPointer { table in
            var value = ~seed
            var position = 0
            while position + 8 <= bytes.count {
                let low = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self)) ^ value
                let high = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: position + 4, as: UInt32.self))
                value = table[Int(7 * 256 + (low & 0xFF))] ^ table[Int(6 * 256 + (low >> 8 & 0xFF))]
                value ^= table[Int(5 * 256 + (low >> 16 & 0xFF))] ^ table[Int(4 * 256 + (low >> 24))]
                value ^= table[Int(3 * 256 + (high & 0xFF))] ^ table[Int(2 * 256 + (high >> 8 & 0xFF))]
                value ^= table[Int(256 + (high >> 16 & 0xFF))] ^ table[Int(high >> 24)]
                position += 8
            }
            while position < bytes.count {
                value = value >> 8 ^ table[Int((value ^ UInt32(bytes[position])) & 0xFF)]
                position += 1
            }
            return ~value
        }
    }
}

/// A record on the disk: length (4 bytes), checksum (4), then the body, which consists of the kind (1) and the contents.
enum Frame {
    static let overhead = 8
    /// Maximum length of a body in bytes. No record comes near it, so a greater length is a sign of damage.
    static let maximumLength = 1 << 24

    /// - Returns: the range of the body, when a whole record with a matching checksum begins at the offset.
    static func body(_ bytes: UnsafeRawBufferPointer, at offset: Int, salt: UInt32) -> Range<Int>? {
        guard offset + overhead < bytes.count else { return nil }
        let length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
        let start = offset + overhead
        guard length > 0, length <= maximumLength, length <= bytes.count - start else { return nil }
        let expected = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
        let body = start..<(start + length)
        return CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[body]), seed: salt) == expected ? body : nil
    }
}

/// A buffer for records to be written, whose memory is reused.
///
/// Integers are encoded in groups of seven bits, lowest first, with the sign in the lowest bit: most of them are small.
// SAFETY: the value cannot be copied, and nothing else refers to its memory.
struct RecordBuffer: ~Copyable, @unchecked Sendable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0

    private static let usualCapacity = 16_384

    init() {
        capacity = Self.usualCapacity
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    /// Valid until the buffer is changed.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    mutating func removeAll() {
        count = 0
        // One huge record, or one huge group, should not occupy its memory for ever.
        if capacity > 64 * Self.usualCapacity { resize(Self.usualCapacity) }
    }

    private mutating func resize(_ newCapacity: Int) {
        let new = UnsafeMutableRawPointer.allocate(byteCount: newCapacity, alignment: 16)
        new.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = new
        capacity = newCapacity
    }

    private mutating func reserve(_ more: Int) {
        if count + more > capacity { resize(max(capacity * 2, count + more)) }
    }

    // MARK: Frames

    /// Appends one record; throws when it is too large, and appends nothing then.
    /// - Returns: its range in the buffer.
    mutating func frame(
        _ kind: RecordKind, salt: UInt32, _ contents: (inout RecordBuffer) -> Void
    ) throws(StoreError) -> Range<Int> {
        let start = count
        reserve(Frame.overhead)
        count += Frame.overhead
        byte(kind.rawValue)
        contents(&self)
        return try seal(start, salt)
    }

    /// Appends the body of a record that was read from the disk.
    mutating func frame(body: [UInt8], salt: UInt32) throws(StoreError) -> Range<Int> {
        let start = count
        reserve(Frame.overhead)
        count += Frame.overhead
        body.withUnsafeBytes { append($0) }
        return try seal(start, salt)
    }

    private mutating func seal(_ start: Int, _ salt: UInt32) throws(StoreError) -> Range<Int> {
        let length = count - start - Frame.overhead
        guard length <= Frame.maximumLength else {
            count = start
            throw .database("a record of \(length) bytes is too large for the journal")
        }
        let body = UnsafeRawBufferPointer(start: base + start + Frame.overhead, count: length)
        base.storeBytes(of: UInt32(length).littleEndian, toByteOffset: start, as: UInt32.self)
        base.storeBytes(of: CRC32C.checksum(body, seed: salt).littleEndian, toByteOffset: start + 4, as: UInt32.self)
        return start..<count
    }

    // MARK: Values

    mutating func byte(_ value: UInt8) {
        reserve(1)
        base.storeBytes(of: value, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    mutating func fixed(_ value: some FixedWidthInteger & BitwiseCopyable) {
        let size = value.bitWidth / 8
        reserve(size)
        withUnsafeBytes(of: value.littleEndian) { (base + count).copyMemory(from: $0.baseAddress!, byteCount: size) }
        count += size
    }

    mutating func unsigned(_ value: UInt64) {
        reserve(10)
        var rest = value
        while rest >= 0x80 {
            base.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
            count += 1
            rest >>= 7
        }
        base.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
        count += 1
    }

    mutating func integer(_ value: Int64) { unsigned(UInt64(bitPattern: value << 1 ^ value >> 63)) }

    mutating func flag(_ value: Bool) { byte(value ? 1 : 0) }

    mutating func integer(_ value: Int64?) {
        flag(value != nil)
        if let value { integer(value) }
    }

    mutating func text(_ value: String) {
        var value = value
        let size = value.utf8.count
        unsigned(UInt64(size))
        reserve(size)
        let target = base + count
        value.withUTF8 { utf8 in
            if let source = utf8.baseAddress { target.copyMemory(from: source, byteCount: utf8.count) }
        }
        count += size
    }

    mutating func text(_ value: String?) {
        flag(value != nil)
        if let value { text(value) }
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        reserve(bytes.count)
        if let source = bytes.baseAddress { (base + count).copyMemory(from: source, byteCount: bytes.count) }
        count += bytes.count
    }
}

/// Reads the output of ``RecordBuffer``. Valid only while the bytes are.
struct RecordReader {
    enum Problem: Error {
        /// The record was written by a newer version.
        case newer(String)
        /// The checksum matches but the contents are invalid: this program did not write them.
        case malformed(String)
    }

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    /// Version of the record that is being read.
    var version: UInt8 = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func byte() throws(Problem) -> UInt8 {
        guard position < bytes.count else { throw .malformed("a record ends too early") }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func fixed<Value: FixedWidthInteger & BitwiseCopyable>(_: Value.Type) throws(Problem) -> Value {
        let size = Value.bitWidth / 8
        guard position + size <= bytes.count else { throw .malformed("a record ends too early") }
        defer { position += size }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Value.self))
    }

    mutating func unsigned() throws(Problem) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0 as UInt64, through: 63, by: 7) {
            let next = try byte()
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
        }
        throw .malformed("a number without end")
    }

    mutating func integer() throws(Problem) -> Int64 {
        let value = try unsigned()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    mutating func flag() throws(Problem) -> Bool { try byte() != 0 }

    mutating func integerOrNil() throws(Problem) -> Int64? { try flag() ? try integer() : nil }

    mutating func text() throws(Problem) -> String {
        guard let size = Int(exactly: try unsigned()), size <= bytes.count - position else { throw .malformed("a text beyond its record") }
        defer { position += size }
        return String(decoding: bytes[position..<(position + size)], as: UTF8.self)
    }

    mutating func textOrNil() throws(Problem) -> String? { try flag() ? try text() : nil }

    /// A value of an enumeration that may have gained cases since. - Parameter what: its name, for the message.
    mutating func value<Value: RawRepresentable<String>>(_: Value.Type, _ what: String) throws(Problem) -> Value {
        let text = try text()
        guard let value = Value(rawValue: text) else { throw .newer("\(what) '\(text)'") }
        return value
    }
}
