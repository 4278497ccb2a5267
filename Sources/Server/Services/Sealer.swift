import Crypto
import Foundation
import GatewayState
import RouterCore

/// Seals small values that leave the gateway or are stored in its database, so that no one else can read, forge or change them: AES-256-GCM
/// with a key for each purpose, derived (HKDF-SHA256) from the secret that all gateways of a ledger share.
struct Sealer: Sendable {
    /// The purpose of a sealed value, which can be opened for no other.
    enum Purpose: String, Sendable, CaseIterable {
        /// The mark of a browser that a user has logged in with.
        case knownDevice = "known-device"
        /// The secrets of a channel of the console.
        case consoleChannel = "console-channel"
        /// The headers of a provider of the console.
        case consoleProvider = "console-provider"
        /// A secret by the name of its variable.
        case consoleSecret = "console-secret"
    }

    private let material: SymmetricKey

    /// First byte of every sealed value, to distinguish later formats.
    private static let version: UInt8 = 1

    init(_ secret: Secret) { material = SymmetricKey(data: Array(secret.reveal().utf8)) }

    /// One that opens nothing: its secret is made up and forgotten.
    static var opensNothing: Sealer { Sealer(Secret(TokenSecrets.random(43))) }

    private func key(_ name: String) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(inputKeyMaterial: material, info: Array("apirouter \(name)".utf8), outputByteCount: 32)
    }

    private func key(for purpose: Purpose) -> SymmetricKey { key("seal \(purpose.rawValue)") }

    /// Identifies the secret without revealing it: an HMAC of a constant, as 64 hexadecimal digits.
    var check: String {
        let code = HMAC<SHA256>.authenticationCode(for: Array("apirouter check value".utf8), using: key("check"))
        return code.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
    }

    /// - Parameter identity: of the row that the value is kept in: moved to another row, it does not open.
    /// - Returns: the version, a random nonce, the sealed text and its tag; 29 bytes more than the text.
    func seal(_ text: String, for purpose: Purpose, identity: String = "") throws -> [UInt8] {
        let box = try AES.GCM.seal(Array(text.utf8), using: key(for: purpose), authenticating: Self.authenticated(identity))
        return [Self.version] + box.nonce.map { $0 } + Array(box.ciphertext) + Array(box.tag)
    }

    /// - Returns: nil for a value that was not sealed with this secret for this purpose and this row.
    func open(_ sealed: [UInt8], for purpose: Purpose, identity: String = "") -> String? {
        guard sealed.first == Self.version, let box = try? AES.GCM.SealedBox(combined: Array(sealed.dropFirst())),
            let text = try? AES.GCM.open(box, using: key(for: purpose), authenticating: Self.authenticated(identity))
        else { return nil }
        return String(decoding: text, as: UTF8.self)
    }

    private static func authenticated(_ identity: String) -> [UInt8] { [version] + Array(identity.utf8) }
}
