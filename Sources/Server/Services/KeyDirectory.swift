import Crypto
import Metering
import RouterCore
import Storage
import Synchronization

/// Why an API key is not accepted. All of them are a 401 `invalid_api_key` whose words differ, but for the last.
enum KeyRefusal: Error, Sendable {
    case missing, unknown, disabled, expired, userDisabled
    /// What is stored as the limits of the key or of its user says nothing that we understand: a 403.
    case limitsUnreadable(BudgetScope, LimitProblem)

    var message: String {
        switch self {
        case .missing: "You must provide an API key: send it as 'Authorization: Bearer sk-…'."
        case .unknown: "The API key is not valid."
        case .disabled: "The API key is disabled."
        case .expired: "The API key has expired."
        case .userDisabled: "The user of this API key is disabled."
        case .limitsUnreadable(let scope, let problem): "The limits of \(scope) cannot be read: \(problem.message)."
        }
    }
}

/// The SHA-256 of a key, as four words: nothing is allocated to look one up.
struct KeyHash: Hashable {
    private var words: (UInt64, UInt64, UInt64, UInt64)

    init(_ bytes: [UInt8]) {
        func word(_ place: Int) -> UInt64 { bytes.dropFirst(place * 8).prefix(8).reduce(0) { $0 << 8 | UInt64($1) } }
        words = (word(0), word(1), word(2), word(3))
    }

    init(of key: String) {
        var hash = SHA256()
        var key = key
        key.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        words = hash.finalize().withUnsafeBytes { bytes in
            func word(_ place: Int) -> UInt64 { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: place * 8, as: UInt64.self)) }
            return (word(0), word(1), word(2), word(3))
        }
    }

    static func == (left: KeyHash, right: KeyHash) -> Bool { left.words == right.words }
    /// Any part of a SHA-256 is as good as the whole.
    func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// All API keys in memory by their SHA-256, so that a request needs no database to know who asks.
public final class KeyDirectory: Sendable {
    private struct Entry {
        var token: Token
        var limits: Result<StoredLimits, LimitProblem>
    }
    private struct Owner {
        var user: User
        var limits: Result<StoredLimits, LimitProblem>
        init(_ user: User) {
            self.user = user
            limits = KeyDirectory.limits(user.limits, allowsAddresses: false)
        }
    }
    private struct Found {
        var principal: KeyPrincipal
        var expiresAt: Int64?
    }
    private struct State {
        var entries: [KeyHash: Entry] = [:]
        var hashes: [Int64: KeyHash] = [:]
        var users: [Int64: Owner] = [:]
        /// What each user of a group may do who has no limits of their own.
        var groups: [String: RateLimits] = [:]
        var touched: [Int64: Int64] = [:]
        /// Those who have asked since the last change of anything, ready to be handed out.
        var found: [KeyHash: Found] = [:]
    }
    private let state = Mutex(State())
    private static let maximumFound = 10_000

    public init() {}

    /// Every change of keys or users goes through here, so that no answer from before it is given after it.
    private func change(_ body: (inout State) -> Void) {
        state.withLock { state in
            state.found = [:]
            body(&state)
        }
    }

    func load(users: [User], tokens: [Token]) {
        change { state in
            state.entries = [:]
            state.hashes = [:]
            state.users = Dictionary(users.map { ($0.id, Owner($0)) }) { _, last in last }
            for token in tokens { Self.add(token, &state) }
        }
    }

    private static func limits(_ text: String, allowsAddresses: Bool) -> Result<StoredLimits, LimitProblem> {
        do throws(LimitProblem) {
            return .success(try StoredLimits(stored: text, allowsAddresses: allowsAddresses))
        } catch {
            return .failure(error)
        }
    }

    /// As the configuration has them; those of a group that it does not name are those of `default`.
    func setGroups(_ groups: [String: RateLimits]) { change { $0.groups = groups } }

    private static func add(_ token: Token, _ state: inout State) {
        let hash = KeyHash(token.keyHash)
        state.entries[hash] = Entry(token: token, limits: limits(token.limits, allowsAddresses: true))
        state.hashes[token.id] = hash
    }

    /// - Parameter now: Unix seconds.
    func lookup(presentedKey: String?, now: Int64) -> Result<KeyPrincipal, KeyRefusal> {
        guard let presentedKey, !presentedKey.isEmpty else { return .failure(.missing) }
        // Only the hash is compared, so the time that a look-up takes tells nothing about the key.
        let hash = KeyHash(of: presentedKey)
        return state.withLock { state in
            if let found = state.found[hash], found.expiresAt.map({ $0 > now }) ?? true {
                state.touched[found.principal.tokenID] = now
                return .success(found.principal)
            }
            return Self.find(hash, &state, now)
        }
    }

    private static func find(_ hash: KeyHash, _ state: inout State, _ now: Int64) -> Result<KeyPrincipal, KeyRefusal> {
        guard let entry = state.entries[hash] else { return .failure(.unknown) }
        guard entry.token.status == .enabled else { return .failure(.disabled) }
        if let expiry = entry.token.expiresAt, expiry <= now { return .failure(.expired) }
        guard let owner = state.users[entry.token.userID], owner.user.status == .enabled else { return .failure(.userDisabled) }
        let (key, user) = (BudgetScope.key(entry.token.id), BudgetScope.user(owner.user.id))
        let limits: StoredLimits
        let ownerLimits: StoredLimits
        switch (entry.limits, owner.limits) {
        case (.failure(let problem), _): return .failure(.limitsUnreadable(key, problem))
        case (_, .failure(let problem)): return .failure(.limitsUnreadable(user, problem))
        case (.success(let ofKey), .success(let ofUser)): (limits, ownerLimits) = (ofKey, ofUser)
        }
        let group = state.groups[owner.user.group] ?? state.groups["default"] ?? RateLimits()
        let rules = [
            LimitRule(scope: key, limits: limits.rates), LimitRule(scope: user, limits: ownerLimits.rates.filled(from: group)),
        ]
        let principal = KeyPrincipal(
            userID: owner.user.id, tokenID: entry.token.id, group: owner.user.group, models: entry.token.models,
            addresses: limits.own.addresses, adminAddresses: limits.admin?.addresses ?? [],
            budgets: limits.budgetLimits(key) + ownerLimits.budgetLimits(user), rules: rules.filter { !$0.limits.isEmpty })
        if state.found.count >= maximumFound { state.found = [:] }
        state.found[hash] = Found(principal: principal, expiresAt: entry.token.expiresAt)
        state.touched[entry.token.id] = now
        return .success(principal)
    }

    func upsert(_ token: Token) {
        change { state in
            if let old = state.hashes[token.id] { state.entries[old] = nil }
            Self.add(token, &state)
        }
    }

    func remove(tokenID: Int64) {
        change { state in
            if let hash = state.hashes.removeValue(forKey: tokenID) { state.entries[hash] = nil }
        }
    }

    func upsert(_ user: User) { change { $0.users[user.id] = Owner(user) } }

    func remove(userID: Int64) {
        change { state in
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
