import Crypto
package import Storage

/// Makes and hashes keys and management tokens.
package enum TokenSecrets {
    package static func hash(_ text: String) -> [UInt8] { Array(SHA256.hash(data: Array(text.utf8))) }

    /// `sk-` and 48 characters of base 62: 285 random bits.
    package static func newKey() -> String { "sk-" + random(48) }

    package static func newAccessToken() -> String { "at-" + random(43) }

    package static func random(_ length: Int) -> String {
        let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        // The standard library's system generator is the kernel's CSPRNG.
        var generator = SystemRandomNumberGenerator()
        return String((0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
    }

    package static func newKeyToken(userID: Int64, name: String, key: String, createdAt: Int64) -> Token {
        Token(userID: userID, keyHash: hash(key), keyPrefix: String(key.prefix(9)), name: name, createdAt: createdAt)
    }
}
