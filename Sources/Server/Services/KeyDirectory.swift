import Crypto
import RouterCore
import Storage
import Synchronization

/// Why an API key is not accepted. All of them are a 401 `invalid_api_key`; the words differ.
enum KeyRefusal: Error, Sendable {
    case missing, unknown, disabled, expired, userDisabled

    var message: String {
        switch self {
        case .missing: "You must provide an API key: send it as 'Authorization: Bearer sk-…'."
        case .unknown: "The API key is not valid."
        case .disabled: "The API key is disabled."
        case .expired: "The API key has expired."
        case .userDisabled: "The user of this API key is disabled."
        }
    }
}

/// All API keys in memory by their SHA-256, so that a request needs no database to know who asks.
public final class KeyDirectory: Sendable {
    private struct Entry {
        var token: Token
        var limits: KeyLimits
    }
    private struct Owner {
        var user: User
        var limits: KeyLimits
        init(_ user: User) {
            self.user = user
            limits = KeyLimits(stored: user.limits)
        }
    }
    private struct State {
        var entries: [[UInt8]: Entry] = [:]
        var hashes: [Int64: [UInt8]] = [:]
        var users: [Int64: Owner] = [:]
        var touched: [Int64: Int64] = [:]
    }
    private let state = Mutex(State())

    public init() {}

    func load(users: [User], tokens: [Token]) {
        state.withLock { state in
            state.entries = [:]
            state.hashes = [:]
            state.users = Dictionary(users.map { ($0.id, Owner($0)) }) { _, last in last }
            for token in tokens { Self.add(token, &state) }
        }
    }

    private static func add(_ token: Token, _ state: inout State) {
        state.entries[token.keyHash] = Entry(token: token, limits: KeyLimits(stored: token.limits))
        state.hashes[token.id] = token.keyHash
    }

    /// - Parameter now: Unix seconds.
    func lookup(presentedKey: String?, now: Int64) -> Result<KeyPrincipal, KeyRefusal> {
        guard let presentedKey, !presentedKey.isEmpty else { return .failure(.missing) }
        // Only the hash is compared, so the time that a look-up takes tells nothing about the key.
        let hash = TokenSecrets.hash(presentedKey)
        return state.withLock { state in
            guard let entry = state.entries[hash] else { return .failure(.unknown) }
            guard entry.token.status == .enabled else { return .failure(.disabled) }
            if let expiry = entry.token.expiresAt, expiry <= now { return .failure(.expired) }
            guard let owner = state.users[entry.token.userID], owner.user.status == .enabled else { return .failure(.userDisabled) }
            state.touched[entry.token.id] = now
            return .success(
                KeyPrincipal(
                    userID: owner.user.id, tokenID: entry.token.id, group: owner.user.group, models: entry.token.models,
                    addresses: entry.limits.addresses,
                    budgets: entry.limits.limits(.key(entry.token.id)) + owner.limits.limits(.user(owner.user.id))))
        }
    }

    func upsert(_ token: Token) {
        state.withLock { state in
            if let old = state.hashes[token.id] { state.entries[old] = nil }
            Self.add(token, &state)
        }
    }

    func remove(tokenID: Int64) {
        state.withLock { state in
            if let hash = state.hashes.removeValue(forKey: tokenID) { state.entries[hash] = nil }
        }
    }

    func upsert(_ user: User) { state.withLock { $0.users[user.id] = Owner(user) } }

    func remove(userID: Int64) {
        state.withLock { state in
            state.users[userID] = nil
            for (id, hash) in state.hashes where state.entries[hash]?.token.userID == userID {
                state.entries[hash] = nil
                state.hashes[id] = nil
            }
        }
    }

    /// Token ids with the Unix second of their last use, since the last call.
    func touched() -> [Int64: Int64] {
        state.withLock { state in
            defer { state.touched = [:] }
            return state.touched
        }
    }
}

/// Makes and hashes keys and management tokens.
enum TokenSecrets {
    static func hash(_ text: String) -> [UInt8] { Array(SHA256.hash(data: Array(text.utf8))) }

    /// `sk-` and 48 characters of base 62: 285 random bits.
    static func newKey() -> String { "sk-" + random(48) }

    static func newAccessToken() -> String { "at-" + random(43) }

    static func random(_ length: Int) -> String {
        let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        // The standard library's system generator is the kernel's CSPRNG.
        var generator = SystemRandomNumberGenerator()
        return String((0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
    }

    static func newKeyToken(userID: Int64, name: String, key: String, createdAt: Int64) -> Token {
        Token(userID: userID, keyHash: hash(key), keyPrefix: String(key.prefix(9)), name: name, createdAt: createdAt)
    }
}
