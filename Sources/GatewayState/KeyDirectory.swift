package import RouterCore
package import Storage
import Synchronization

/// All API keys in memory by their SHA-256, so that a request needs no database to know who asks.
package final class KeyDirectory: Sendable {
    private struct Entry {
        var token: Token
        var limits: Result<StoredLimits, LimitProblem>
        /// When the secret ends (Unix seconds): that of its key, or sooner for one that has been replaced; nil = never.
        var end: Int64?
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
        /// Users and organisations.
        var users: [Int64: Owner] = [:]
        var members = OrganizationMembers()
        /// What each user of a group may do who has no limits of their own.
        var groups: [String: RateLimits] = [:]
        var touched: [Int64: Int64] = [:]
        /// Those who have asked since the last change of anything, ready to be handed out.
        var found: [KeyHash: Found] = [:]
        var sessions = OpenSessions()
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

    package func load(users: [User], tokens: [Token], memberships: [OrganizationMembership] = []) {
        change { state in
            state.entries = [:]
            state.hashes = [:]
            state.members = OrganizationMembers(memberships)
            state.users = Dictionary(users.map { ($0.id, Owner($0)) }) { _, last in last }
            // Any of them may have ended meanwhile.
            state.sessions = OpenSessions()
            for token in tokens { Self.add(token, &state) }
        }
    }

    static func limits(_ text: String, allowsAddresses: Bool) -> Result<StoredLimits, LimitProblem> {
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
        var entry = Entry(token: token, limits: limits(token.limits, allowsAddresses: true), end: token.expiresAt)
        state.entries[hash] = entry
        state.hashes[token.id] = hash
        guard let former = token.former else { return }
        entry.end = min(former.until, token.expiresAt ?? .max)
        state.entries[KeyHash(former.keyHash)] = entry
    }

    private static func remove(_ id: Int64, _ state: inout State) {
        guard let hash = state.hashes.removeValue(forKey: id), let entry = state.entries.removeValue(forKey: hash) else { return }
        if let former = entry.token.former { state.entries[KeyHash(former.keyHash)] = nil }
    }

    /// - Parameter now: Unix seconds.
    package func lookup(presentedKey: String?, now: Int64) -> Result<KeyPrincipal, KeyRefusal> {
        guard let presentedKey, !presentedKey.isEmpty else { return .failure(.missing) }
        // Only the hash is compared, so the time that a look-up takes tells nothing about the key.
        let hash = KeyHash(of: presentedKey)
        return state.withLock { state in
            if let found = state.found[hash], found.expiresAt.map({ $0 > now }) ?? true {
                if let id = found.principal.tokenID { state.touched[id] = now }
                return .success(found.principal)
            }
            return Self.find(hash, &state, now)
        }
    }

    private static func find(_ hash: KeyHash, _ state: inout State, _ now: Int64) -> Result<KeyPrincipal, KeyRefusal> {
        guard let entry = state.entries[hash] else { return .failure(.unknown) }
        guard entry.token.status == .enabled else { return .failure(.disabled) }
        if let end = entry.end, end <= now { return .failure(.expired) }
        let principal: KeyPrincipal
        switch Self.principal(of: entry.token.userID, account: entry.token.accountID, key: entry, state) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let found): principal = found
        }
        if state.found.count >= maximumFound { state.found = [:] }
        state.found[hash] = Found(principal: principal, expiresAt: entry.end)
        state.touched[entry.token.id] = now
        return .success(principal)
    }

    /// Whoever calls for a user, with one of the user's keys or with none.
    /// - Parameter account: the organisation that pays; nil = the user.
    private static func principal(
        of userID: Int64, account: Int64?, key entry: Entry?, _ state: State
    ) -> Result<KeyPrincipal, KeyRefusal> {
        guard let owner = state.users[account ?? userID], owner.user.status == .enabled else {
            return .failure(account == nil ? .userDisabled : .organizationDisabled)
        }
        let scope = account.map { BudgetScope.organization($0) } ?? .user(userID)
        var principal = KeyPrincipal(
            userID: userID, accountID: account, tokenID: entry?.token.id, group: owner.user.group, models: [], addresses: [])
        // A key of the organisation itself has no user.
        if let account, account != userID {
            guard state.users[userID]?.user.status == .enabled else { return .failure(.userDisabled) }
            switch state.members.part(of: userID, in: account) {
            case .failure(let refusal): return .failure(refusal)
            case .success(let part):
                principal.budgets = part.budgets
                principal.rules = part.rules
            }
        }
        if let entry {
            let key = BudgetScope.key(entry.token.id)
            switch entry.limits {
            case .failure(let problem): return .failure(.limitsUnreadable(key, problem))
            case .success(let limits):
                principal.addresses = limits.own.addresses
                principal.adminAddresses = limits.admin?.addresses ?? []
                principal.budgets += limits.budgetLimits(key)
                principal.rules.append(LimitRule(scope: key, limits: limits.rates))
            }
            principal.models = entry.token.models
            principal.conversion = entry.token.conversion
            principal.isManagement = entry.token.isManagement
        }
        switch owner.limits {
        case .failure(let problem): return .failure(.limitsUnreadable(scope, problem))
        case .success(let limits):
            let group = state.groups[owner.user.group] ?? state.groups["default"] ?? RateLimits()
            principal.budgets += limits.budgetLimits(scope)
            principal.rules.append(LimitRule(scope: scope, limits: limits.rates.filled(from: group)))
        }
        principal.rules.removeAll { $0.limits.isEmpty }
        return .success(principal)
    }

    /// The user of an open session, as one who calls without a key: the user's limits and budgets hold.
    /// - Parameter now: Unix seconds.
    /// - Returns: `.unknown` for a session that is not open.
    package func lookup(session: KeyHash, now: Int64) -> Result<KeyPrincipal, KeyRefusal> {
        state.withLock { state in
            guard let (userID, account) = state.sessions.caller(session, now: now) else { return .failure(.unknown) }
            return Self.principal(of: userID, account: account, key: nil, state)
        }
    }

    func changeSessions(_ body: (inout OpenSessions) -> Void) { state.withLock { body(&$0.sessions) } }

    package func upsert(_ token: Token) {
        change { state in
            Self.remove(token.id, &state)
            Self.add(token, &state)
        }
    }

    package func remove(tokenID: Int64) {
        change { Self.remove(tokenID, &$0) }
    }

    /// Closes the user's sessions: a page opens its own again, if it still may.
    package func upsert(_ user: User) {
        change { state in
            state.users[user.id] = Owner(user)
            state.sessions.close(userID: user.id)
        }
    }

    package func remove(userID: Int64) {
        change { state in
            state.users[userID] = nil
            state.sessions.close(userID: userID)
            state.members.remove(userID)
            for (id, hash) in state.hashes
            where state.entries[hash].map({ $0.token.userID == userID || $0.token.accountID == userID }) ?? false {
                Self.remove(id, &state)
            }
        }
    }

    /// A membership as it is now; nil = the user belongs to the organisation no more.
    package func setMembership(_ accountID: Int64, userID: Int64, _ membership: OrganizationMembership?) {
        change { state in
            state.members.set(accountID, userID: userID, membership)
            if membership == nil { state.sessions.close(userID: userID) }
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
