import Crypto
import CryptoExtras
import Foundation
import NIOPosix
import RouterCore
import Synchronization

/// Scrypt hashes of passwords (RFC 7914), as `scrypt$N$r$p$salt$hash` with base 64.
///
/// Hashing takes tens of milliseconds and 32 MiB by design, so it runs on two threads of its own, never on the
/// cooperative pool.
enum PasswordHasher {
    private static let rounds = 1 << 15
    private static let blockSize = 8
    private static let parallelism = 1
    private static let pool: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        return pool
    }()

    /// What an unknown user is checked against, so that a wrong name costs the same time as a wrong password.
    private static let decoy = Mutex<String?>(nil)

    static func hash(_ password: String) async throws -> String {
        try await pool.runIfActive {
            var salt = [UInt8](repeating: 0, count: 16)
            var generator = SystemRandomNumberGenerator()
            for index in salt.indices { salt[index] = UInt8.random(in: 0...255, using: &generator) }
            let key = try derive(password, salt, rounds, blockSize, parallelism)
            return "scrypt$\(rounds)$\(blockSize)$\(parallelism)$\(Data(salt).base64EncodedString())$\(Data(key).base64EncodedString())"
        }
    }

    /// - Parameter encoded: nil for an unknown user.
    static func verify(_ password: String, against encoded: String?) async throws -> Bool {
        let reference: String
        if let encoded, !encoded.isEmpty {
            reference = encoded
        } else if let known = decoy.withLock({ $0 }) {
            reference = known
        } else {
            let fresh = try await hash(TokenSecrets.random(20))
            decoy.withLock { $0 = fresh }
            reference = fresh
        }
        let matches = try await pool.runIfActive { try check(password, reference) }
        return matches && encoded?.isEmpty == false
    }

    private static func check(_ password: String, _ encoded: String) throws -> Bool {
        let parts = encoded.split(separator: "$").map(String.init)
        guard parts.count == 6, parts[0] == "scrypt", let n = Int(parts[1]), let r = Int(parts[2]), let p = Int(parts[3]),
            let salt = Data(base64Encoded: parts[4]), let expected = Data(base64Encoded: parts[5])
        else { return false }
        let key = try derive(password, Array(salt), n, r, p)
        guard key.count == expected.count else { return false }
        // Constant time: every byte is looked at.
        return zip(key, expected).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static func derive(_ password: String, _ salt: [UInt8], _ n: Int, _ r: Int, _ p: Int) throws -> [UInt8] {
        let key = try KDF.Scrypt.deriveKey(
            from: Array(password.utf8), salt: salt, outputByteCount: 32, rounds: n, blockSize: r, parallelism: p,
            maxMemory: 256 * 1024 * 1024)
        return key.withUnsafeBytes { Array($0) }
    }
}

/// Slows guessing down: after a few failures for a name and address, the next try has to wait, longer each time.
final class LoginThrottle: Sendable {
    private struct Entry {
        var failures: Int
        var blockedUntil: Int64
    }
    private let entries = Mutex<[String: Entry]>([:])
    private static let freeTries = 5
    private static let longestWait: Int64 = 900
    private static let maximumEntries = 50_000

    /// - Returns: seconds to wait, or nil when a try is allowed.
    func wait(username: String, address: String, now: Int64) -> Int64? {
        entries.withLock { entries in
            guard let entry = entries[key(username, address)], entry.blockedUntil > now else { return nil }
            return entry.blockedUntil - now
        }
    }

    func failed(username: String, address: String, now: Int64) {
        entries.withLock { entries in
            if entries.count >= Self.maximumEntries {
                entries = entries.filter { $0.value.blockedUntil > now }
                if entries.count >= Self.maximumEntries { entries.removeAll() }
            }
            var entry = entries[key(username, address)] ?? Entry(failures: 0, blockedUntil: 0)
            entry.failures += 1
            let over = entry.failures - Self.freeTries
            if over >= 0 { entry.blockedUntil = now + min(Self.longestWait, 1 << Int64(min(over, 20))) }
            entries[key(username, address)] = entry
        }
    }

    func succeeded(username: String, address: String) {
        entries.withLock { $0[key(username, address)] = nil }
    }

    private func key(_ username: String, _ address: String) -> String { "\(address) \(username.lowercased())" }
}
