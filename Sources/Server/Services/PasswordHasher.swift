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
    /// Bytes that a new password may have.
    static let lengths = 8...128

    private static let rounds = 1 << 15
    private static let blockSize = 8
    private static let parallelism = 1
    private static let queue = PasswordQueue(threads: 2, maximumWaiting: 64)

    /// What an unknown user is checked against, so that a wrong name costs the same time as a wrong password.
    private static let decoy = Mutex<String?>(nil)

    /// - Throws: ``PasswordQueue/Busy``.
    static func hash(_ password: String) async throws -> String {
        try await queue.run {
            var salt = [UInt8](repeating: 0, count: 16)
            var generator = SystemRandomNumberGenerator()
            for index in salt.indices { salt[index] = UInt8.random(in: 0...255, using: &generator) }
            let key = try derive(password, salt, rounds, blockSize, parallelism)
            return "scrypt$\(rounds)$\(blockSize)$\(parallelism)$\(Data(salt).base64EncodedString())$\(Data(key).base64EncodedString())"
        }
    }

    /// - Parameter encoded: nil for an unknown user.
    /// - Throws: ``PasswordQueue/Busy``.
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
        let matches = try await queue.run { try check(password, reference) }
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

/// Threads for work on passwords, and a bound on how much of it waits: logins that nobody is waiting for any more would keep them busy for hours.
final class PasswordQueue: Sendable {
    /// Too many wait already.
    struct Busy: Error {}

    private let pool: NIOThreadPool
    private let maximumWaiting: Int
    private let waiting = Mutex(0)

    init(threads: Int, maximumWaiting: Int) {
        pool = NIOThreadPool(numberOfThreads: threads)
        self.maximumWaiting = maximumWaiting
        pool.start()
    }

    /// Waits for what runs; nothing runs afterwards.
    func stop() async throws { try await pool.shutdownGracefully() }

    /// - Throws: ``Busy``, and what the work throws.
    func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        let isTaken = waiting.withLock { count in
            guard count < maximumWaiting else { return false }
            count += 1
            return true
        }
        guard isTaken else { throw Busy() }
        defer { waiting.withLock { $0 -= 1 } }
        return try await pool.runIfActive(work)
    }
}
