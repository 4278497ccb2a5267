package import RouterCore
package import Storage
import Synchronization

/// All API keys in memory by their SHA-256, so that a request needs no database to know who asks.
package final class KeyDirectory: Sendable {
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

    package init() {}

    /// Every change of keys or users goes through here, so that no answer from before it is given after it.
    private func change(_ body: (inout State) -> Void) {
        state.withLock { state in
            state.found = [:]
            body(&state)
        }
    }

    package func load(users: [User], tokens: [Token]) {
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
    package func setGroups(_ groups: [String: RateLimits]) { change { $0.groups = groups } }

    private static func add(_ token: Token, _ state: inout State) {
        let hash = KeyHash(token.keyHash)
        state.entries[hash] = Entry(token: token, limits: limits(token.limits, allowsAddresses: true))
        state.hashes[token.id] = hash
    }

    /// - Parameter now: Unix seconds.
    package func lookup(presentedKey: String?, now: Int64) -> Result<KeyPrincipal, KeyRefusal> {
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
            budgets: limits.budgetLimits(key) + ownerLimits.budgetLimits(user), rules: rules.filter { !$0.limits.isEmpty },
            conversion: entry.token.conversion, isManagement: entry.token.isManagement)
        if state.found.count >= maximumFound { state.found = [:] }
        state.found[hash] = Found(principal: principal, expiresAt: entry.token.expiresAt)
        state.touched[entry.token.id] = now
        return .success(principal)
    }

    package func upsert(_ token: Token) {
        change { state in
            if let old = state.hashes[token.id] { state.entries[old] = nil }
            Self.add(token, &state)
        }
    }

    package func remove(tokenID: Int64) {
        change { state in
            if let hash = state.hashes.removeValue(forKey: tokenID) { state.entries[hash] = nil }
        }
    }

    package func upsert(_ user: User) { change { $0.users[user.id] = Owner(user) } }

    package func remove(userID: Int64) {
        change { state in
            state.users[userID] = nil
            for (id, hash) in state.hashes where state.entries[hash]?.token.userID == userID {
                state.entries[hash] = nil
                state.hashes[id] = nil
            }
        }
    }

    /// Token ids with the Unix second of their last use, since the last call.
    package func touched() -> [Int64: Int64] {
        state.withLock { state in
            defer { state.touched = [:] }
            return state.touched
        }
    }
}
