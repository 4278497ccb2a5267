/// Arrays of C strings that live as long as a call.
enum CStrings {
    static func with<Result>(_ texts: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
        // One block with all bytes, and the offsets into it.
        var bytes: [CChar] = []
        var offsets: [Int?] = []
        for text in texts {
            guard let text else { offsets.append(nil); continue }
            offsets.append(bytes.count)
            for byte in text.utf8 { bytes.append(CChar(bitPattern: byte)) }
            bytes.append(0)
        }
        return bytes.withUnsafeBufferPointer { block in
            var pointers: [UnsafePointer<CChar>?] = offsets.map { offset in offset.flatMap { block.baseAddress?.advanced(by: $0) } }
            pointers.append(nil)
            return pointers.withUnsafeBufferPointer { list in
                guard let base = list.baseAddress else { preconditionFailure("a list with an end has an address") }
                return body(base)
            }
        }
    }
}
