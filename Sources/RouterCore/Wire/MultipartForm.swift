public import NIOCore

/// A `multipart/form-data` body as ranges (RFC 7578): which fields there are and where their values are. The bytes are left in place, so
/// that a file of many megabytes is never copied.
public struct MultipartForm: Sendable, Hashable {
    public struct Part: Sendable, Hashable {
        public var name: String
        /// The file name; nil for a plain field.
        public var fileName: String?
        public var contentType: String?
        /// Range of the value, counted from the body's reader index.
        public var value: Range<Int>
        /// The delimiter before the part, its headers and its value: the range to cut when the part is removed.
        public var whole: Range<Int>
    }

    public private(set) var parts: [Part] = []
    public let boundary: String
    /// Where another part can be inserted: the offset of the delimiter that ends the form.
    public private(set) var end = 0

    /// Maximum number of parts. Real forms have few fields, and each costs a search.
    private static let maximumParts = 128
    private static let maximumHeaderBytes = 8 * 1024

    /// The boundary of a `Content-Type`; nil when it is not a form or names no boundary that RFC 2046 allows.
    public static func boundary(contentType: String) -> String? {
        let pieces = contentType.split(separator: ";", omittingEmptySubsequences: false)
        guard let type = pieces.first, trimmed(type).lowercased() == "multipart/form-data" else { return nil }
        let parameters = HeaderParameters(contentType.utf8.dropFirst(type.utf8.count))
        guard let boundary = parameters["boundary"], (1...70).contains(boundary.utf8.count),
            boundary.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        else { return nil }
        return boundary
    }

    /// - Throws: ``RequestEnvelope/Rejection`` for a body that is not such a form.
    public init(_ body: ByteBuffer, boundary: String) throws(RequestEnvelope.Rejection) {
        self.boundary = boundary
        let bytes = body.readableBytesUInt8Span
        let opening = Array("--\(boundary)".utf8)
        let search = ByteSearch(Array("\r\n--\(boundary)".utf8))
        // A form must begin with its delimiter; the preamble that RFC 2046 allows before it is not used in practice.
        guard bytes.count >= opening.count, (0..<opening.count).allSatisfy({ bytes[$0] == opening[$0] }) else {
            throw Self.malformed("it does not begin with the boundary that Content-Type names")
        }
        var delimiter = 0..<opening.count
        while true {
            let after = delimiter.upperBound
            guard after + 2 <= bytes.count else { throw Self.malformed("it ends inside a delimiter") }
            if bytes[after] == UInt8(ascii: "-"), bytes[after + 1] == UInt8(ascii: "-") {
                end = delimiter.lowerBound
                return
            }
            guard bytes[after] == 0x0D, bytes[after + 1] == 0x0A else { throw Self.malformed("a delimiter is not followed by a line end") }
            guard parts.count < Self.maximumParts else { throw Self.malformed("it has more than \(Self.maximumParts) fields") }
            var part = try Self.headers(bytes, from: after + 2)
            guard let next = search.first(in: bytes, from: part.value.lowerBound - 2) else {
                throw Self.malformed("the last delimiter is missing; the body may be cut")
            }
            part.value = part.value.lowerBound..<max(part.value.lowerBound, next)
            part.whole = delimiter.lowerBound..<next
            parts.append(part)
            delimiter = next..<next + search.pattern.count
        }
    }

    /// The parts of this name, in order.
    public func all(_ name: String) -> [Part] { parts.filter { $0.name == name } }

    private static func malformed(_ why: String) -> RequestEnvelope.Rejection {
        RequestEnvelope.Rejection("the request body is not a valid multipart/form-data form: \(why)")
    }

