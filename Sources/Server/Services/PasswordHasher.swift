import CPlatform
import Crypto
import CryptoExtras
import Foundation
import NIOPosix
import Synchronization

/// Scrypt hashes of passwords (RFC 7914), in the form `scrypt$N$r$p$salt$hash` with base 64.
///
/// Hashing takes a tenth of a second and 32 MiB by design, so it runs one at a time on a dedicated thread of low priority.
enum PasswordHasher {
    /// Permitted length of a new password in bytes.
    static let lengths = 8...128

    #if DEBUG
        // Unoptimised, the same work takes ten times as long. A hash contains its own cost, so that both builds can verify each other's.
        private static let rounds = 1 << 11
    #else
        private static let rounds = 1 << 15
    #endif
    private static let blockSize = 8
    private static let parallelism = 1
    private static let queue = PasswordQueue(maximumWaiting: 32)

    /// The hash that unknown users are checked against, so that a wrong name takes as long as a wrong password. No password matches it.
    private static let decoy =
        "scrypt$\(rounds)$\(blockSize)$\(parallelism)$\(Data(repeating: 7, count: 16).base64EncodedString())$\(Data(count: 32).base64EncodedString())"

    /// - Throws: ``PasswordQueue/Busy``.
    static func hash(_ password: String, lane: PasswordQueue.Lane = .known(owner: nil)) async throws -> String {
        try await queue.run(lane) {
            var salt = [UInt8](repeating: 0, count: 16)
            var generator = SystemRandomNumberGenerator()
            for index in salt.indices { salt[index] = UInt8.random(in: 0...255, using: &generator) }
            let key = try derive(password, salt, rounds: rounds, blockSize: blockSize, parallelism: parallelism)
            return "scrypt$\(rounds)$\(blockSize)$\(parallelism)$\(Data(salt).base64EncodedString())$\(Data(key).base64EncodedString())"
        }
    }

    /// - Parameter encoded: nil for an unknown user.
    /// - Throws: ``PasswordQueue/Busy``.
    static func verify(_ password: String, against encoded: String?, lane: PasswordQueue.Lane) async throws -> Bool {
        let isKnown = encoded?.isEmpty == false
        let reference = isKnown ? encoded ?? decoy : decoy
        let matches = try await queue.run(lane) { try check(password, reference) }
        return matches && isKnown
    }

    private static func check(_ password: String, _ encoded: String) throws -> Bool {
        let parts = encoded.split(separator: "$").map(String.init)
        guard parts.count == 6, parts[0] == "scrypt", let n = Int(parts[1]), let r = Int(parts[2]), let p = Int(parts[3]),
            let salt = Data(base64Encoded: parts[4]), let expected = Data(base64Encoded: parts[5])
        else { return false }
        let key = try derive(password, Array(salt), rounds: n, blockSize: r, parallelism: p)
        guard key.count == expected.count else { return false }
        // Constant time: every byte is compared.
        return zip(key, expected).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static func derive(_ password: String, _ salt: [UInt8], rounds n: Int, blockSize r: Int, parallelism p: Int) throws -> [UInt8] {
        let key = try KDF.Scrypt.deriveKey(
            from: Array(password.utf8), salt: salt, outputByteCount: 32, rounds: n, blockSize: r, parallelism: p,
            maxMemory: 256 * 1024 * 1024)
        return key.withUnsafeBytes { Array($0) }
    }
}

/// The queue for the only thread that hashes passwords. Known users and administrators come first, so that strangers can delay only each
/// other; each lane is bounded, because logins whose clients have given up would keep the thread busy for hours.
final class PasswordQueue: Sendable {
    enum Lane: Sendable, Hashable {
        /// Users who have logged in before, and work for logged-in users. Only a few entries of one owner may wait, so that no owner delays
        /// the others; nil = an administrator's work.
        case known(owner: Int64?)
        /// All other clients.
        case stranger
    }

    /// Too many entries are waiting.
    struct Busy: Error {}

    private struct State {
        var isBusy = false
        var known: [(owner: Int64?, continuation: CheckedContinuation<Bool, Never>)] = []
        var strangers: [CheckedContinuation<Bool, Never>] = []
    }

    /// Maximum number of waiting entries of one owner, in addition to the one being processed.
    private static let waitingPerOwner = 2

    private let pool = NIOThreadPool(numberOfThreads: 1)
    private let maximumWaiting: Int
    private let state = Mutex(State())

    /// - Parameter maximumWaiting: per lane, in addition to the entry being processed.
    init(maximumWaiting: Int) {
        self.maximumWaiting = maximumWaiting
        pool.start()
    }

    /// Waits for the running entry; nothing runs afterwards.
    func stop() async throws { try await pool.shutdownGracefully() }

    /// - Throws: ``Busy``, and what the work throws.
    func run<Value: Sendable>(_ lane: Lane, _ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        guard await turn(lane) else { throw Busy() }
        defer { next() }
        try Task.checkCancellation()
        return try await pool.runIfActive {
            apir_give_way()
            return try work()
        }
    }

    /// - Returns: false when too many are waiting.
    private func turn(_ lane: Lane) async -> Bool {
        await withCheckedContinuation { continuation in
            let answer = state.withLock { state -> Bool? in
                guard state.isBusy else {
                    state.isBusy = true
                    return true
                }
                switch lane {
                case .known(let owner):
                    let own = owner == nil ? 0 : state.known.count { $0.owner == owner }
                    guard state.known.count < maximumWaiting, own < Self.waitingPerOwner else { return false }
                    state.known.append((owner, continuation))
                case .stranger:
                    guard state.strangers.count < maximumWaiting else { return false }
                    state.strangers.append(continuation)
                }
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    private func next() {
        let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            if !state.known.isEmpty { return state.known.removeFirst().continuation }
            if !state.strangers.isEmpty { return state.strangers.removeFirst() }
            state.isBusy = false
            return nil
        }
        waiter?.resume(returning: true)
    }
}
