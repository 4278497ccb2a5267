import Crypto

/// The SHA-256 of a key, as four words: nothing is allocated to look one up.
package struct KeyHash: Hashable {
    fileprivate var words: (UInt64, UInt64, UInt64, UInt64)

    package init(_ bytes: [UInt8]) {
        func word(_ place: Int) -> UInt64 { bytes.dropFirst(place * 8).prefix(8).reduce(0) { $0 << 8 | UInt64($1) } }
        words = (word(0), word(1), word(2), word(3))
    }

    package init(of key: String) {
        var hash = SHA256()
        var key = key
        key.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        words = hash.finalize().withUnsafeBytes { bytes in
            func word(_ place: Int) -> UInt64 { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: place * 8, as: UInt64.self)) }
            return (word(0), word(1), word(2), word(3))
        }
    }

    package static func == (left: KeyHash, right: KeyHash) -> Bool { left.words == right.words }
    /// Any part of a SHA-256 is as good as the whole.
    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

extension KeyHash {
    /// 128 of its bits in hexadecimal digits: enough to recognise a key, and of no use to anybody who wants it.
    package var fingerprint: String {
        [words.0, words.1].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }
}