    /// Reads header lines up to the empty one. - Returns: a part whose value begins after them.
    private static func headers(_ bytes: Span<UInt8>, from start: Int) throws(RequestEnvelope.Rejection) -> Part {
        var part: Part?
        var contentType: String?
        var line = start
        while true {
            var end = line
            while end + 1 < bytes.count, !(bytes[end] == 0x0D && bytes[end + 1] == 0x0A) { end += 1 }
            guard end + 1 < bytes.count, end - start <= maximumHeaderBytes else { throw malformed("the headers of a field have no end") }
            if end == line {
                guard var part else { throw malformed("a field has no Content-Disposition: form-data with a name") }
                part.contentType = contentType
                part.value = end + 2..<end + 2
                return part
            }
            let text = JSONText.raw(bytes, line..<end)
            let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) ?? text.utf8.endIndex
            let value = text.utf8[colon...].dropFirst()
            switch text[..<colon].lowercased() {
            case "content-disposition":
                let parameters = HeaderParameters(value)
                // A vendor may use the other occurrence as the field's name.
                guard part == nil, !parameters.hasTwice, parameters["name*"] == nil else {
                    throw malformed("a field has more than one Content-Disposition or name")
                }
                guard parameters.first == "form-data", let name = parameters["name"] else {
                    throw malformed("a field has no Content-Disposition: form-data with a name")
                }
                part = Part(name: name, fileName: parameters["filename"] ?? parameters["filename*"], value: 0..<0, whole: 0..<0)
            case "content-type": contentType = trimmed(Substring(value))
            default: break
            }
            line = end + 2
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        var rest = text.drop { $0 == " " || $0 == "\t" }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return String(rest)
    }
}

/// The parameters of a header: `; name=value; name="quoted \" value"`. Names are lower-cased; the first occurrence of a name wins.
private struct HeaderParameters {
    /// The text before the first `;`, in lower case.
    private(set) var first = ""
    private var values: [String: String] = [:]
    /// Whether some name is given more than once.
    private(set) var hasTwice = false

    init(_ text: Substring.UTF8View) {
        var rest = text
        var isFirst = true
        while !rest.isEmpty {
            let name = Self.token(&rest)
            var value = ""
            if rest.first == UInt8(ascii: "=") {
                rest = rest.dropFirst()
                value = rest.first == UInt8(ascii: "\"") ? Self.quoted(&rest) : Self.token(&rest)
            }
            if isFirst {
                first = name.lowercased()
            } else if values[name.lowercased()] == nil {
                values[name.lowercased()] = value
            } else {
                hasTwice = true
            }
            isFirst = false
            rest = rest.drop { $0 != UInt8(ascii: ";") }.dropFirst()
        }
    }

    subscript(_ name: String) -> String? { values[name] }

    private static func token(_ rest: inout Substring.UTF8View) -> String {
        rest = rest.drop { $0 == 0x20 || $0 == 0x09 }
        let token = rest.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: "=") && $0 != 0x20 && $0 != 0x09 }
        rest = rest[token.endIndex...].drop { $0 == 0x20 || $0 == 0x09 }
        return String(decoding: token, as: UTF8.self)
    }

    private static func quoted(_ rest: inout Substring.UTF8View) -> String {
        var bytes: [UInt8] = []
        rest = rest.dropFirst()
        while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
            // Browsers write a quote in a name as %22 and leave backslashes alone; libraries escape the quote.
            if byte == UInt8(ascii: "\\"), let next = rest.first, next == UInt8(ascii: "\"") || next == UInt8(ascii: "\\") {
                bytes.append(next)
                rest = rest.dropFirst()
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Searches for a short pattern in many bytes, mostly by jumping over them (Horspool).
struct ByteSearch {
    let pattern: [UInt8]
    /// The distance by which the window may move, by the byte that it ends in.
    private var shift: [Int]

    /// - Precondition: the pattern is not empty.
    init(_ pattern: [UInt8]) {
        self.pattern = pattern
        shift = Array(repeating: pattern.count, count: 256)
        for (index, byte) in pattern.dropLast().enumerated() { shift[Int(byte)] = pattern.count - 1 - index }
    }

    /// The first offset at or after `start` where the pattern begins; nil when it does not occur.
    func first(in bytes: Span<UInt8>, from start: Int) -> Int? {
        let last = pattern.count - 1
        var position = max(0, start)
        while position + last < bytes.count {
            let tail = bytes[position + last]
            if tail == pattern[last] {
                var index = 0
                while index < last, bytes[position + index] == pattern[index] { index += 1 }
                if index == last { return position }
            }
            position += shift[Int(tail)]
        }
        return nil
    }
}
